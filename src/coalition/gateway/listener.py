"""The listener: TCP or TLS connections, two length bytes before each message, bounds on all a stranger can choose.

Closes a connection whose bytes it cannot read; never ends because of one. Messages of one connection are answered as
they are done, which may be in another order: an answer is told by its STAN and terminal id.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import iso8583
import structlog

from coalition.gateway import codes
from coalition.gateway.errors import ListenerRefused, Unreadable
from coalition.gateway.fields import Field
from coalition.gateway.message import Codec, Message

LENGTH_BYTES: Final = 2
SPIFFE: Final = "spiffe://"
log = structlog.get_logger(__name__)
Answer = Callable[[Message, str | None], Awaitable[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one peer, and all peers together, may take. Seconds and bytes."""

    message_bytes_max: int = 4096
    """Twice the longest message of the field table that we have a use for."""
    unread_bytes_max: int = 65_536
    """Answers that the kernel keeps for a peer that does not read; it would grow this to megabytes by itself."""
    connections_max: int = 512
    in_flight_max: int = 64
    """Messages of one connection that wait for their answers; then it is not read from."""
    idle_seconds: float = 600.0
    message_seconds: float = 10.0
    """From the first byte of a message to its last, and for an answer to be taken."""
    drain_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. `clients` is the authority whose certificates senders must show; None asks for none."""

    certificate: Path
    key: Path
    clients: Path | None = None

    def context(self) -> ssl.SSLContext:
        """What the port is opened with. Raises ListenerRefused."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self.certificate, self.key)
            if self.clients is not None:
                context.load_verify_locations(self.clients)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise ListenerRefused(
                f"the TLS files cannot be used ({error.strerror or type(error).__name__}); each must be a PEM file, "
                "and the key that of the certificate"
            ) from None
        return context


class Listener:
    """`answer` gives the fields of the answer to a message; it raises Unreadable for what has none."""

    def __init__(self, answer: Answer, codec: Codec, bounds: Bounds, tls: ssl.SSLContext | None) -> None:
        self._answer = answer
        self._codec = codec
        self._bounds = bounds
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""

    async def open(self, listen: str) -> Self:
        """Take connections at `listen`, host:port. Raises ListenerRefused."""
        host, _, port = listen.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._taken,
                host.strip("[]"),
                int(port),
                ssl=self._tls,
                limit=2 * self._bounds.message_bytes_max,
                ssl_handshake_timeout=self._bounds.message_seconds if self._tls else None,
            )
        except OSError as error:
            raise ListenerRefused(f"cannot listen on {listen}: {error.strerror}; choose another --listen") from None
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def close(self) -> None:
        """Take no more messages, answer those that came, then end every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._bounds.drain_seconds + 1)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._bounds.connections_max:
            log.warning("gateway_connection_refused", connections=len(self._connections))
            writer.transport.abort()
            return
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._bounds.unread_bytes_max)
        self._connections.add(task)
        try:
            await _Connection(reader, writer, self._answer, self._codec, self._bounds).serve()
        finally:
            self._connections.discard(task)


class _Connection:
    """One peer: reads, hands each message to a task of its own, writes answers."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        codec: Codec,
        bounds: Bounds,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._codec = codec
        self._bounds = bounds
        self._peer = peer_identity(writer)
        self._places = asyncio.Semaphore(bounds.in_flight_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    async def serve(self) -> None:
        """Until the peer goes, sends what cannot be read, or is too slow; or the gateway stops."""
        why = "ended"
        try:
            while True:
                body = await self._read()
                if body:
                    message = self._request(body)
                    await self._places.acquire()
                    task = asyncio.create_task(self._reply(message))
                    self._tasks.add(task)
                    task.add_done_callback(self._done)
        except Unreadable as error:
            why = str(error)
        except TimeoutError:
            why = "idle or too slow"
        except (asyncio.IncompleteReadError, OSError):
            why = "left"
        except asyncio.CancelledError:
            why = "gateway stops"
        log.info("gateway_connection_closed", why=why)
        if self._tasks and why != "idle or too slow":
            # What came is answered, if somebody still listens.
            await asyncio.wait(self._tasks, timeout=self._bounds.drain_seconds)
        await self._end()

    async def _read(self) -> bytes:
        """The next message; empty for the zero length by which hosts keep a connection alive."""
        async with asyncio.timeout(self._bounds.idle_seconds):
            first = await self._reader.readexactly(1)
        async with asyncio.timeout(self._bounds.message_seconds):
            length = int.from_bytes(first + await self._reader.readexactly(LENGTH_BYTES - 1), "big")
            if length > self._bounds.message_bytes_max:
                raise Unreadable("message too long")
            return await self._reader.readexactly(length)

    def _request(self, body: bytes) -> Message:
        message = self._codec.decode(body)
        if codes.answer_mti(message.mti) is None:
            raise Unreadable("no request")
        return message

    async def _reply(self, message: Message) -> None:
        try:
            fields = await self._answer(message, self._peer)
            body = self._encoded(message, fields)
        except Exception:  # one message never ends the others
            log.exception("gateway_message_broke", mti=message.mti)
            body = self._encoded(message, {"t": codes.answer_mti(message.mti) or "", Field.RESPONSE_CODE: codes.BROKEN})
        try:
            async with self._writing, asyncio.timeout(self._bounds.message_seconds):
                self._writer.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
                await self._writer.drain()
        except (TimeoutError, OSError):
            self._writer.transport.abort()

    def _encoded(self, message: Message, fields: dict[str, str]) -> bytes:
        try:
            return self._codec.encode(fields, message.envelope)
        except iso8583.EncodeError:
            log.exception("gateway_answer_broke", mti=message.mti)
            bare = {number: fields[number] for number in ("t", Field.RESPONSE_CODE)}
            return self._codec.encode(bare, message.envelope)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _end(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(self._bounds.message_seconds):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()


def peer_identity(writer: asyncio.StreamWriter) -> str | None:
    """The identity in the sender's certificate, such as t/cafe/main/till-1; None where none was asked for."""
    tls = writer.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        return None
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    if len(names) == 1 and names[0].startswith(SPIFFE):
        return str(names[0]).removeprefix(SPIFFE).partition("/")[2]
    return ""
