"""What the jobs that take what has ended have in common: each business date once, a page at a time, through the desk.

May be stopped anywhere and run by several servers at once: what ends has one request id a business date. The jobs never
decide what has ended: the batch's own date does. What could not be taken is asked for again the next day.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog

from coalition.clearing.sweeping import Desk, Job, derived_request_id, put_before
from coalition.domain.commands import Command
from coalition.domain.errors import CoalitionError

PAGE: Final = 256  # a quarter of a batch: tills wait for no more than that
PAUSE_SECONDS: Final = 60.0  # so long after midnight the first may still be there
Due = TypeVar("Due")

log = structlog.get_logger(__name__)


class Ended(Protocol[Due]):
    """What has ended before `day` and is still there, soonest first, behind one of them or from the first. Blocks."""

    def due(self, day: date, after: Due | None, limit: int) -> Sequence[Due]: ...


class Ending(NamedTuple):
    """What a job takes: what its log says when it did and did not, where it is found, what the desk is asked of it."""

    done: str
    not_done: str
    found: Ended[Any]
    expiry_of: Callable[[Any, date], Command]


def taking_ended(ending: Ending, today: Callable[[], date]) -> Job:
    """The job."""
    return lambda desk: _take(desk, ending, today)


def request_id_on(day: date, what: str) -> UUID:
    """One a business date: something may have been in the way before."""
    return derived_request_id(f"{what} {day.isoformat()}", datetime.combine(day, time.min, UTC))


async def _take(desk: Desk, ending: Ending, today: Callable[[], date]) -> None:
    """A whole sweep each business date; one in which something failed (the database rests) is made again."""
    swept: date | None = None
    while True:
        day = today()
        try:
            if day != swept and await _sweep(desk, ending, day):
                swept = day
        except CoalitionError as error:
            log.warning(ending.not_done, cause=str(error))
        except Exception:
            log.exception(ending.not_done)
        await asyncio.sleep(PAUSE_SECONDS)


async def _sweep(desk: Desk, ending: Ending, day: date) -> bool:
    """Whether the desk has answered for everything that was due on `day`."""
    after: Any = None
    taken = waiting = failed = 0
    while page := await asyncio.to_thread(ending.found.due, day, after, PAGE):
        done = await put_before(desk, [ending.expiry_of(each, day) for each in page])
        taken, waiting, failed = taken + done.accepted, waiting + done.declined, failed + done.failed
        after = page[-1]
    if after is not None:
        log.info(ending.done, business_date=day.isoformat(), taken=taken, waiting=waiting, failed=failed)
    return not failed
