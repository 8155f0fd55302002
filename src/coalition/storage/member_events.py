"""What members are told: the journal as it is, read behind a cursor by who speaks with members. Reads only.

Nothing is kept for it. An event of a wallet is its entry; when the first batch of a business date is passed, the open
lots whose bonus ends soon, and the points that do, follow from the date; where an issuer has handed over, or does not
pay, the open lots that it owed follow from that entry. What is told of a lot is what is in it when it is read: what was
spent is told no more.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from coalition.domain.event_records import MemberEvent, MemberEvents
from coalition.domain.events import NOTICE_DAYS, EventKind
from coalition.domain.ids import NUMBER_SHIFT, number_of
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.domain.wallet_records import EndingPoints, LotRecord
from coalition.storage.cursors import cursor_of
from coalition.storage.lease import Cursor, Lease, leased_cursor
from coalition.storage.reads import LINE_COLUMNS, line_of
from coalition.storage.settlement_events import SETTLEMENT_EVENTS

KIND_COLUMN: Final = 10  # of LINE_COLUMNS
BATCHES_MAX: Final = 1_000  # looked through for one page; whoever asks again goes on behind them

DAY_BEFORE: Final = "SELECT time FROM batches WHERE number < %s ORDER BY number DESC LIMIT 1"
BATCHES: Final = """
SELECT number, count, time FROM batches WHERE number >= %s AND number <= %s ORDER BY number LIMIT %s
"""
OF_ISSUERS: Final = frozenset({Kind.SUCCESSION, Kind.DEFAULT})
"""Entries that concern whoever holds lots of an issuer."""

# Every lane is named, so that the primary key (lane, entry_id) finds the range.
ENTRIES: Final = f"""
SELECT {LINE_COLUMNS}, m.member_id
FROM entries LEFT JOIN members m ON m.wallet_id = entries.wallet_id AND m.state <> 'ERASED'
WHERE entries.lane = ANY (%s) AND entry_id > %s AND entry_id < %s AND reason = %s
  AND (m.member_id IS NOT NULL OR kind = ANY (%s))
ORDER BY entry_id
"""
LOT: Final = """
SELECT l.lot_id, m.member_id, p.code, l.face, l.principal, l.bonus_expiry
FROM lots l JOIN members m ON m.wallet_id = l.wallet_id AND m.state <> 'ERASED'
JOIN participants p ON p.participant_id = l.issuer_id
"""
# Along lots_bonus.
ENDING: Final = f"""{LOT}
WHERE l.is_open AND l.bonus_expiry > %s::date AND l.bonus_expiry <= %s::date AND l.face > l.principal
  AND l.lot_id > %s
ORDER BY l.lot_id LIMIT %s
"""
# Along points_moves_ending.
POINTS_ENDING: Final = """
SELECT e.entry_id, m.member_id, a.code, e.points - e.given_back - e.used - e.ended, e.last_day
FROM points_moves e JOIN members m ON m.wallet_id = e.wallet_id AND m.state <> 'ERASED'
JOIN agreements a ON a.agreement_id = e.programme_id
WHERE e.is_open AND e.last_day > %s::date AND e.last_day <= %s::date AND e.entry_id > %s
ORDER BY e.entry_id LIMIT %s
"""
# Once or twice in the life of an issuer: all lots are looked through for each page.
OWED: Final = f"""{LOT}
WHERE l.is_open AND l.issuer_id = (SELECT participant_id FROM participants WHERE code = %s)
  AND l.lot_id < %s AND l.lot_id > %s
