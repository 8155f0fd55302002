"""The line of a terminal: one mTLS channel, and whether it stands. Sends each request once and never retries.

Knows the difference that matters to money: a request that never left, and one whose answer is missing.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from coalition.client.certificate import ClientCertificate
from coalition.client.channels import channel_options
from coalition.client.errors import Offline, ServerUnreachable, failure_of
from coalition.client.outbox_rows import OutboxRow
from coalition.v1.audit_pb2_grpc import AuditServiceStub
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub

AUDIT = frozenset({"GetSealedReceipt"})
"""Methods of AuditService that tills call."""
CLOSE_GRACE_S = 10.0
"""A replaced channel may finish its calls; none has a longer deadline."""


@dataclass(frozen=True, slots=True)
class LineState:
    """How a terminal stands: the line, and what is not settled."""

    is_online: bool
    waiting: int
    """Operations that wait to be undone."""
    needs_help: tuple[OutboxRow, ...]
    """Operations that the service will not undo: a person has to, and then dismisses them."""
    last_failure: str
    """Why the oldest that waits is not undone yet."""
    to_upload: int = 0
    """Sales approved offline that wait to be told."""
    closing: int = 0
    """Number of the close of the day that waits for its answer; operations wait for it. 0: none."""


class Line:
    """To `server` ("host:port") as the identity of `certificate`; made inside a running loop."""

    def __init__(self, server: str, certificate: ClientCertificate) -> None:
        self.server = server
        self._certificate = certificate
        self._closing: set[asyncio.Task[None]] = set()
        self._connect()

    @property
    def is_online(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def send(self, method: str, request: object, deadline_s: float) -> Any:
        """Send `request` to a method of TerminalService such as "Purchase", or GetSealedReceipt; its response.

        Raises Offline when nothing was sent, ServerUnreachable or CallRefused when it was.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + deadline_s
        if not self.is_online:
            try:
                await asyncio.wait_for(self._channel.channel_ready(), deadline_s)
            except (TimeoutError, grpc.aio.UsageError):  # The second: this channel was replaced while we waited.
                raise Offline(self.server) from None
        channel, left_s = self._channel, end_s - loop.time()
        if left_s <= 0:
            raise Offline(self.server)
        try:
            return await getattr(self._audit if method in AUDIT else self._stub, method)(request, timeout=left_s)
        except grpc.RpcError as error:
            failure = failure_of(error, self.server)
            if isinstance(failure, ServerUnreachable) and failure.code == "DEADLINE_EXCEEDED":
                # A cut that nobody told us of swallows every later try as well: the next one gets a new connection.
                self._replace(channel)
            raise failure from error

    async def close(self) -> None:
        """End the connection; calls under way are cancelled."""
        await self._channel.close()
        for task in tuple(self._closing):
            task.cancel()

    def _connect(self) -> None:
        options = channel_options(own_transport=True)
        self._channel = grpc.aio.secure_channel(self.server, self._certificate.credentials(), options=options)
        self._stub = TerminalServiceStub(self._channel)
        self._audit = AuditServiceStub(self._channel)

    def _replace(self, channel: grpc.aio.Channel) -> None:
        if channel is self._channel:  # Else another call has done it.
            self._connect()
            task = asyncio.ensure_future(channel.close(CLOSE_GRACE_S))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
