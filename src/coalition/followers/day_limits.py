"""Day limits: after each step of the day totals, which counters have reached what was agreed (watch.py)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import structlog

from coalition.domain.day_limits import DayKey
from coalition.domain.programme import Programme
from coalition.followers.watch import NEAR_PERCENT, Watch
from coalition.storage import day_limits as store
from coalition.storage.connect import Connection
from coalition.storage.day_totals import DAY_TOTALS
from coalition.storage.folds import Fold

DAYS_REMEMBERED: Final = 2  # of which a counter's warning is not repeated

log = structlog.get_logger(__name__)


class DayLimitsWatch(Watch):
    """Of the counters that a step has moved, those that are full now."""

    kind = "LIMITS"

    def __init__(self) -> None:
        super().__init__()
        self._warned: dict[DayKey, int] = {}  # of which limit

    def look(self, connection: Connection, programme: Programme, after: int, up_to: int) -> bool:
        """Record what is full; a counter is full for good, unless its limit is raised."""
        moved = store.moved(connection, programme.participants.keys(), after)
        self._forget_past_days(moved)
        full = self._full(programme, moved, store.reached(connection))
        if full:
            store.record(connection, full, up_to)
        return bool(full)

    def _full(
        self, programme: Programme, moved: Mapping[DayKey, tuple[int, int]], known: Mapping[DayKey, int]
    ) -> dict[DayKey, int]:
        full: dict[DayKey, int] = {}
        for key, (participant_id, total) in moved.items():
            limits = programme.day_limits(participant_id, key.business_date)
            limit = limits.limit(key.subject, key.flow) if limits else None
            if limit is None:
                continue
            if total >= limit and known.get(key, 0) < limit:
                full[key] = total
                _tell("day_limit_reached", key, total, limit)
            elif total * 100 < limit * NEAR_PERCENT:
                self._warned.pop(key, None)
            elif total < limit and self._warned.get(key) != limit:
                self._warned[key] = limit
                _tell("day_limit_near", key, total, limit)
        return full

    def _forget_past_days(self, moved: Iterable[DayKey]) -> None:
        """Of days before yesterday nothing moves any more but by a sale that is told late."""
        newest = max((key.business_date for key in moved), default=None)
        if newest is not None:
            self._warned = {
                key: limit for key, limit in self._warned.items() if (newest - key.business_date).days < DAYS_REMEMBERED
            }


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
