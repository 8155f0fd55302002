"""What jobs of the house put before the desk by themselves: a page of commands at a time, each under an id of its own.

The id follows from what is done, so that several servers may do it at once: what another did is a replay.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from coalition.clearing.queue import Answer, Ticket
from coalition.domain.commands import Command
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason


class Desk(Protocol):
    """Where commands are handed in; answers come through each ticket's sink."""

    def submit(self, tickets: Sequence[Ticket]) -> None: ...


class Page:
    """Counts the answers of one page and wakes the job when all are there."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self.accepted = self.declined = self.failed = 0
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        for _, answer in answers:
            if not isinstance(answer, Outcome):
                self.failed += 1
            elif answer.reason is Reason.ACCEPTED:
                self.accepted += 1
            else:
                self.declined += 1
        self._missing -= len(answers)
        if not self._missing and not self.complete.done():
            self.complete.set_result(None)


async def put_before(desk: Desk, commands: Sequence[Command]) -> Page:
    """Wait until the desk has answered for every command. Raises Refused when it takes none now."""
    page = Page(len(commands))
    if commands:
        desk.submit([Ticket(command, page) for command in commands])
        await page.complete
    return page


def derived_request_id(milliseconds: int, what: str) -> UUID:
    """The one request id of a job's doing: a version 7 UUID of its time, so that it lies with others of its month."""
    random = int.from_bytes(hashlib.sha256(what.encode()).digest()[:10], "big")
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62 & 0xFFF) << 64 | 2 << 62 | random & ((1 << 62) - 1))
