"""Members' devices in SQL, for reception: which device a ticket belongs to, its sealed seed, the tickets of its next
codes. What a device has used is the desk's to write.
"""

from collections.abc import Sequence
from typing import Any, Final

from coalition.domain.ids import lane_of_wallet
from coalition.domain.members import KnownTicket, SealedSeed
from coalition.storage.arrays import byte_strings
from coalition.storage.lease import Cursor, Lease, leased_cursor

SEED_COLUMNS: Final = "s.card_id, s.wallet_id, s.member_id, s.record_id, s.sealed, s.tickets_until"
# Three look-ups by primary key.
TICKET: Final = f"""
SELECT t.counter, d.used_counter, d.drift, {SEED_COLUMNS}
FROM pay_tickets t JOIN devices d USING (lane, card_id) JOIN device_seeds s USING (lane, card_id)
WHERE t.token = %s
"""
SEED: Final = f"SELECT {SEED_COLUMNS} FROM device_seeds s WHERE s.lane = %s AND s.card_id = %s"
# Two devices have the same ticket once in 10**12 pairs: the first one keeps it, the other skips a code.
ADD_TICKETS: Final = """
INSERT INTO pay_tickets (token, lane, wallet_id, card_id, counter)
SELECT token, %s, %s, %s, %s::bigint + place - 1 FROM unnest(%s::bytea[]) WITH ORDINALITY AS next (token, place)
ON CONFLICT (token) DO NOTHING
"""
DELETE_TICKETS: Final = "DELETE FROM pay_tickets WHERE token = ANY(%s::bytea[])"
MOVE_TICKETS: Final = """
UPDATE device_seeds SET tickets_until = %s WHERE lane = %s AND card_id = %s AND tickets_until < %s
"""


class DeviceStore:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease, lane_count: int) -> None:
        self._lease = lease
        self._lane_count = lane_count

    def ticket(self, token: bytes) -> KnownTicket | None:
        """The device of a ticket, as it is now; nothing is locked."""
        with leased_cursor(self._lease) as cursor:
            row: tuple[Any, ...] | None = cursor.execute(TICKET, (token,)).fetchone()
        if row is None:
            return None
        counter, used_counter, drift, *seed = row
        return KnownTicket(counter, used_counter, drift, SealedSeed(*seed))

    def seed(self, wallet_id: int, card_id: int) -> SealedSeed | None:
        """The sealed seed of a wallet's device."""
        with leased_cursor(self._lease) as cursor:
            row = cursor.execute(SEED, (lane_of_wallet(wallet_id, self._lane_count), card_id)).fetchone()
        return SealedSeed(*row) if row else None

    def move_tickets(self, seed: SealedSeed, until: int, added: Sequence[bytes], dead: Sequence[bytes]) -> None:
        """Add the tickets of the counters up to (not with) `until`, remove dead ones. Doing it twice harms nothing."""
        lane = lane_of_wallet(seed.wallet_id, self._lane_count)
        with leased_cursor(self._lease) as cursor:
            add_tickets(cursor, lane, seed.wallet_id, seed.card_id, until - len(added), added)
            cursor.execute(DELETE_TICKETS, (byte_strings(dead),))
            cursor.execute(MOVE_TICKETS, (until, lane, seed.card_id, until))


def add_tickets(
    cursor: Cursor, lane: int, wallet_id: int, card_id: int, first_counter: int, tokens: Sequence[bytes]
) -> None:
    """Keep the tokens of a device's tickets, whose counters begin at `first_counter`."""
    cursor.execute(ADD_TICKETS, (lane, wallet_id, card_id, first_counter, byte_strings(tokens)))
