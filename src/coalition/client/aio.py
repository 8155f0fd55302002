"""The connection for event loops: the same services, errors and retries as `connection.py`, awaited."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio

from coalition.client.certificate import ClientCertificate
from coalition.client.channels import channel_options
from coalition.client.errors import ServerUnreachable, failure_of
from coalition.client.retry import RetryPolicy
from coalition.v1.audit_pb2_grpc import AuditServiceStub
from coalition.v1.events_pb2_grpc import EventServiceStub
from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.portal_pb2_grpc import PortalServiceStub
from coalition.v1.programme_pb2_grpc import ProgrammeServiceStub
from coalition.v1.settlement_pb2_grpc import SettlementServiceStub
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub

if TYPE_CHECKING:
    # The generated code has one stub class for both kinds of channel; only its type file tells them apart.
    from coalition.v1.audit_pb2_grpc import AuditServiceAsyncStub
    from coalition.v1.events_pb2_grpc import EventServiceAsyncStub
    from coalition.v1.member_pb2_grpc import MemberServiceAsyncStub
    from coalition.v1.portal_pb2_grpc import PortalServiceAsyncStub
    from coalition.v1.programme_pb2_grpc import ProgrammeServiceAsyncStub
    from coalition.v1.settlement_pb2_grpc import SettlementServiceAsyncStub
    from coalition.v1.terminal_pb2_grpc import TerminalServiceAsyncStub

Request = TypeVar("Request")
Response = TypeVar("Response")
# Types of gRPC's methods stand in quotes below: its classes take parameters in their type files only.


class AioConnection:
    """An mTLS connection to `server` ("host:port") as the identity of `certificate`; made inside a running loop."""

    def __init__(
        self,
        server: str,
        certificate: ClientCertificate,
        *,
        retry: RetryPolicy | None = None,
        own_transport: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.server = server
        self._retry = retry or RetryPolicy()
        self._sleep = sleep
        self._channel = grpc.aio.secure_channel(
            server, certificate.credentials(), options=channel_options(own_transport=own_transport)
        )
        self.terminal: TerminalServiceAsyncStub = TerminalServiceStub(self._channel)
        self.programme: ProgrammeServiceAsyncStub = ProgrammeServiceStub(self._channel)
        self.members: MemberServiceAsyncStub = MemberServiceStub(self._channel)
        self.settlement: SettlementServiceAsyncStub = SettlementServiceStub(self._channel)
        self.audit: AuditServiceAsyncStub = AuditServiceStub(self._channel)
        self.portal: PortalServiceAsyncStub = PortalServiceStub(self._channel)
        self.events: EventServiceAsyncStub = EventServiceStub(self._channel)

    async def call(self, method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """Send the request, again if need be, and return the answer. Raises CallRefused, ServerUnreachable."""
        attempt = 1
        while True:
            try:
                return await method(request, timeout=self._retry.deadline_s)
            except grpc.RpcError as error:
                failure = failure_of(error, self.server)
                pause_s = self._retry.pause_s(attempt, failure)
                if pause_s is None:
                    raise failure from error
            await self._sleep(pause_s)
            attempt += 1

    async def stream(
        self, method: "grpc.aio.StreamStreamMultiCallable[Request, Response]", requests: AsyncIterator[Request]
    ) -> AsyncIterator[Response]:
        """Send requests as they come and yield the answers. Never repeats: the caller knows what was not answered.

        Raises CallRefused, ServerUnreachable.
        """
        try:
            async for response in method(requests):
                yield response
        except grpc.RpcError as error:
            raise failure_of(error, self.server) from error

    async def wait_until_ready(self, timeout_s: float) -> None:
        """Return once the server has taken the connection. Raises ServerUnreachable after `timeout_s`."""
        try:
            await asyncio.wait_for(self._channel.channel_ready(), timeout_s)
        except TimeoutError:
            raise ServerUnreachable(self.server, "UNAVAILABLE", f"no connection within {timeout_s:g} s") from None

    async def close(self) -> None:
        """End the connection; calls under way are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
