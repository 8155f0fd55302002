"""Clients: calls over mTLS from one event loop, as many at once as asked for, each connection used by one of them.

The echo answers the very request the purchase sends, on a server built the same way: the two differ by the work alone.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import grpc

from bench.figures import Figure, figure
from bench.house import card_number
from coalition.client import new_request_id
from coalition.v1 import operations_pb2, terminal_pb2, terminal_pb2_grpc

BATCHES_AHEAD_PER_S: Final = 8
"""Batches made beforehand for a client; the clients of a machine that takes more make the rest as they go."""


def credentials(certificate: Path) -> grpc.ChannelCredentials:
    """From a folder as `keys` issues them."""
    return grpc.ssl_channel_credentials(
        root_certificates=(certificate / "authority.pem").read_bytes(),
        private_key=(certificate / "private.key").read_bytes(),
        certificate_chain=(certificate / "certificate.pem").read_bytes(),
    )


class Clients:
    """Connections to one server, one a concurrent client; made once, warmed before measuring."""

    def __init__(self, address: str, certificates: Sequence[Path], count: int, members: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.secure_channel(address, credentials(certificates[index % len(certificates)]), options=options)
            for index in range(count)
        ]
        self._members = members

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def unary(self, name: str, seconds: float) -> Figure:
        """Every client sends its next purchase when it has the answer of the one before."""
        latencies: list[float] = []
        started = time.perf_counter()
        end = started + seconds

        async def client(channel: grpc.aio.Channel, draw: random.Random) -> None:
            call = terminal_pb2_grpc.TerminalServiceStub(channel).Purchase
            while time.perf_counter() < end:
                before = time.perf_counter()
                await call(purchase(draw, self._members))
                latencies.append(time.perf_counter() - before)

        await asyncio.gather(*(client(channel, random.Random(n)) for n, channel in enumerate(self._channels)))
        return figure(name, len(latencies), time.perf_counter() - started, latencies)

    async def holds(self, name: str, seconds: float) -> Figure:
        """Every client authorizes, captures most of it, begins again: a figure counts pairs of calls."""
        latencies: list[float] = []
        started = time.perf_counter()
        end = started + seconds

        async def client(channel: grpc.aio.Channel, draw: random.Random) -> None:
            stub = terminal_pb2_grpc.TerminalServiceStub(channel)
            while time.perf_counter() < end:
                before = time.perf_counter()
                hold = operations_pb2.AuthorizeRequest(
                    request_id=new_request_id(),
                    card_number=card_number(draw.randrange(self._members)),
                    amount_minor=draw.randint(100, 900),
                    currency_code="CNY",
                )
                await stub.Authorize(hold)
                await stub.Capture(
                    operations_pb2.CaptureRequest(
                        request_id=new_request_id(),
                        hold_request_id=hold.request_id,
                        amount_minor=hold.amount_minor - draw.randint(0, 99),
                        currency_code="CNY",
                    )
                )
                latencies.append(time.perf_counter() - before)

        await asyncio.gather(*(client(channel, random.Random(n)) for n, channel in enumerate(self._channels)))
        return figure(name, len(latencies), time.perf_counter() - started, latencies)

    async def batches(
        self, name: str, seconds: float, size: int, terminal: Callable[[int], Any], *, half_replays: bool = False
    ) -> Figure:
        """Every client sends batches of `size` operations, as a chain's till server does.

        With `half_replays` every other operation was in the client's batch before, as after a lost answer. Batches are
        made beforehand, as the bare desk's commands are: a till server makes them on a machine of its own.
        """
        latencies: list[float] = []
        answered = 0

        def made(number: int) -> Iterator[terminal_pb2.SubmitBatchRequest]:
            draw = random.Random(number)
            sent: list[operations_pb2.Operation] = []

            def bought() -> operations_pb2.Operation:
                request = purchase(draw, self._members, terminal(draw.randrange(1000)))
                return operations_pb2.Operation(purchase=request)

            while True:
                fresh = [bought() for _ in range(size - len(sent))]
                operations = [each for pair in zip(fresh, sent, strict=True) for each in pair] if sent else fresh
                if half_replays:
                    sent = fresh[: size // 2]
                yield terminal_pb2.SubmitBatchRequest(operations=operations)

        async def client(channel: grpc.aio.Channel, requests: Iterator[terminal_pb2.SubmitBatchRequest]) -> None:
            nonlocal answered
            call = terminal_pb2_grpc.TerminalServiceStub(channel).SubmitBatch
            while time.perf_counter() < end:
                request = next(requests)
                before = time.perf_counter()
                response = await call(request)
                latencies.append(time.perf_counter() - before)
                answered += _accepted(response.results)

        count = int(seconds * BATCHES_AHEAD_PER_S)
        endless = [made(number) for number in range(len(self._channels))]
        ready = [chain(list(islice(requests, count)), requests) for requests in endless]
        started = time.perf_counter()
        end = started + seconds
        await asyncio.gather(*(client(*each) for each in zip(self._channels, ready, strict=True)))
        return figure(name, answered, time.perf_counter() - started, latencies)

    async def streams(self, name: str, seconds: float, window: int, terminal: Callable[[int], Any]) -> Figure:
        """Every client keeps up to `window` operations in flight on one stream."""
        latencies: list[float] = []
        started = time.perf_counter()
        end = started + seconds

        async def client(channel: grpc.aio.Channel, number: int) -> None:
            draw = random.Random(number)
            stream = terminal_pb2_grpc.TerminalServiceStub(channel).Stream()
            free = asyncio.Semaphore(window)
            sent: list[float] = []

            async def send() -> None:
                while time.perf_counter() < end:
                    await free.acquire()
                    sent.append(time.perf_counter())
                    operation = operations_pb2.Operation(
                        purchase=purchase(draw, self._members, terminal(draw.randrange(1000)))
                    )
                    await stream.write(terminal_pb2.StreamRequest(operation=operation))
                await stream.done_writing()

            sender = asyncio.ensure_future(send())
            answered = 0
            async for response in stream:
                _accepted([response.result])
                latencies.append(time.perf_counter() - sent[answered])
                answered += 1
                free.release()
            await sender

        await asyncio.gather(*(client(channel, n) for n, channel in enumerate(self._channels)))
        return figure(name, len(latencies), time.perf_counter() - started, latencies)


def purchase(draw: random.Random, members: int, terminal: Any = None) -> Any:
    """A purchase of a random card; amounts small enough that no card runs dry."""
    return operations_pb2.PurchaseRequest(
        request_id=new_request_id(),
        terminal=terminal,
        card_number=card_number(draw.randrange(members)),
        amount_minor=draw.randint(100, 900),
        currency_code="CNY",
    )


def _accepted(results: Sequence[Any]) -> int:
    for result in results:
        if result.WhichOneof("result") != "receipt":
            raise RuntimeError(f"a purchase of the bench was declined: {result.error.message}")
    return len(results)
