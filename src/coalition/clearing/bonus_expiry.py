"""The job that takes bonuses whose last day is over. One of which a hold reserves a part is left for the next day."""

from collections.abc import Callable
from datetime import date
from typing import Final

from coalition.clearing.ending import Ended, Ending, request_id_on, taking_ended
from coalition.clearing.sweeping import Job
from coalition.domain.commands import BonusExpiry
from coalition.domain.wallet_lines import DueBonus

ACTOR: Final = "/op/bonuses"


def expiring_bonuses(bonuses: Ended[DueBonus], operator_id: int, today: Callable[[], date]) -> Job:
    """The job, in the operator's name."""
    told = ("bonuses_expired", "bonuses_not_expired")
    return taking_ended(Ending(*told, bonuses, lambda bonus, day: expiry_of(bonus, day, operator_id)), today)


def expiry_of(bonus: DueBonus, day: date, operator_id: int) -> BonusExpiry:
    """What the desk is asked on `day`."""
    return BonusExpiry(
        participant_id=operator_id,
        store_id=None,
        terminal_id=None,
        actor=ACTOR,
        request_id=request_id_on(day, f"bonus expiry {bonus.lot_id}"),
        original_entry_id=bonus.lot_id,
    )
