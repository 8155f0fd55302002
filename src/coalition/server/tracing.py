"""The gate of a server that traces: around it, some calls get a span; the others pass as they are.

Knows no tracing library. A call of an unknown method gets none: its name is a stranger's.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import grpc

from coalition.domain.ids import NUMBER_SHIFT

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class CallSpan(Protocol):
    """What a traced call tells: that its task begins, the journal batch it was posted in, its end."""

    def enter(self) -> None: ...
    def posted(self, batch_number: int) -> None: ...
    def end(self) -> None: ...


class Tracer(Protocol):
    """Chooses. `traceparent` is the caller's W3C header."""

    def begin(self, method: str, traceparent: str | None) -> CallSpan | None: ...


class Tracing(grpc.aio.ServerInterceptor):
    """Stands around the gate, so that what the gate refuses is traced too."""

    def __init__(self, tracer: Tracer, gate: grpc.aio.ServerInterceptor) -> None:
        self._begin = tracer.begin
        self._gate = gate.intercept_service

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        handler = await self._gate(continuation, handler_call_details)
        if handler is None:
            return None
        traceparent: str | None = None
        for key, value in handler_call_details.invocation_metadata or ():
            if key == "traceparent" and isinstance(value, str):
                traceparent = value
        span = self._begin(handler_call_details.method, traceparent)
        return handler if span is None else _traced(handler, span)


def _traced(handler: Handler, span: CallSpan) -> Handler:
    codecs = {"request_deserializer": handler.request_deserializer, "response_serializer": handler.response_serializer}
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(_unary(handler.unary_unary, span), **codecs)
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(_stream(handler.unary_stream, span), **codecs)
    return grpc.stream_stream_rpc_method_handler(_stream(handler.stream_stream, span), **codecs)


def _unary(inner: Any, span: CallSpan) -> Any:
    async def call(request: Any, context: Any) -> Any:
        span.enter()
        try:
            response = await inner(request, context)
            receipt = getattr(response, "receipt", None)
            if receipt is not None and receipt.entry_id:
                span.posted(receipt.entry_id >> NUMBER_SHIFT)
            return response
        finally:
            span.end()

    return call


def _stream(inner: Any, span: CallSpan) -> Any:
    async def call(requests: Any, context: Any) -> None:
        span.enter()
        try:
            await inner(requests, context)  # the gate writes the answers, and tells its own before the end
        finally:
            span.end()

    return call
