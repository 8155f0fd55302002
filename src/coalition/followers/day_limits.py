"""Day limits: after each step of the day totals, which counters have reached what was agreed.

No desk keeps a counter for them. What has reached its limit is recorded and raises the programme's epoch, in the step's
own transaction: a batch that begins after it declines. So a limit is passed at most by what was posted between the
entry that reaches it and the end of the step that folds it (a follower's lag, well below a second), and by batches that
were under way then.
"""

from dataclasses import replace
from typing import Final

import structlog

from coalition.domain.day_limits import DayKey
from coalition.domain.programme import Programme
from coalition.storage import day_limits as store
from coalition.storage.connect import Connection
from coalition.storage.day_totals import DAY_TOTALS
from coalition.storage.folds import Fold
from coalition.storage.programme import load

NEAR_PERCENT: Final = 80

log = structlog.get_logger(__name__)


class DayLimitsWatch:
    """Looks at what each step moved. Belongs to one ledger."""

    def __init__(self) -> None:
        self._programme: Programme | None = None
        self._near: set[DayKey] = set()

    def stepped(self, connection: Connection, after: int, up_to: int) -> None:
        """Record what is full now; warn once of what is near."""
        if not store.any_limits(connection):
            return
        programme = self._current(connection)
        moved = store.moved(connection, programme.participants.keys(), after)
        known = store.reached(connection)
        full: dict[DayKey, int] = {}
        for key, (participant_id, total) in moved.items():
            limits = programme.day_limits(participant_id, key.business_date)
            limit = limits.limit(key.subject, key.flow) if limits else None
            if limit is None:
                continue
            if total >= limit and known.get(key, 0) < limit:
                full[key] = total
                self._tell("day_limit_reached", key, total, limit)
            elif total * 100 >= limit * NEAR_PERCENT and total < limit and key not in self._near:
                self._near.add(key)
                self._tell("day_limit_near", key, total, limit)
        if full:
            store.record(connection, full, up_to)

    def _current(self, connection: Connection) -> Programme:
        # Loading costs milliseconds and this runs a few times a second: read anew only what has changed.
        if self._programme is None or self._programme.epoch != store.epoch(connection):
            self._programme = load(connection)
            self._near.clear()
        return self._programme

    @staticmethod
    def _tell(event: str, key: DayKey, total: int, limit: int) -> None:
        log.warning(
            event,
            business_date=key.business_date.isoformat(),
            subject=key.subject.name,
            subject_id=key.subject_id,
            flow=key.flow.name,
            total_minor=total,
            limit_minor=limit,
        )


def day_totals() -> Fold:
    """The day totals fold with a watch over limits, for one ledger."""
    return replace(DAY_TOTALS, stepped=DayLimitsWatch().stepped)
