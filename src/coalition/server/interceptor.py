"""The gate every RPC passes: who are you, may you, is it well formed; then the call; then errors in their one form.

One interceptor, whose work is bound to each method once. Logs ids and durations, never a body; a success is told to
the observer alone.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from coalition.domain.reasons import Reason
from coalition.server.identity import Caller, Identities, set_caller
from coalition.server.permissions import OURS, RULES, Roles, check_permission
from coalition.server.request_ids import parse_request_id
from coalition.server.status import reason_of, status_of
from coalition.server.validation import BATCH_BYTES_MAX, UNARY_BYTES_MAX, check_message

BATCH_METHODS: Final = frozenset({"/coalition.v1.TerminalService/SubmitBatch"})

log = structlog.get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Observe: TypeAlias = Callable[[str, Reason, float], None]
"""Told (method, reason, seconds) once an RPC, on the loop; a call that its client gave up counts as DEADLINE_PASSED."""


class Gate(grpc.aio.ServerInterceptor):
    """`observe` is told of every RPC when it is over."""

    def __init__(
        self, identities: Identities, rules: Mapping[str, Roles] = RULES, *, observe: Observe | None = None
    ) -> None:
        self._identities = identities
        self._rules = rules
        self._observe = observe or _unseen
        self._handlers: dict[str, Handler] = {}

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
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codecs)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), **codecs)
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._stream(method, handler.stream_stream), **codecs)
        raise TypeError(f"{method}: a stream of requests with one answer has no gate yet; give it one here")

    def _unary(self, method: str, inner: Any) -> Any:
        bytes_max = BATCH_BYTES_MAX if method in BATCH_METHODS else UNARY_BYTES_MAX
        admit, fail, observe = self._admit, self._fail, self._observe
        monotonic = time.monotonic
        telling = logging.getLogger().isEnabledFor(logging.DEBUG)

        async def call(request: Message, context: Any) -> Any:
            started = monotonic()
            try:
                admit(method, context)
                check_message(request, bytes_max=bytes_max)
                response = await inner(request, context)
            except grpc.aio.AbortError:  # a servicer that is not ours, health, has answered already
                raise
            except asyncio.CancelledError:
                observe(method, Reason.DEADLINE_PASSED, monotonic() - started)
                raise
            except Exception as error:
                await fail(method, context, error, started, request)
                raise
            observe(method, Reason.ACCEPTED, monotonic() - started)
            if telling:
                log.debug("rpc_answered", rpc=method, code="OK", duration_ms=_since(started))
            return response

        return call

    def _stream(self, method: str, inner: Any) -> Any:
        """A response stream. Its requests are checked one by one by the servicer, which answers each."""

        async def call(requests: Any, context: Any) -> AsyncIterator[Any]:
            started = time.monotonic()
            try:
                self._admit(method, context)
                if isinstance(requests, Message):
                    check_message(requests)
                async for response in inner(requests, context):
                    yield response
            except grpc.aio.AbortError:
                raise
            except (asyncio.CancelledError, GeneratorExit):
                self._observe(method, Reason.DEADLINE_PASSED, time.monotonic() - started)
                raise
            except Exception as error:
                await self._fail(method, context, error, started, None)
                raise
            self._observe(method, Reason.ACCEPTED, time.monotonic() - started)

        return call

    def _admit(self, method: str, context: Any) -> Caller | None:
        """Identity, permission, then existence, in this order."""
        identity = self._identities.identity(context.peer_identities())
        check_permission(method, identity.role, self._rules)
        if not method.startswith(OURS):
            return None  # health and reflection: who stands in no register may still ask whether we live
        caller = self._identities.caller(identity)
        set_caller(caller)
        return caller

    async def _fail(self, method: str, context: Any, error: Exception, started: float, request: Any) -> None:
        reason = reason_of(error)
        self._observe(method, reason, time.monotonic() - started)
        status = status_of(error)
        answer = rpc_status.to_status(status)
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
