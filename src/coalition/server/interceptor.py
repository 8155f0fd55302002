"""The gate every RPC passes: who, how much, may you, is it well formed; then the call; then errors in their one form.

One interceptor, whose work is bound to each method once. Logs ids and durations, never a body; a success is told to
the observer alone.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, TypeAlias

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.server.identity import Identities, set_caller
from coalition.server.limits import Share, Shares
from coalition.server.permissions import OURS, RULES, Roles, check_permission
from coalition.server.request_ids import parse_request_id
from coalition.server.revocations import Revocations
from coalition.server.status import reason_of, status_of
from coalition.server.streams import BoundStream
from coalition.server.turning_away import STATUSES, TurningAway
from coalition.server.validation import BATCH_BYTES_MAX, UNARY_BYTES_MAX, check_fields, reader

BATCH_METHODS: Final = frozenset({"/coalition.v1.TerminalService/SubmitBatch"})
LARGE_METHODS: Final = BATCH_METHODS | {"/coalition.v1.SettlementService/ImportBankResult"}
LAST_WORD_SECONDS: Final = 5.0
"""How long a caller who does not read may take to read why its stream ends; then it is cut."""

log = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Observe: TypeAlias = Callable[[str, Reason, float], None]
"""Told (method, reason, seconds) once an RPC, on the loop; a call that its client gave up counts as DEADLINE_PASSED."""


class Gate(grpc.aio.ServerInterceptor):
    """`observe` is told of every RPC when it is over. Without `revocations` no certificate is taken for revoked."""

    def __init__(
        self,
        identities: Identities,
        rules: Mapping[str, Roles] = RULES,
        *,
        shares: Shares,
        revocations: Revocations | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._identities = identities
        self._rules = rules
        self._shares = shares
        self._limits = shares.limits
        self._revocations = revocations
        self._observe = observe or _unseen
        self._handlers: dict[str, Handler] = {}
        self._turning_away = TurningAway()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        method = handler_call_details.method
        guarded = self._handlers.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:  # gRPC answers UNIMPLEMENTED; the name is a stranger's and is not remembered
                return None
            guarded = self._handlers[method] = self._guarded(method, handler)
        return guarded

    def _guarded(self, method: str, handler: Handler) -> Handler:
        bytes_max = BATCH_BYTES_MAX if method in LARGE_METHODS else UNARY_BYTES_MAX
        codecs = {
            "request_deserializer": reader(handler.request_deserializer or bytes, bytes_max),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codecs)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._watch(method, handler.unary_stream), **codecs)
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._stream(method, handler.stream_stream), **codecs)
        raise TypeError(f"{method}: a stream of requests with one answer has no gate yet; give it one here")

    def _unary(self, method: str, inner: Any) -> Any:
        admit, fail, observe, in_time = self._admit, self._fail, self._observe, self._in_time
        deadline_seconds, is_batch = self._limits.deadline_seconds, method in BATCH_METHODS
        monotonic = time.monotonic
        telling = logging.getLogger().isEnabledFor(logging.DEBUG)

        async def call(request: Message, context: Any) -> Any:
            started = monotonic()
            operations = 0
            share = None
            try:
                share = admit(method, context)
                check_fields(request)
                if is_batch:
                    operations = _begin_batch(share, request)
                remaining = context.time_remaining()
                if remaining is None or remaining > deadline_seconds:
                    response = await in_time(inner, request, context)
                else:
                    response = await inner(request, context)
            except grpc.aio.AbortError:  # a servicer that is not ours, health, has answered already
                raise
            except asyncio.CancelledError:
                observe(method, Reason.DEADLINE_PASSED, monotonic() - started)
                raise
            except Exception as error:
                await fail(method, context, error, started, request)
                raise
            finally:
                if operations and share is not None:
                    share.end(operations)
            observe(method, Reason.ACCEPTED, monotonic() - started)
            if telling:
                log.debug("rpc_answered", rpc=method, code="OK", duration_ms=_since(started))
            return response

        return call

    async def _in_time(self, inner: Any, request: Message, context: Any) -> Any:
        """Answer a caller who would wait longer than anybody may, or for ever. Raises Refused(DEADLINE_PASSED)."""
        bound = asyncio.timeout(self._limits.deadline_seconds)
        try:
            async with bound:
                return await inner(request, context)
        except TimeoutError:
            if bound.expired():
                raise Refused(Reason.DEADLINE_PASSED) from None
            raise

    def _watch(self, method: str, inner: Any) -> Any:
        """One request and answers until the caller has enough of them: health's Watch, which is not ours."""

        async def call(request: Message, context: Any) -> None:
            started = time.monotonic()
            try:
                self._admit(method, context)
                check_fields(request)
                await inner(request, context)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                raise
            except Exception as error:
                await self._fail(method, context, error, started, None)
                raise
            self._observe(method, Reason.ACCEPTED, time.monotonic() - started)

        return call

    def _stream(self, method: str, inner: Any) -> Any:
        """A stream of requests, each of which the servicer checks and answers, within the bounds of a stream."""

        async def call(requests: AsyncIterator[Any], context: Any) -> None:
            started = time.monotonic()
            stream = None
            try:
                stream = self._bounded(requests, self._admit(method, context), context)
                async with aclosing(inner(stream, context)) as responses:
                    async for response in responses:
                        stream.write_begins()
                        await context.write(response)
                        stream.write_ends()
                stream.check_end()
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                if stream is not None and stream.is_stalled:
                    await self._last_word(method, context, started)
                else:
                    self._observe(method, Reason.DEADLINE_PASSED, time.monotonic() - started)
                raise
            except Exception as error:
                await self._fail(method, context, error, started, None)
                raise
            finally:
                if stream is not None:
                    stream.close()
            self._observe(method, Reason.ACCEPTED, time.monotonic() - started)

        return call

    def _bounded(self, requests: AsyncIterator[Any], share: Share, context: Any) -> BoundStream:
        def still_welcome() -> None:
            if self._revocations is not None:
                self._revocations.check(context.peer_identities()[0], context)

        return BoundStream(
            requests,
            share,
            still_welcome,
            idle_seconds=self._limits.stream_idle_seconds,
            stall_seconds=self._limits.stream_stall_seconds,
        )

    async def _last_word(self, method: str, context: Any, started: float) -> None:
        """Tell a caller who does not read why its stream ends, if it reads at last; the task ends in any case."""
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        with suppress(TimeoutError, grpc.aio.AbortError):
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await self._fail(method, context, Refused(Reason.STREAM_STALLED), started, None)

    def _admit(self, method: str, context: Any) -> Share:
        """Identity, certificate, share, permission, then existence, in this order. The share is left with the call."""
        names = context.peer_identities()
        identity = self._identities.identity(names)
        if self._revocations is not None:
            self._revocations.check(names[0], context)
        share = self._shares.of(identity)
        share.enter()
        # Not when the answer is made but when it is sent: who never reads its answers is to run out of calls.
        context.add_done_callback(share.leave)
        share.charge(1)
        check_permission(method, identity.role, self._rules)
        if method.startswith(OURS):  # who stands in no register may still ask whether we live
            set_caller(self._identities.caller(identity))
        return share

    async def _fail(self, method: str, context: Any, error: Exception, started: float, request: Any) -> None:
        reason = reason_of(error)
        self._observe(method, reason, time.monotonic() - started)
        if reason in STATUSES:
            actor = self._identities.identity(context.peer_identities()).actor
            await self._turning_away.refuse(actor, reason, context)
        answer = rpc_status.to_status(status_of(error))
        fields = {
            "rpc": method,
            "code": answer.code.name,
            "reason": reason.name,
            "duration_ms": _since(started),
            "request_id": _loggable_id(request),
        }
        if reason is Reason.INTERNAL:
            log.error("rpc_broke", **fields, exc_info=error)
        else:
            log.info("rpc_refused", **fields)
        await context.abort(answer.code, answer.details, answer.trailing_metadata)


def _begin_batch(share: Share, request: Any) -> int:
    """Charge a batch for all its operations, of which the call has paid one; how many are under way now."""
    operations = len(request.operations)
    share.charge(operations - 1)
    share.begin(operations)
    return operations


def _unseen(method: str, reason: Reason, seconds: float) -> None:
    """Nobody looks."""


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def _loggable_id(request: Any) -> str | None:
    """The request_id if it is one: a malformed one may be anything, a card number too."""
    try:
        return str(parse_request_id(getattr(request, "request_id", "")))
    except Exception:  # noqa: BLE001  nothing to log, whatever was there
        return None
