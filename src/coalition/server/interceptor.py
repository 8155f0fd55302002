"""The gate every RPC passes: who are you, may you, is it well formed; then the call; then errors in their one form.

One interceptor, whose work is bound to each method once. Logs ids and durations, never a body; a success is counted.
"""

import asyncio
import logging
import time
from collections import Counter
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


class Gate(grpc.aio.ServerInterceptor):
    """`answered` counts (method, reason) for whoever publishes figures."""

    def __init__(self, identities: Identities, rules: Mapping[str, Roles] = RULES) -> None:
        self._identities = identities
        self._rules = rules
        self._handlers: dict[str, Handler] = {}
        self.answered: Counter[tuple[str, Reason]] = Counter()

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
        admit, fail, answered = self._admit, self._fail, self.answered
        accepted = (method, Reason.ACCEPTED)
        monotonic = time.monotonic
        telling = logging.getLogger().isEnabledFor(logging.DEBUG)

        async def call(request: Message, context: Any) -> Any:
            started = monotonic()
            try:
                admit(method, context)
                check_message(request, bytes_max=bytes_max)
                response = await inner(request, context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:
                await fail(method, context, error, started, request)
                raise
            answered[accepted] += 1
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
            except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
                raise
            except Exception as error:
                await self._fail(method, context, error, started, None)
                raise
            self.answered[method, Reason.ACCEPTED] += 1

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
        self.answered[method, reason] += 1
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


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def _loggable_id(request: Any) -> str | None:
    """The request_id if it is one: a malformed one may be anything, a card number too."""
    try:
        return str(parse_request_id(getattr(request, "request_id", "")))
    except Exception:  # noqa: BLE001  nothing to log, whatever was there
        return None
