"""From the desk back to the calls that wait: all on the event loop, one hand-over a batch."""

import asyncio
from collections.abc import Sequence

from coalition.clearing.queue import Answer, Ticket


class WaitingCalls:
    """Resolves the futures that tickets carry as their context."""

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """A future that is done already belongs to a call that was cancelled; what was posted stays posted."""
        for ticket, answer in answers:
            future = ticket.context
            if isinstance(future, asyncio.Future) and not future.done():
                future.set_result(answer)


class Gathering:
    """Collects the answers of one batch call, by place, and wakes its only waiter when all are there."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self.answers: dict[int, Answer] = {}
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """Called possibly several times: a large batch call may span batches of the desk."""
        for ticket, answer in answers:
            if isinstance(ticket.context, int):
                self.answers[ticket.context] = answer
        self._missing -= len(answers)
        if self._missing == 0 and not self.complete.done():
            self.complete.set_result(None)
