"""The job that takes points whose last day is over. Such as come back to a sale later are taken the day after that."""

from collections.abc import Callable
from datetime import date
from typing import Final

from coalition.clearing.ending import Ended, Ending, request_id_on, taking_ended
from coalition.clearing.sweeping import Job
from coalition.domain.commands import PointsExpiry
from coalition.domain.wallet_lines import DuePoints

ACTOR: Final = "/op/points"


def expiring_points(points: Ended[DuePoints], operator_id: int, today: Callable[[], date]) -> Job:
    """The job, in the operator's name."""
    told = ("points_expired", "points_not_expired")
    return taking_ended(Ending(*told, points, lambda due, day: expiry_of(due, day, operator_id)), today)


def expiry_of(due: DuePoints, day: date, operator_id: int) -> PointsExpiry:
    """What the desk is asked on `day`."""
    return PointsExpiry(
        participant_id=operator_id,
        store_id=None,
        terminal_id=None,
        actor=ACTOR,
        request_id=request_id_on(day, f"points expiry {due.entry_id}"),
        original_entry_id=due.entry_id,
    )
