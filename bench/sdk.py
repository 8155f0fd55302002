"""The terminal SDK beside the bare stub: the same purchases, as many at once, over as many connections.

The SDK has every one of them on disk before it is sent and again before it is told; the stub stores nothing. Clients
are spread over the tills of the bench, as a chain's till server has them: one outbox for all.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.figures import Figure, figure
from bench.house import card_number
from bench.load import purchase
from coalition.client import AioConnection, AioTerminal, ClientCertificate, OutboxFile, RetryPolicy

Purchase = Callable[[random.Random], Awaitable[Any]]


async def sdk(
    name: str, address: str, terminals: Sequence[tuple[Path, str]], clients: int, members: int, seconds: float
) -> Figure:
    """`clients` purchases at once through `AioTerminal`; a terminal is its certificate's folder and its name."""

    def buyer(till: AioTerminal) -> Purchase:
        return lambda draw: till.purchase(card_number(draw.randrange(members)), draw.randint(100, 900))

    with tempfile.TemporaryDirectory(prefix="coalition-bench-sdk-") as outboxes:
        async with AsyncExitStack() as stack:
            outbox = await stack.enter_async_context(OutboxFile(Path(outboxes) / "tills.outbox"))
            tills = []
            for folder, at in terminals:
                till = AioTerminal(address, ClientCertificate.load_folder(folder), outbox=outbox, at=at)
                tills.append(await stack.enter_async_context(till))
                await till.balance(card_number(0))  # the connection stands before the clock runs
            return await _measured(name, [buyer(till) for till in tills], clients, seconds)


async def stub(
    name: str, address: str, certificates: Sequence[Path], clients: int, members: int, seconds: float
) -> Figure:
    """The same purchases through the generated stub, sent once, one connection a certificate folder."""

    def buyer(connection: AioConnection) -> Purchase:
        return lambda draw: connection.terminal.Purchase(purchase(draw, members))

    async with AsyncExitStack() as stack:
        connections = []
        for folder in certificates:
            certificate = ClientCertificate.load_folder(folder)
            connection = AioConnection(address, certificate, retry=RetryPolicy(attempts_max=1), own_transport=True)
            connections.append(await stack.enter_async_context(connection))
            await connection.wait_until_ready(10)
        return await _measured(name, [buyer(connection) for connection in connections], clients, seconds)


async def _measured(name: str, buyers: Sequence[Purchase], clients: int, seconds: float) -> Figure:
    latencies: list[float] = []
    started = time.perf_counter()
    end = started + seconds

    async def client(buy: Purchase, draw: random.Random) -> None:
        while time.perf_counter() < end:
            before = time.perf_counter()
            await buy(draw)
            latencies.append(time.perf_counter() - before)

    await asyncio.gather(*(client(buyers[n % len(buyers)], random.Random(n)) for n in range(clients)))
    return figure(name, len(latencies), time.perf_counter() - started, latencies)
