"""What leaves are the hashes of: entries read whole, in tree order; and where in the tree an entry is.

Reads what is folded and signed already; changes nothing and hashes nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, cast
from uuid import UUID

from coalition.domain.accounts import Account, TransferCode, Unit
from coalition.domain.audit_records import CheckpointRecord, LeafRecord
from coalition.domain.ids import NUMBER_SHIFT, lane_of_request, number_of
from coalition.domain.journal import AllocationRow, Entry, Transfer
from coalition.domain.journal_records import BatchRecord
from coalition.storage import audit_tree as tree
from coalition.storage.arrays import plain_texts, whole_numbers
from coalition.storage.audit_tree import TileKey
from coalition.storage.lease import Cursor, Lease, leased, leased_cursor

TILE_WIDTH: Final = tree.TILE_WIDTH
ENTRIES: Final = """
SELECT lane, entry_id, kind, reason, participant_id, store_id, terminal_id, request_id::text, wallet_id, card_id,
    amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    sale_reference, details, answer, leaf
FROM entries WHERE lane = ANY (%s) AND entry_id >= %s AND entry_id < %s ORDER BY entry_id OFFSET %s LIMIT %s
"""
BODIES: Final = """
SELECT r.request_id::text, r.participant_id, r.body_hash
FROM unnest(%s::smallint[], %s::uuid[], %s::integer[]) AS asked (lane, request_id, participant_id)
JOIN requests r USING (lane, request_id, participant_id)
"""
TRANSFERS: Final = """
SELECT entry_id, debit, credit, amount_minor, code, window_id, unit
FROM transfers WHERE entry_id >= %s AND entry_id <= %s ORDER BY entry_id, leg
"""
ALLOCATIONS: Final = """
SELECT entry_id, lot_id, place, face, principal, agreement_id, agreement_version, original_entry_id
FROM allocations WHERE lane = ANY (%s) AND entry_id >= %s AND entry_id <= %s ORDER BY entry_id, place
"""
TIMES: Final = "SELECT number, time, count FROM batches WHERE number >= %s AND number <= %s"
STARTS: Final = """
SELECT number, first_entry_id FROM audit_tiles WHERE level = 0 AND number = ANY (%s)
"""
TILE_OF: Final = """
SELECT number, first_entry_id FROM audit_tiles
WHERE level = 0 AND first_entry_id <= %s ORDER BY first_entry_id DESC LIMIT 1
"""
BEFORE: Final = """
SELECT count(*) FILTER (WHERE entry_id < %(entry)s), bool_or(entry_id = %(entry)s)
FROM entries WHERE lane = ANY (%(lanes)s) AND entry_id >= %(first)s AND entry_id <= %(entry)s
"""
NO_BODY: Final = bytes(32)
"""What an entry is shown with whose request is gone: its leaf does not hold then."""


class AuditTreeReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease, lane_count: int) -> None:
        self._lease = lease
        self._lanes = list(range(lane_count))

    def newest_checkpoint(self) -> CheckpointRecord | None:
        with leased(self._lease) as connection:
            return tree.newest_checkpoint(connection)

    def checkpoint_of(self, size: int) -> CheckpointRecord | None:
        with leased(self._lease) as connection:
            return tree.checkpoint_of(connection, size)

    def checkpoints(self, first: int, limit: int) -> list[CheckpointRecord]:
        """The last checkpoint of each hour and all that were cosigned, from size `first` on, smallest first."""
        with leased(self._lease) as connection:
            return tree.telling_checkpoints(connection, first, limit)

    def codes(self) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        """Codes of participants and of agreements, by number."""
        with leased_cursor(self._lease) as cursor:
            participants = cursor.execute("SELECT participant_id, code FROM participants ORDER BY 1").fetchall()
            agreements = cursor.execute("SELECT agreement_id, code FROM agreements ORDER BY 1").fetchall()
        return [(number, code) for number, code in participants], [(number, code) for number, code in agreements]

    def cosignatures(self, size: int) -> list[str]:
        """The signature lines of witnesses under the checkpoint of `size`."""
        with leased(self._lease) as connection:
            return tree.cosignatures(connection, size)

    def tiles(self, wanted: Sequence[TileKey]) -> dict[TileKey, bytes]:
        with leased(self._lease) as connection:
            return tree.tiles(connection, wanted)

    def index_of(self, entry_id: int) -> int | None:
        """Which leaf of the tree the entry is; None where there is no such entry, or it is not folded yet."""
        with leased_cursor(self._lease) as cursor:
            start = cursor.execute(TILE_OF, (entry_id,)).fetchone()
            if start is None:
                return None
            number, first = start
            named = {"lanes": self._lanes, "first": first, "entry": entry_id}
            row = cursor.execute(BEFORE, named).fetchone()
        if row is None or not row[1] or row[0] >= TILE_WIDTH:
            return None
        return int(number) * TILE_WIDTH + int(row[0])

    def entry_of(self, request_id: UUID, participant_id: int) -> int | None:
        """The entry that a request id of a participant became; None where there is none."""
        with leased_cursor(self._lease) as cursor:
            row = cursor.execute(
                "SELECT entry_id FROM entries WHERE request_id = %s AND participant_id = %s",
                (request_id, participant_id),
            ).fetchone()
        return None if row is None else int(row[0])

    def leaves(self, first: int, limit: int, size: int) -> list[LeafRecord]:
        """The entries that are leaves `first` and on, `limit` at most, of the tree of `size` leaves."""
        limit = min(limit, size - first)
        if limit <= 0:
            return []
        begin_tile, end_tile = first // TILE_WIDTH, (first + limit - 1) // TILE_WIDTH + 1
        with leased_cursor(self._lease) as cursor:
            starts = dict(cursor.execute(STARTS, ([begin_tile, end_tile],)).fetchall())
            if begin_tile not in starts:
                return []
            end = starts.get(end_tile) or self._end(cursor)
            bounds = (starts[begin_tile], end, first % TILE_WIDTH, limit)
            return self._whole(cursor, cursor.execute(ENTRIES, (self._lanes, *bounds)).fetchall())

    def batch(self, number: int) -> tuple[BatchRecord, list[LeafRecord]] | None:
        """A batch's seal and its entries in order; None where there is no such batch."""
        with leased_cursor(self._lease) as cursor:
            row = cursor.execute(
                "SELECT number, time, count, root, signature FROM batches WHERE number = %s", (number,)
            ).fetchone()
            if row is None:
                return None
            bounds = (number << NUMBER_SHIFT, number + 1 << NUMBER_SHIFT, 0, row[2] + 1)
            return BatchRecord(*row), self._whole(cursor, cursor.execute(ENTRIES, (self._lanes, *bounds)).fetchall())

    def seals(self, first: int, last: int, limit: int) -> list[BatchRecord]:
        """The seals of batches `first` to `last`, `limit` at most, in order."""
        with leased_cursor(self._lease) as cursor:
            rows = cursor.execute(
                "SELECT number, time, count, root, signature FROM batches WHERE number BETWEEN %s AND %s "
                "ORDER BY number LIMIT %s",
                (first, last, limit),
            )
            return [BatchRecord(*row) for row in rows]

    def _end(self, cursor: Cursor) -> int:
        """Behind the last entry that is folded."""
        row = cursor.execute("SELECT cursor_number FROM followers WHERE name = %s", (tree.FOLLOWER,)).fetchone()
        return (0 if row is None else row[0]) + 1 << NUMBER_SHIFT

    def _whole(self, cursor: Cursor, rows: Sequence[tuple[Any, ...]]) -> list[LeafRecord]:
        """Entries with their request's body, their batch's time and all their legs."""
        if not rows:
            return []
        first, last = rows[0][1], rows[-1][1]
        requests = [(UUID(row[7]), row[4]) for row in rows]
        lanes = whole_numbers([lane_of_request(request, len(self._lanes)) for request, _ in requests])
        asked = (lanes, plain_texts([row[7] for row in rows]), whole_numbers([row[4] for row in rows]))
        bodies = {(UUID(name), party): body for name, party, body in cursor.execute(BODIES, asked).fetchall()}
        numbers = (number_of(first), number_of(last))
        times = {number: time for number, time, _ in cursor.execute(TIMES, numbers).fetchall()}
        transfers: defaultdict[int, list[Transfer]] = defaultdict(list)
        for entry, debit, credit, amount, code, window, unit in cursor.execute(TRANSFERS, (first, last)).fetchall():
            leg = Transfer(
                Account(debit), Account(credit), amount, cast("TransferCode", code), window, cast("Unit", unit)
            )
            transfers[entry].append(leg)
        draws: defaultdict[int, list[AllocationRow]] = defaultdict(list)
        for entry, *draw in cursor.execute(ALLOCATIONS, (self._lanes, first, last)).fetchall():
            draws[entry].append(AllocationRow(*draw))
        return [
            LeafRecord(
                _entry(row, bodies.get(key, NO_BODY), transfers.get(row[1], ()), draws.get(row[1], ())),
                times[number_of(row[1])],
                row[20],
            )
            for row, key in zip(rows, requests, strict=True)
            if number_of(row[1]) in times  # a batch whose row is gone has no time: its entries cannot be shown
        ]


def _entry(
    row: tuple[Any, ...], body: bytes, transfers: Sequence[Transfer], allocations: Sequence[AllocationRow]
) -> Entry:
    lane, entry_id, kind, reason, participant, store, terminal, request, wallet, card, amount, original, *rest = row
    agreement, version, business_date, occurred_time, actor, sale_reference, details, answer, _ = rest
    return Entry(
        lane=lane,
        entry_id=entry_id,
        kind=kind,
        reason=reason,
        participant_id=participant,
        request_id=UUID(request),
        body_hash=body,
        actor=actor,
        amount_minor=amount,
        business_date=business_date,
        answer=answer,
        store_id=store,
        terminal_id=terminal,
        wallet_id=wallet,
        card_id=card,
        original_entry_id=original,
        agreement_id=agreement,
        agreement_version=version,
        occurred_time=occurred_time,
        sale_reference=sale_reference,
        details=details,
        transfers=transfers,
        allocations=allocations,
    )
