"""Earned points whose last day is over and that are still there, for the job that takes them. Reads only, in pages."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from coalition.domain.wallet_lines import DuePoints
from coalition.storage.lease import Lease, leased_cursor

# Along points_moves_ending (last_day, entry_id).
DUE: Final = """
SELECT entry_id, last_day FROM points_moves
WHERE is_open AND last_day < %s::date AND (last_day, entry_id) > (%s::date, %s::bigint)
ORDER BY last_day, entry_id LIMIT %s
"""


class PointsEndReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def due(self, day: date, after: DuePoints | None, limit: int) -> Sequence[DuePoints]:
        """The next behind `after` (None: from the first) that ended before `day`, soonest first."""
        key: tuple[date | str, int] = (after.last_day, after.entry_id) if after else ("-infinity", 0)
        with leased_cursor(self._lease) as cursor:
            return [DuePoints(*row) for row in cursor.execute(DUE, (day, *key, limit)).fetchall()]
