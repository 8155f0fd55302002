"""Whoever watches the desk is told sizes, waits and answers; a desk that nobody watches measures nothing."""

import asyncio
import itertools
from collections.abc import Sequence

from coalition.clearing.desk import Desk
from coalition.clearing.queue import Answer, Ticket
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from tests.clearing.desks import Collector, Scripted, tickets_for
from tests.clearing.house import House


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, float, float]] = []
        self.answered: list[Answer] = []

    def batch(self, size: int, oldest_wait_seconds: float, seconds: float) -> None:
        self.batches.append((size, oldest_wait_seconds, seconds))

    def answers(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        self.answered.extend(answer for _, answer in answers)


class Clock:
    """One second further each time somebody looks."""

    def __init__(self) -> None:
        self._seconds = itertools.count(100)

    def __call__(self) -> float:
        return float(next(self._seconds))

    @property
    def looks(self) -> int:
        return next(self._seconds) - 100


def test_a_watcher_is_told_of_every_batch_and_every_answer(house: House) -> None:
    """Put at 100, sent at 102 (101 is the look for late ones), answered at 103; what comes meanwhile waits for it."""

    async def scene() -> None:
        watcher, sink, workers = Watcher(), Collector(), Scripted()
        desk = Desk(workers.open, 1, batch_max=8, queue_max=100, clock=Clock(), observer=watcher)
        tickets = tickets_for([house.purchase("cafe", bytes([number]) * 32, 1) for number in range(3)], sink)
        async with desk:
            assert 1 == desk.worker_count
            desk.submit(tickets)
            end, commands = await workers.next_batch()
            workers.answer(end, commands)
            answers = await sink.wait_for(tickets)
        assert [(3, 2.0, 1.0)] == watcher.batches
        assert answers == watcher.answered

    asyncio.run(scene())


def test_a_watcher_is_told_of_what_was_too_late_for_a_batch(house: House) -> None:
    async def scene() -> None:
        watcher, sink, workers = Watcher(), Collector(), Scripted()
        desk = Desk(workers.open, 1, batch_max=8, queue_max=100, clock=Clock(), observer=watcher)
        late = Ticket(house.purchase("cafe", b"\x01" * 32, 1), sink, deadline=0.0)
        async with desk:
            desk.submit([late])
            await sink.wait_for([late])
        assert [] == watcher.batches
        (answer,) = watcher.answered
        assert isinstance(answer, Refused)
        assert Reason.DEADLINE_PASSED == answer.reason

    asyncio.run(scene())


def test_a_desk_that_nobody_watches_looks_at_the_clock_once_a_batch(house: House) -> None:
    """For late ones; figures that nobody reads cost nothing."""

    async def scene() -> None:
        clock, sink, workers = Clock(), Collector(), Scripted()
        desk = Desk(workers.open, 1, batch_max=8, queue_max=100, clock=clock)
        tickets = tickets_for([house.purchase("cafe", bytes([number]) * 32, 1) for number in range(3)], sink)
        async with desk:
            desk.submit(tickets)
            workers.answer(*await workers.next_batch())
            await sink.wait_for(tickets)
        assert 1 == clock.looks
        assert {0.0} == {ticket.put_time for ticket in tickets}

    asyncio.run(scene())
