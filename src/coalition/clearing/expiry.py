"""The job that releases holds whose time is over: finds them a page at a time, puts their expiry before the desk.

May be stopped anywhere and run by several servers at once: a hold's expiry has one request id for ever, and a hold ends
once. It never decides what has expired: the batch's own time does.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from coalition.clearing.sweeping import Desk, Job, derived_request_id, put_before
from coalition.domain.commands import HoldExpiry
from coalition.domain.errors import CoalitionError
from coalition.domain.wallet_lines import DueHold

ACTOR: Final = "/op/holds"
PAGE: Final = 256  # a quarter of a batch: tills wait for no more than that
PAUSE_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class DueHolds(Protocol):
    """Open holds whose time is over, soonest first, behind one of them or from the first. Blocks."""

    def due(self, after: DueHold | None, limit: int) -> Sequence[DueHold]: ...


def expiring_holds(holds: DueHolds, operator_id: int) -> Job:
    """The job, in the operator's name."""
    return lambda desk: _expire_holds(desk, holds, operator_id)


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
    done = await put_before(desk, [_expiry_of(hold, operator_id) for hold in page])
    log.info("holds_expired", released=done.accepted, resolved=done.declined, failed=done.failed)


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
    """The one request id of a hold's expiry: it lies with others of its month."""
    return derived_request_id(f"hold expiry {hold.entry_id}", hold.expire_time)
