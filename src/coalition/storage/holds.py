"""Open holds whose time is over, for the job that writes their expiry. Reads only, a page at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from coalition.domain.wallet_lines import DueHold
from coalition.storage.lease import Lease, leased_cursor

# Along holds_open (expire_time, entry_id).
DUE: Final = """
SELECT entry_id, expire_time FROM holds
WHERE is_open AND expire_time <= now() AND (expire_time, entry_id) > (%s::timestamptz, %s::bigint)
ORDER BY expire_time, entry_id LIMIT %s
"""


class HoldReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def due(self, after: DueHold | None, limit: int) -> Sequence[DueHold]:
        """The next open holds behind `after` (None: from the first) whose time is over, soonest first."""
        key: tuple[datetime | str, int] = (after.expire_time, after.entry_id) if after else ("-infinity", 0)
        with leased_cursor(self._lease) as cursor:
            return [DueHold(*row) for row in cursor.execute(DUE, (*key, limit)).fetchall()]
