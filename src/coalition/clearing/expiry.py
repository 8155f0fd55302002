"""The job that releases holds whose time is over: finds them a page at a time, puts their expiry before the desk.

May be stopped anywhere and run by several servers at once: a hold's expiry has one request id for ever, and a hold ends
once. It never decides what has expired: the batch's own time does.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final, Protocol
from uuid import UUID

import structlog

from coalition.clearing.queue import Answer, Ticket
from coalition.domain.commands import HoldExpiry
from coalition.domain.errors import CoalitionError
from coalition.domain.journal import Outcome, micros_of
from coalition.domain.reasons import Reason
from coalition.domain.wallet_lines import DueHold

ACTOR: Final = "/op/holds"
PAGE: Final = 256  # a quarter of a batch: tills wait for no more than that
PAUSE_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class DueHolds(Protocol):
    """Open holds whose time is over, soonest first, behind one of them or from the first. Blocks."""

    def due(self, after: DueHold | None, limit: int) -> Sequence[DueHold]: ...


class Desk(Protocol):
    """Where commands are handed in; answers come through each ticket's sink."""

    def submit(self, tickets: Sequence[Ticket]) -> None: ...


@asynccontextmanager
async def expiring_holds(
    open_desk: AbstractAsyncContextManager[Desk], holds: DueHolds, operator_id: int
) -> AsyncIterator[None]:
    """The desk, open, and the job at work before it, in the operator's name; both end with the block."""
    async with open_desk as desk:
        job = asyncio.create_task(_expire_holds(desk, holds, operator_id))
        try:
            yield
        finally:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job


async def _expire_holds(desk: Desk, holds: DueHolds, operator_id: int) -> None:
    """Sweep after sweep. What cannot be released now (no window is open, the database rests) is tried in the next."""
    after: DueHold | None = None
    while True:
        try:
            page = await asyncio.to_thread(holds.due, after, PAGE)
            if page:
                await _release(desk, page, operator_id)
        except CoalitionError as error:
            log.warning("holds_not_expired", cause=str(error))
            page = ()
        except Exception:
            log.exception("holds_not_expired")
            page = ()
        after = page[-1] if len(page) == PAGE else None
        if after is None:
            await asyncio.sleep(PAUSE_SECONDS)


async def _release(desk: Desk, page: Sequence[DueHold], operator_id: int) -> None:
    """Wait until the desk has answered for every hold of the page. Raises Refused when it takes none now."""
    sink = _Page(len(page))
    desk.submit([Ticket(_expiry_of(hold, operator_id), sink) for hold in page])
    await sink.complete
    log.info("holds_expired", released=sink.released, resolved=sink.resolved, failed=sink.failed)


def _expiry_of(hold: DueHold, operator_id: int) -> HoldExpiry:
    return HoldExpiry(
        participant_id=operator_id,
        store_id=None,
        terminal_id=None,
        actor=ACTOR,
        request_id=expiry_request_id(hold),
        original_entry_id=hold.entry_id,
    )


def expiry_request_id(hold: DueHold) -> UUID:
    """The one request id of a hold's expiry: a version 7 UUID of its time, so that it lies with others of its month."""
    milliseconds = micros_of(hold.expire_time) // 1_000
    random = int.from_bytes(hashlib.sha256(f"hold expiry {hold.entry_id}".encode()).digest()[:10], "big")
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62 & 0xFFF) << 64 | 2 << 62 | random & ((1 << 62) - 1))


class _Page:
    """Counts the answers of one page and wakes the job when all are there."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self.released = self.resolved = self.failed = 0
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        for _, answer in answers:
            if not isinstance(answer, Outcome):
                self.failed += 1
            elif answer.reason is Reason.ACCEPTED:
                self.released += 1
            else:
                self.resolved += 1
        self._missing -= len(answers)
        if not self._missing and not self.complete.done():
            self.complete.set_result(None)
