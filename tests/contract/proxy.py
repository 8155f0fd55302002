"""A network that fails: a TCP proxy that cuts, stalls and delays connections, by a plan drawn from its seed.

Knows bytes only: what passes is encrypted. The target may move, as a server does that is started again.
"""

import asyncio
import contextlib
import random
import threading
from dataclasses import dataclass
from typing import Self

CHUNK_BYTES = 16_384
HANDSHAKE_BYTES = 4_000
"""About what a connection needs before the first call; fewer bytes make a connection that never was one."""


@dataclass(frozen=True)
class Plan:
    """What becomes of one connection: after so many bytes to the server or to the client it stalls, then is cut."""

    to_server_bytes: int | None
    to_client_bytes: int | None
    stall_seconds: float
    delay_seconds: float


def plan_of(seed: int, connection: int) -> Plan:
    """Every third connection lives; of the others some lose a request on its way, some an answer."""
    draw = random.Random(f"{seed}:{connection}")
    fate = draw.random()
    limit = HANDSHAKE_BYTES + int(draw.expovariate(1 / 3_000))
    return Plan(
        to_server_bytes=limit if fate < 0.3 else None,
        to_client_bytes=limit if 0.3 <= fate < 0.7 else None,
        stall_seconds=draw.choice((0.0, 0.0, 0.0, 0.3)),
        delay_seconds=draw.choice((0.0, 0.0, 0.0, 0.002)),
    )


class FaultProxy:
    """Runs on a thread of its own while its context lasts; clients call `address`."""

    def __init__(self, target: str, seed: int) -> None:
        self.target = target
        self.address = ""
        self.connections = 0
        self.cuts = 0
        self._seed = seed
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        plan = plan_of(self._seed, self.connections)
        host, _, port = self.target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.ensure_future(self._pass(reader, far_writer, plan.to_server_bytes, plan)),
            asyncio.ensure_future(self._pass(far_reader, writer, plan.to_client_bytes, plan)),
        ]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the proxy ends: nobody is left to be told
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in (writer, far_writer):
                with contextlib.suppress(Exception):
                    each.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None, plan: Plan
    ) -> None:
        """Hand bytes on until either side ends or the limit is reached: not one byte beyond it."""
        passed = 0
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if plan.delay_seconds:
                    await asyncio.sleep(plan.delay_seconds)
                if limit is not None and passed + len(chunk) >= limit:
                    writer.write(chunk[: limit - passed])
                    self.cuts += 1
                    await asyncio.sleep(plan.stall_seconds)
                    return
                passed += len(chunk)
                writer.write(chunk)
                await writer.drain()
