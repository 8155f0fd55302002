"""The service as the gateway calls it: gRPC over mTLS, a channel per identity, the same request again until time is up.

Decides about nothing: it tells a receipt, a refusal that is final, or that nobody answered.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from coalition.gateway.errors import Declined, NoAnswer
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub

FIRST_PAUSE_S: Final = 0.05
PAUSE_MAX_S: Final = 1.0
HEALTH_SECONDS: Final = 2.0
# The server's own bounds: 1 MiB a request, 4 MiB an answer.
OPTIONS: Final = (
    ("grpc.max_send_message_length", 1024 * 1024),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
)
NEVER_POSTED: Final = frozenset(
    {"QUEUE_FULL", "RATE_EXCEEDED", "CALLS_EXCEEDED", "NO_OPEN_WINDOW", "SERVER_DRAINING", "DEADLINE_PASSED"}
)
"""Reasons that say so: nothing was kept of this attempt."""
AGAIN_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Ends of a call after which the same request may be answered otherwise."""
GATE_CODES: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})


@dataclass(frozen=True, slots=True)
class Pem:
    """The certificate of an identity, its key, and the authority it trusts in servers."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    authority: bytes = field(repr=False)


class TerminalCalls:
    """Calls `server` ("host:port") as the identities whose certificates `pem_of` knows. Made inside a running loop."""

    def __init__(self, server: str, pem_of: Callable[[str], Pem]) -> None:
        self._server = server
        self._pem_of = pem_of
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def send(self, identity: str, method: str, request: Any, seconds: float) -> Any:
        """The answer of a method of TerminalService. Raises Declined, NoAnswer after `seconds`."""
        call = getattr(TerminalServiceStub(self._channel(identity)), method)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        pause_s, maybe_posted = FIRST_PAUSE_S, False
        while True:
            try:
                return await call(request, timeout=max(end - loop.time(), 0.001))
            except grpc.aio.AioRpcError as error:
                reason = reason_of(error)
                if error.code() in GATE_CODES and maybe_posted:
                    # Shut out after an attempt that may have got in: this refusal says nothing about that one.
                    raise NoAnswer(reason, maybe_posted=True) from None
                if error.code() not in AGAIN_CODES or reason == "MESSAGE_TOO_LARGE":
                    raise Declined(reason) from None
            maybe_posted = maybe_posted or reason not in NEVER_POSTED
            if loop.time() + pause_s >= end:
                raise NoAnswer(reason, maybe_posted=maybe_posted)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def is_serving(self, identity: str) -> bool:
        """Whether the server answers its health check."""
        # The type file knows nothing of the stub's methods.
        stub: Any = health_pb2_grpc.HealthStub(self._channel(identity))
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """End every connection; calls under way are cancelled."""
        for channel in self._channels.values():
            await channel.close()

    def _channel(self, identity: str) -> grpc.aio.Channel:
        channel = self._channels.get(identity)
        if channel is None:
            pem = self._pem_of(identity)
            credentials = grpc.ssl_channel_credentials(pem.authority, pem.key, pem.certificate)
            channel = self._channels[identity] = grpc.aio.secure_channel(self._server, credentials, options=OPTIONS)
        return channel


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The stable name of a refusal; without one the name of gRPC's own code."""
    try:
        # The helper reads what both kinds of error have; its type file names one of them.
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        status = None  # the code beside the details is another one: what gRPC itself says will do
    info = ErrorInfo()
    for detail in status.details if status else ():
        if detail.Is(ErrorInfo.DESCRIPTOR) and detail.Unpack(info):
            return info.reason
    return error.code().name
