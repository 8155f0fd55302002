"""The job that takes bonuses whose last day is over: each business date once, a page at a time, through the desk.

May be stopped anywhere and run by several servers at once: a lot has one request id a business date. It never decides
what has expired: the batch's own date does. A bonus of which a hold reserves a part is asked for again the next day.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Final, Protocol

import structlog

from coalition.clearing.sweeping import Desk, Job, derived_request_id, put_before
from coalition.domain.commands import BonusExpiry
from coalition.domain.errors import CoalitionError
from coalition.domain.wallet_lines import DueBonus

ACTOR: Final = "/op/bonuses"
PAGE: Final = 256  # a quarter of a batch: tills wait for no more than that
PAUSE_SECONDS: Final = 60.0  # so long after midnight the first may still be there

log = structlog.get_logger(__name__)


class DueBonuses(Protocol):
    """Open lots with a bonus whose last day lies before `day`, soonest first, behind one of them or from the first.

    Blocks.
    """

    def due(self, day: date, after: DueBonus | None, limit: int) -> Sequence[DueBonus]: ...


def expiring_bonuses(bonuses: DueBonuses, operator_id: int, today: Callable[[], date]) -> Job:
    """The job, in the operator's name."""
    return lambda desk: _expire_bonuses(desk, bonuses, operator_id, today)


async def _expire_bonuses(desk: Desk, bonuses: DueBonuses, operator_id: int, today: Callable[[], date]) -> None:
    """A whole sweep each business date; one in which something failed (the database rests) is made again."""
    swept: date | None = None
    while True:
        day = today()
        try:
            if day != swept and await _sweep(desk, bonuses, operator_id, day):
                swept = day
        except CoalitionError as error:
            log.warning("bonuses_not_expired", cause=str(error))
        except Exception:
            log.exception("bonuses_not_expired")
        await asyncio.sleep(PAUSE_SECONDS)


async def _sweep(desk: Desk, bonuses: DueBonuses, operator_id: int, day: date) -> bool:
    """Whether the desk has answered for every bonus that was due on `day`."""
    after: DueBonus | None = None
    taken = waiting = failed = 0
    while page := await asyncio.to_thread(bonuses.due, day, after, PAGE):
        done = await put_before(desk, [expiry_of(bonus, day, operator_id) for bonus in page])
        taken, waiting, failed = taken + done.accepted, waiting + done.declined, failed + done.failed
        after = page[-1]
    if after is not None:
        log.info("bonuses_expired", business_date=day.isoformat(), taken=taken, waiting=waiting, failed=failed)
    return not failed


def expiry_of(bonus: DueBonus, day: date, operator_id: int) -> BonusExpiry:
    """What the desk is asked on `day`: under another id each day, because a hold may have been in the way."""
    return BonusExpiry(
        participant_id=operator_id,
        store_id=None,
        terminal_id=None,
        actor=ACTOR,
        request_id=derived_request_id(
            f"bonus expiry {bonus.lot_id} {day.isoformat()}", datetime.combine(day, time.min, UTC)
        ),
        original_entry_id=bonus.lot_id,
    )
