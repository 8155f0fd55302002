"""What is left to do of merges, for the job that moves their value. Reads only, a page at a time."""

from collections.abc import Sequence
from typing import Final

from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.wallet_lines import LeftBehind, UnderWay
from coalition.storage.lease import Lease, leased_cursor

# Along wallets_merged: as many as members were merged ever, of which few have anything.
LEFT_BEHIND: Final = f"""
SELECT w.wallet_id, l.lot_id, w.last_entry_id,
       (SELECT time FROM batches WHERE number = w.last_entry_id >> {NUMBER_SHIFT})
FROM wallets w JOIN lots l ON l.lane = w.lane AND l.wallet_id = w.wallet_id AND l.is_open
WHERE w.merged_into IS NOT NULL AND w.balance_minor > 0 AND l.reserved = 0
ORDER BY w.wallet_id, l.lot_id LIMIT %s
"""
# Along transits_open, in the order in which it was sent.
UNDER_WAY: Final = f"""
SELECT entry_id, to_wallet_id, (SELECT time FROM batches WHERE number = entry_id >> {NUMBER_SHIFT})
FROM transits WHERE is_open ORDER BY entry_id LIMIT %s
"""


class MergeReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def left_behind(self, limit: int) -> Sequence[LeftBehind]:
        """Lots that lie in merged wallets."""
        with leased_cursor(self._lease) as cursor:
            return [LeftBehind(*row) for row in cursor.execute(LEFT_BEHIND, (limit,)).fetchall()]

    def under_way(self, limit: int) -> Sequence[UnderWay]:
        """What was sent and has not arrived."""
        with leased_cursor(self._lease) as cursor:
            return [UnderWay(*row) for row in cursor.execute(UNDER_WAY, (limit,)).fetchall()]
