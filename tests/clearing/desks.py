"""What the desk's tests need: a sink that counts, workers that are threads, stores and sockets that fail at a step."""

import asyncio
import itertools
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

import pytest
import uvloop

from coalition.clearing.desk import Desk, OpenWorker
from coalition.clearing.frames import LENGTH_BYTES, READY, answers_frame, commands_of
from coalition.clearing.queue import Answer, Ticket
from coalition.clearing.store import Batch, Store
from coalition.clearing.worker import work
from coalition.domain.commands import Command
from coalition.domain.errors import Refused, StoreUnavailable
from coalition.domain.reasons import Reason
from tests.clearing.house import House
from tests.clearing.pins import Checker

THREAD_SECONDS = 20.0
CLOSE_SECONDS = 30.0
Run = Callable[[Coroutine[Any, Any, None]], None]
# What the server runs on, and Python's own: they tell of a lost connection in different turns.
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Strikes = Callable[[int], bool]
"""Which of the batches, the first being 1, are struck."""


class Collector:
    """A sink that remembers what it was given, and how often."""

    def __init__(self) -> None:
        self.answers: dict[Ticket, Answer] = {}
        self.told: Counter[Ticket] = Counter()
        self.deliveries = 0
        self._changed = asyncio.Event()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        self.deliveries += 1
        self.answers.update(answers)
        self.told.update(ticket for ticket, _ in answers)
        self._changed.set()

    async def wait_for(self, tickets: Sequence[Ticket], seconds: float = 30) -> list[Answer]:
        async with asyncio.timeout(seconds):
            while any(ticket not in self.answers for ticket in tickets):
                self._changed.clear()
                await self._changed.wait()
        return [self.answers[ticket] for ticket in tickets]


def tickets_for(commands: Sequence[Command], sink: Collector) -> list[Ticket]:
    return [Ticket(command, sink) for command in commands]


class Hands:
    """Workers as threads on the other ends of their sockets, each with a store from `make`."""

    def __init__(self, make: Callable[[], Store], end: Callable[[socket.socket], socket.socket] = lambda end: end):
        self._make = make
        self._end = end
        self.threads: list[threading.Thread] = []
        self.ends: list[socket.socket] = []

    def open(self) -> socket.socket:
        """Start one; the desk's end of its socket."""
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._work, args=(self._end(theirs), self._make()), daemon=True)
        self.ends.append(theirs)
        self.threads.append(thread)
        thread.start()
        return ours

    @staticmethod
    def _work(end: socket.socket, store: Store) -> None:
        with suppress(SystemExit):  # how these workers die
            work(end, store, time.sleep, Checker())

    def check_ended(self) -> None:
        """No worker outlives its desk."""
        for thread in self.threads:
            thread.join(THREAD_SECONDS)
            assert not thread.is_alive(), "a worker goes on without its desk"


@asynccontextmanager
async def desk_of(
    open_worker: OpenWorker, *, workers: int = 1, batch_max: int = 256, queue_max: int = 1_000
) -> AsyncIterator[Desk]:
    """A desk on this loop. It closes within a bound, and after a failed test not at all: that would hang with it."""
    desk = Desk(open_worker, workers, batch_max=batch_max, queue_max=queue_max, clock=time.monotonic)
    await desk.__aenter__()
    yield desk
    async with asyncio.timeout(CLOSE_SECONDS):
        await desk.__aexit__(None, None, None)


@asynccontextmanager
async def open_desk(
    hands: Hands, *, workers: int = 1, batch_max: int = 256, queue_max: int = 1_000
) -> AsyncIterator[Desk]:
    """The same with workers that must end afterwards."""
    async with desk_of(hands.open, workers=workers, batch_max=batch_max, queue_max=queue_max) as desk:
        yield desk
    await asyncio.to_thread(hands.check_ended)


class Interference:
    """Hands out stores; of the batches of all of them, those that `strikes` picks meet a fault at a named step.

    "locked": claimed, locked and read, nothing written yet; "committed": written and committed, nobody told yet.
    """

    def __init__(self, house: House, step: str, fault: Callable[[House], None], strikes: Strikes) -> None:
        self._house = house
        self._step = step
        self._fault = fault
        self._strikes = strikes
        self._numbers = itertools.count(1)
        self.faults = 0

    def store(self) -> Store:
        return _Interfered(self, self._house.store())

    def picks_next_batch(self) -> bool:
        return self._strikes(next(self._numbers))

    def strike(self, step: str) -> None:
        if step == self._step:
            self.faults += 1
            self._fault(self._house)


class _Interfered:
    def __init__(self, owner: Interference, store: Store) -> None:
        self._owner = owner
        self._store = store

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        struck = self._owner.picks_next_batch()
        with self._store.batch() as batch:
            yield _Struck(batch, self._owner) if struck else batch

    def unanswered(self, commands: Sequence[Command]) -> Any:
        return self._store.unanswered(commands)

    def count_tries(self, commands: Sequence[Any]) -> Any:
        return self._store.count_tries(commands)

    def close(self) -> None:
        self._store.close()


class _Struck:
    def __init__(self, batch: Any, owner: Interference) -> None:
        self._batch, self._owner = batch, owner

    def prefetch(self, commands: Sequence[Command]) -> Any:
        prefetched = self._batch.prefetch(commands)
        self._owner.strike("locked")
        return prefetched

    def write(self, *parts: Any) -> None:
        self._batch.write(*parts)
        self._owner.strike("committed")


def kill_backends(house: House) -> None:
    """The database throws the desk out."""
    house.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'coalition desk'"
        " AND datname = current_database()"
    )


def lose_the_answer(_: House) -> None:
    """The connection broke, whatever the database did before."""
    raise StoreUnavailable("lost in COMMIT")


def die(_: House) -> None:
    """The worker ends where it is, without a word."""
    raise SystemExit


class Mouth:
    """A worker's end of its socket with a way of saying its answers of its own: `say(socket, frame)`."""

    def __init__(self, end: socket.socket, say: Callable[[socket.socket, bytes], None]) -> None:
        self._end = end
        self._say = say

    def sendall(self, frame: bytes) -> None:
        if frame == READY:
            self._end.sendall(frame)
        else:
            self._say(self._end, frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)


def speaking(say: Callable[[socket.socket, bytes], None]) -> Callable[[socket.socket], socket.socket]:
    """Ends of sockets that say their answers this way, for `Hands`."""
    return lambda end: cast("socket.socket", Mouth(end, say))


class Scripted:
    """Workers that do what the test says: batches are read at their ends, and answered when it is time."""

    def __init__(self) -> None:
        self._ends: list[socket.socket] = []

    def open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(READY)
        self._ends.append(theirs)
        return ours

    async def next_batch(self) -> tuple[socket.socket, list[Command]]:
        """The next batch that any worker is given, and that worker's end."""
        return await asyncio.to_thread(self._next_batch)

    def answer(self, end: socket.socket, commands: Sequence[Command]) -> None:
        end.sendall(answers_frame([Refused(Reason.CARD_UNKNOWN)] * len(commands)))

    def die(self, end: socket.socket) -> None:
        self._ends.remove(end)
        end.close()

    def _next_batch(self) -> tuple[socket.socket, list[Command]]:
        until = time.monotonic() + 10
        while not (heard := select.select(self._ends, [], [], 0.02)[0]):
            assert time.monotonic() < until, "no worker is given a batch"
        length = int.from_bytes(heard[0].recv(LENGTH_BYTES, socket.MSG_WAITALL), "big")
        return heard[0], commands_of(heard[0].recv(length, socket.MSG_WAITALL))
