"""Open lots whose bonus has expired and is still there, for the job that takes it. Reads only, a page at a time."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from coalition.domain.wallet_lines import DueBonus
from coalition.storage.lease import Lease, leased_cursor

# Along lots_bonus (bonus_expiry, lot_id). Lots whose bonus is gone already are passed over: they leave the index when
# their principal is spent.
DUE: Final = """
SELECT lot_id, bonus_expiry FROM lots
WHERE is_open AND bonus_expiry IS NOT NULL AND bonus_expiry < %s::date AND face > principal
  AND (bonus_expiry, lot_id) > (%s::date, %s::bigint)
ORDER BY bonus_expiry, lot_id LIMIT %s
"""


class BonusReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def due(self, day: date, after: DueBonus | None, limit: int) -> Sequence[DueBonus]:
        """The next open lots behind `after` (None: from the first) whose bonus ended before `day`, soonest first."""
        key: tuple[date | str, int] = (after.bonus_expiry, after.lot_id) if after else ("-infinity", 0)
        with leased_cursor(self._lease) as cursor:
            return [DueBonus(*row) for row in cursor.execute(DUE, (day, *key, limit)).fetchall()]
