"""The journal read in bulk and in order, for auditors and exports. Reads only what is decided, changes nothing.

A page costs three short statements whatever its size: which batches hold it, their entries, their transfers. Whoever
reads in bulk gets the transfers of the next pages read along: until the BRIN index is summarised, which happens some
minutes after they were written, finding a page's means reading them all. Nothing above the frontier is told, so that a
batch that commits late is never passed over by a reader who walks the pages.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from coalition.domain.ids import LANE_BITS, NUMBER_SHIFT, number_of, place_of
from coalition.domain.journal_records import BatchRecord, JournalRecord, TransferRecord
from coalition.storage.frontier import frontier
from coalition.storage.lease import Cursor, Lease, leased_cursor
from coalition.storage.names import Names

BATCHES: Final = """
SELECT number, time, count, root, signature FROM batches WHERE number >= %s AND number <= %s ORDER BY number LIMIT %s
"""
BULK: Final = 500  # a page of so many entries is one of many
AHEAD: Final = 20_000  # entries whose transfers are read along: 100,000 rows, 20 MB until the walk has passed them
WALKS: Final = 2  # readers in bulk that are remembered at once

# Every lane is named, so that the primary key (lane, entry_id) finds the range; entry_id order is journal order.
# Transfers have a BRIN index on entry_id alone.
ENTRIES: Final = """
SELECT entry_id, kind, reason, participant_id, store_id, terminal_id, request_id::text, wallet_id, card_id,
    amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    coalesce(sale_reference, ''), answer, leaf, coalesce(details, '')
FROM entries WHERE lane = ANY (%s) AND entry_id > %s AND entry_id < %s ORDER BY entry_id
"""
TRANSFERS: Final = """
SELECT entry_id, leg, debit, credit, amount_minor, code, unit, window_id
FROM transfers WHERE entry_id > %s AND entry_id < %s ORDER BY entry_id, leg
"""


class _Range(NamedTuple):
    """Entries `after < entry_id < end`, when their batches were written, and how many fewer they are than asked for."""

    after: int
    end: int
    times: dict[int, datetime]
    missing: int


class _Ahead(NamedTuple):
    """The transfers of the entries `after < entry_id < end`, by entry. The journal never changes: they stay right."""

    after: int
    end: int
    legs: dict[int, list[TransferRecord]]


class AuditReads:
    """Callable from any thread. `sleep` takes seconds and is used only while writers near the end finish."""

    def __init__(self, lease: Lease, lane_count: int, sleep: Callable[[float], None]) -> None:
        self._lease = lease
        self._lanes = list(range(lane_count))
        self._sleep = sleep
        self._names = Names()
        self._decided = 0
        self._ahead: tuple[_Ahead, ...] = ()

    def batches(self, first: int, last: int | None, limit: int) -> list[BatchRecord]:
        """The batches from number `first` to `last` (None: to the newest), `limit` at most. Raises FrontierStalled."""
        with leased_cursor(self._lease) as cursor:
            rows = self._batches(cursor, first, self._known(last), limit)
            if len(rows) < limit and self._may_have_grown(last):
                rows = self._batches(cursor, first, self._anew(cursor, last), limit)
            return rows

    def entries(self, after: int, last: int | None, limit: int) -> list[JournalRecord]:
        """The entries behind `after` in batches up to `last` (None: to the newest), `limit` at most, in order.

        `after` is an entry_id, or a bound such as `number << NUMBER_SHIFT` minus 1. Raises FrontierStalled.
        """
        with leased_cursor(self._lease) as cursor:
            up_to = self._known(last)
            asked = self._range(cursor, after, up_to, limit)
            if (asked is None or asked.missing) and self._may_have_grown(last):
                up_to = self._anew(cursor, last)
                asked = self._range(cursor, after, up_to, limit)
            if asked is None:
                return []
            rows = cursor.execute(ENTRIES, (self._lanes, asked.after, asked.end)).fetchall()
            legs = self._legs(cursor, asked, up_to, limit)
            if len(rows) < limit:
                self._ahead = ()
            return [self._record(cursor, row, asked.times, legs) for row in rows]

    def _known(self, last: int | None) -> int:
        """The highest number that may be told, without asking. Numbers have gaps: only a page tells if it is enough."""
        return self._decided if last is None else min(last, self._decided)

    def _may_have_grown(self, last: int | None) -> bool:
        """Whether more may be decided by now of what was asked for."""
        return last is None or last > self._decided

    def _anew(self, cursor: Cursor, last: int | None) -> int:
        """The same as `_known`, once the frontier was asked; waits for the writers of this moment."""
        self._decided = max(self._decided, frontier(cursor.connection, sleep=self._sleep))
        return self._known(last)

    def _batches(self, cursor: Cursor, first: int, up_to: int, limit: int) -> list[BatchRecord]:
        return [BatchRecord(*row) for row in cursor.execute(BATCHES, (first, up_to, limit)).fetchall()]

    def _range(self, cursor: Cursor, after: int, up_to: int, limit: int) -> _Range | None:
        """Where the next `limit` entries end: places in a batch have no gaps, so its count tells."""
        wanted, times, end = limit, {}, after
        for batch in self._batches(cursor, number_of(after + 1), up_to, limit + 1):
            begun = place_of(after) + 1 if batch.number == number_of(after) else 0
            taken = min(wanted, batch.entry_count - begun)
            if taken <= 0:
                continue
            times[batch.number] = batch.time
            end = (batch.number << NUMBER_SHIFT) + (begun + taken << LANE_BITS)
            wanted -= taken
            if wanted == 0:
                break
        return _Range(after, end, times, wanted) if times else None

    def _legs(self, cursor: Cursor, asked: _Range, up_to: int, limit: int) -> dict[int, list[TransferRecord]]:
        for ahead in self._ahead:
            if ahead.after <= asked.after and asked.end <= ahead.end:
                return ahead.legs
        wide = self._range(cursor, asked.after, up_to, AHEAD) if limit >= BULK else None
        end = max(asked.end, wide.end) if wide else asked.end
        legs = self._named(cursor, cursor.execute(TRANSFERS, (asked.after, end)).fetchall())
        if end > asked.end:
            self._ahead = (*self._ahead[1 - WALKS :], _Ahead(asked.after, end, legs))
        return legs

    def _named(self, cursor: Cursor, rows: list[tuple[Any, ...]]) -> dict[int, list[TransferRecord]]:
        account, of = self._names.account, self._names.of
        return {
            entry: [
                TransferRecord(
                    leg,
                    account(cursor, debit),
                    account(cursor, credit),
                    amount,
                    code,
                    unit,
                    of(cursor, "window", window),
                )
                for _, leg, debit, credit, amount, code, unit, window in legs
            ]
            for entry, legs in groupby(rows, key=itemgetter(0))
        }

    def _record(
        self,
        cursor: Cursor,
        row: tuple[Any, ...],
        times: dict[int, datetime],
        legs: dict[int, list[TransferRecord]],
    ) -> JournalRecord:
        entry, kind, reason, participant, store, terminal, request, wallet, card, amount, original, *rest = row
        agreement, version, business_date, occurred_time, actor, sale_reference, answer, leaf, details = rest
        of = self._names.of
        return JournalRecord(
            entry,
            kind,
            reason,
            of(cursor, "participant", participant),
            of(cursor, "store", store),
            of(cursor, "terminal", terminal),
            request,
            wallet,
            card,
            amount,
            original,
            of(cursor, "agreement", agreement),
            version,
            business_date,
            times[number_of(entry)],
            occurred_time,
            actor,
            sale_reference,
            answer,
            leaf,
            legs.get(entry, ()),
            details,
        )
