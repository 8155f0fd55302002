"""A connection for scripts and threads: stubs of every service, and `call`, which retries and speaks plain errors."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import grpc

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

Request = TypeVar("Request")
Response = TypeVar("Response")
# Types of gRPC's methods stand in quotes below: its classes take parameters in their type files only.


class Connection:
    """An mTLS connection to `server` ("host:port") as the identity of `certificate`. Safe to share between threads.

    with Connection("127.0.0.1:7443", ClientCertificate.load(Path("var/certificates"), "t/cafe/main/till-1")) as tills:
        receipt = tills.call(tills.terminal.Purchase, PurchaseRequest(request_id=new_request_id(), ...)).receipt
    """

    def __init__(
        self,
        server: str,
        certificate: ClientCertificate,
        *,
        retry: RetryPolicy | None = None,
        own_transport: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server
        self._retry = retry or RetryPolicy()
        self._sleep = sleep
        self._channel = grpc.secure_channel(
            server, certificate.credentials(), options=channel_options(own_transport=own_transport)
        )
        self.terminal = TerminalServiceStub(self._channel)
        self.programme = ProgrammeServiceStub(self._channel)
        self.members = MemberServiceStub(self._channel)
        self.settlement = SettlementServiceStub(self._channel)
        self.audit = AuditServiceStub(self._channel)
        self.portal = PortalServiceStub(self._channel)
        self.events = EventServiceStub(self._channel)

    def call(self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """Send the request, again if need be, and return the answer. Raises CallRefused, ServerUnreachable."""
        attempt = 1
        while True:
            try:
                return method(request, timeout=self._retry.deadline_s)
            except grpc.RpcError as error:
                failure = failure_of(error, self.server)
                pause_s = self._retry.pause_s(attempt, failure)
                if pause_s is None:
                    raise failure from error
            self._sleep(pause_s)
            attempt += 1

    def stream(
        self, method: "grpc.StreamStreamMultiCallable[Request, Response]", requests: Iterator[Request]
    ) -> Iterator[Response]:
        """Send requests as they come and yield the answers. Never repeats: the caller knows what was not answered.

        Raises CallRefused, ServerUnreachable.
        """
        try:
            yield from method(requests)
        except grpc.RpcError as error:
            raise failure_of(error, self.server) from error

    def wait_until_ready(self, timeout_s: float) -> None:
        """Return once the server has taken the connection. Raises ServerUnreachable after `timeout_s`."""
        try:
            grpc.channel_ready_future(self._channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError:
            raise ServerUnreachable(self.server, "UNAVAILABLE", f"no connection within {timeout_s:g} s") from None

    def close(self) -> None:
        """End the connection; calls under way are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
