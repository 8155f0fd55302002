"""What the jobs before the desk have in common: they end with it, derive request ids, wait for a page of answers.

Such a job may be stopped anywhere and run by several servers at once: what it asks for has one request id for ever.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from coalition.clearing.queue import Answer, Ticket
from coalition.domain.commands import Command
from coalition.domain.journal import Outcome, micros_of
from coalition.domain.reasons import Reason


class Desk(Protocol):
    """Where commands are handed in; answers come through each ticket's sink."""

    def submit(self, tickets: Sequence[Ticket]) -> None: ...


Job: TypeAlias = Callable[[Desk], Coroutine[Any, Any, None]]
"""Sweep after sweep, until it is cancelled."""


def derived_request_id(what: str, time: datetime) -> UUID:
    """The one request id of `what`: a version 7 UUID of its time."""
    milliseconds = micros_of(time) // 1_000
    random = int.from_bytes(hashlib.sha256(what.encode()).digest()[:10], "big")
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62 & 0xFFF) << 64 | 2 << 62 | random & ((1 << 62) - 1))


@asynccontextmanager
async def tended(open_desk: AbstractAsyncContextManager[Desk], jobs: Sequence[Job]) -> AsyncIterator[None]:
    """The desk, open, and the jobs at work before it; all end with the block."""
    async with open_desk as desk:
        tasks = [asyncio.create_task(job(desk)) for job in jobs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


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