ORDER BY l.lot_id LIMIT %s
"""


class _Batch(NamedTuple):
    number: int
    entry_count: int
    time: datetime


class _NewDay(NamedTuple):
    """The first batch of a business date: where its events lie, the last date before it, the date, its time.

    They lie right before the batch, at a place that no entry has.
    """

    entry_id: int
    before: date
    date: date
    time: datetime


class MemberEventReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease, lane_count: int, business_date: Callable[[datetime], date]) -> None:
        self._lease = lease
        self._lanes = list(range(lane_count))
        self._business_date = business_date

    def page(self, after: tuple[int, int], limit: int) -> MemberEvents:
        """The next events behind `after` (entry, place), `limit` at most, of what is decided and folded.

        No event and the same `after` again: there is no more now.
        """
        with leased_cursor(self._lease) as cursor:
            up_to = cursor_of(cursor.connection, SETTLEMENT_EVENTS.name)
            batches = self._batches(cursor, after[0], up_to, limit)
            if not batches:
                return MemberEvents([], after)
            found: list[MemberEvent] = []
            for event in self._events(cursor, batches, after, limit + 1):
                if len(found) == limit:
                    return MemberEvents(found, (found[-1].entry_id, found[-1].place))
                found.append(event)
        end = (batches[-1].number + 1 << NUMBER_SHIFT) - 1
        return MemberEvents(found, max(after, (end, 0)))

    def _batches(self, cursor: Cursor, after: int, up_to: int, limit: int) -> list[_Batch]:
        """The batch of `after`, and so many behind it that they hold `limit` entries, or all there are."""
        taken, entries = [], 0
        for row in cursor.execute(BATCHES, (number_of(after), up_to, BATCHES_MAX)).fetchall():
            batch = _Batch(*row)
            taken.append(batch)
            entries += batch.entry_count if batch.number > number_of(after) else 0
            if entries >= limit:
                break
        return taken

    def _events(
        self, cursor: Cursor, batches: list[_Batch], after: tuple[int, int], limit: int
    ) -> Iterator[MemberEvent]:
        """In order, from behind `after` to the end of `batches`; of the lots of one cause `limit` at most."""
        times = {batch.number: batch.time for batch in batches}
        days = self._days(cursor, batches)
        # The entry of `after` is read again: where it handed over, lots may be left to be told.
        end = batches[-1].number + 1 << NUMBER_SHIFT
        values = (self._lanes, after[0] - 1, end, Reason.ACCEPTED, list(map(int, OF_ISSUERS)))
        for row in cursor.execute(ENTRIES, values).fetchall():
            entry, member_id, line = row[0], row[-1], row[:-1]
            while days and days[0].entry_id < entry:
                yield from self._ending(cursor, days.pop(0), after, limit)
            time = times[number_of(entry)]
            if member_id is not None and (entry, 0) > after:
                yield MemberEvent(entry, 0, EventKind.WALLET_ENTRY, member_id, time, line=line_of(line))
            if line[KIND_COLUMN] in OF_ISSUERS:
                yield from self._owed(cursor, entry, json.loads(bytes(line[-1]))["answer"], time, after, limit)
        for day in days:
            yield from self._ending(cursor, day, after, limit)

    def _days(self, cursor: Cursor, batches: list[_Batch]) -> list[_NewDay]:
        """Where a business date begins in `batches`; the first date of the journal has nobody to tell."""
        row = cursor.execute(DAY_BEFORE, (batches[0].number,)).fetchone()
        before = self._business_date(row[0] if row else batches[0].time)
        days = []
        for batch in batches:
            day = self._business_date(batch.time)
            if day > before:
                days.append(_NewDay((batch.number << NUMBER_SHIFT) - 1, before, day, batch.time))
                before = day
        return days

    def _ending(self, cursor: Cursor, day: _NewDay, after: tuple[int, int], limit: int) -> Iterator[MemberEvent]:
        """The open lots whose bonus came within the notice on this day, or on days before it without any entry.

        And points; a lot and points that were earned have the ids of different entries.
        """
        notice = timedelta(days=NOTICE_DAYS)
        told = after[1] if day.entry_id == after[0] else 0
        if (day.entry_id, told) < after:
            return
        values = (day.before + notice, day.date + notice, told, limit)
        events = [
            MemberEvent(
                day.entry_id, row[0], EventKind.BONUS_ENDS_SOON, row[1], day.time, lot=LotRecord(row[0], *row[2:])
            )
            for row in cursor.execute(ENDING, values).fetchall()
        ]
        for entry_id, member_id, *rest in cursor.execute(POINTS_ENDING, values).fetchall():
            what = (EventKind.POINTS_END_SOON, member_id, day.time)
            events.append(MemberEvent(day.entry_id, entry_id, *what, points=EndingPoints(*rest)))
        yield from sorted(events, key=lambda event: event.place)[:limit]

    def _owed(
        self,
        cursor: Cursor,
        entry: int,
        answer: dict[str, Any],
        time: datetime,
        after: tuple[int, int],
        limit: int,
    ) -> Iterator[MemberEvent]:
        """The open lots of an issuer that left or does not pay; a recovery changes nothing for them."""
        if "recovered_minor" in answer:
            return
        told = after[1] if entry == after[0] else 0
        successor = answer.get("successor", "")
        kind = EventKind.LOT_HANDED_OVER if successor else EventKind.ISSUER_DEFAULTED
        for lot_id, member_id, *rest in cursor.execute(OWED, (answer["participant"], entry, told, limit)).fetchall():
            lot = LotRecord(lot_id, *rest)
            yield MemberEvent(entry, lot_id, kind, member_id, time, lot=lot, successor=successor)
