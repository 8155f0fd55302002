"""From the desk's thread back to the event loop: one hand-over a batch, however many calls wait for it.

Each wake-up of the loop from another thread is a system call; at 64 calls a batch, one instead of 64.
"""

import asyncio
from collections.abc import Sequence

from coalition.clearing.queue import Answer, Ticket


class LoopSink:
    """Resolves the futures that tickets carry as their context, on the loop they belong to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """Called on the desk's thread. A loop that has ended has nobody waiting; what was posted stays posted."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: Sequence[tuple[Ticket, Answer]]) -> None:
    for ticket, answer in answers:
        future = ticket.context
        if isinstance(future, asyncio.Future) and not future.done():
            future.set_result(answer)


class GatheringSink:
    """Collects the answers of one batch call, by place, and wakes its only waiter when all are there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self._loop = loop
        self._missing = count
        self.answers: dict[int, Answer] = {}
        self.complete: asyncio.Future[None] = loop.create_future()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """Called on a desk's thread, possibly several times: a large batch call may span batches, and desks."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._gather, answers)

    def _gather(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        for ticket, answer in answers:
            if isinstance(ticket.context, int):
                self.answers[ticket.context] = answer
        self._missing -= len(answers)
        if self._missing == 0 and not self.complete.done():
            self.complete.set_result(None)
