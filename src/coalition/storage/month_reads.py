"""The month in pages: windows, live and fixed positions, claims. Reads only; settlement's own SQL is beside it.

`within`, where given, is the set of participant codes whose rows may be told; None tells every row.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from coalition.domain.accounts import Unit
from coalition.domain.month_records import ClaimRecord, NettedTotals, PositionRecord, WindowRecord
from coalition.domain.reconciliation import Result, TheirLine
from coalition.storage import positions as folded
from coalition.storage import settlement
from coalition.storage.connect import Connection
from coalition.storage.lease import Lease, leased_cursor
from coalition.storage.positions import Position
from coalition.storage.reconciliation import reconciled

WINDOWS: Final = """
SELECT w.window_id, c.code, w.label, w.state, w.open_time, w.close_time, w.cut_number, w.net_time, w.netting_entry_id
FROM windows w JOIN calendars c USING (calendar_id)
"""
# Committed batches that the fold has not read, but for those behind the window's cut.
LAG: Final = """
SELECT count(*) FROM batches, windows w WHERE w.window_id = %s
    AND number <= coalesce(greatest(w.cut_number, w.assess_entry_id >> 22, w.valuation_entry_id >> 22), number)
    AND number > coalesce((SELECT cursor_number FROM followers WHERE name = %s), 0)
"""
CLAIMS: Final = """
SELECT d.code, c.code, w.code, w.unit, w.amount_minor, w.transfer_count
FROM window_claims w JOIN participants d ON d.participant_id = w.debtor_id
    JOIN participants c ON c.participant_id = w.creditor_id
WHERE w.window_id = %(window)s
    AND (%(after)s::boolean IS FALSE
        OR (d.code, c.code, w.code, w.unit) > (%(debtor)s::text, %(creditor)s::text, %(code)s::int, %(unit)s::int))
    AND (%(participant)s::text IS NULL OR %(participant)s IN (d.code, c.code))
    AND (%(within)s::text[] IS NULL OR d.code = ANY (%(within)s) OR c.code = ANY (%(within)s))
ORDER BY d.code, c.code, w.code, w.unit LIMIT %(limit)s
"""

PositionKey = tuple[str, int]
ClaimKey = tuple[str, str, int, int]


class MonthReads:
    """Callable from any thread: each call leases a connection for itself."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def windows(self, calendar: str | None, before: int | None, limit: int) -> list[WindowRecord]:
        """The windows of one calendar or of all, newest first, those with a number below `before`."""
        return self._windows(
            "WHERE (%(calendar)s::text IS NULL OR c.code = %(calendar)s)"
            " AND (%(before)s::int IS NULL OR w.window_id < %(before)s) ORDER BY w.window_id DESC LIMIT %(limit)s",
            {"calendar": calendar, "before": before, "limit": limit},
        )

    def window(self, calendar: str, label: str | None) -> WindowRecord | None:
        """The window of this label, or (None) the open one; None where there is no such window."""
        found = self._windows(
            "WHERE c.code = %(calendar)s AND CASE WHEN %(label)s::text IS NULL THEN w.state = 'OPEN'"
            " ELSE w.label = %(label)s END",
            {"calendar": calendar, "label": label},
        )
        return found[0] if found else None

    def lag_batches(self, window_id: int) -> int:
        """Committed batches that may hold claims of the window and are not folded yet. Ask before the positions."""
        with leased_cursor(self._lease) as cursor:
            row = cursor.execute(LAG, (window_id, folded.POSITIONS.name)).fetchone()
        return int(row[0]) if row else 0

    def positions(
        self, window_id: int, after: PositionKey | None, limit: int, within: Collection[str] | None
    ) -> list[PositionRecord]:
        """Every participant's position as far as it is folded, by participant code and unit."""
        with leased_cursor(self._lease) as cursor:
            rows = folded.live_positions(cursor.connection, window_id)
            return _page(_coded(cursor.connection, rows), after, limit, within)

    def net_positions(
        self, window_id: int, after: PositionKey | None, limit: int, within: Collection[str] | None
    ) -> list[PositionRecord]:
        """What netting stored for the window, by participant code and unit; empty before."""
        with leased_cursor(self._lease) as cursor:
            rows = settlement.net_positions(cursor.connection, window_id)
            return _page(_coded(cursor.connection, rows), after, limit, within)

    def netted_totals(self, window_id: int) -> NettedTotals:
        """Gross and net of a netted window in money: each claim was received once."""
        with leased_cursor(self._lease) as cursor:
            rows = settlement.net_positions(cursor.connection, window_id)
        money = [row for row in rows if row.unit == Unit.MONEY]
        return NettedTotals(sum(row.received_minor for row in money), sum(max(row.net_minor, 0) for row in money))

    def claims(
        self,
        window_id: int,
        after: ClaimKey | None,
        limit: int,
        participant: str | None,
        within: Collection[str] | None,
    ) -> list[ClaimRecord]:
        """The claims as far as they are folded, by debtor, creditor, code and unit; `participant` is a side of each."""
        debtor, creditor, code, unit = after or ("", "", 0, 0)
        parameters = {
            "window": window_id,
            "after": after is not None,
            "debtor": debtor,
            "creditor": creditor,
            "code": code,
            "unit": unit,
            "participant": participant,
            "within": None if within is None else list(within),
            "limit": limit,
        }
        with leased_cursor(self._lease) as cursor:
            return [ClaimRecord(*row) for row in cursor.execute(CLAIMS, parameters).fetchall()]

    def reconcile(self, window: WindowRecord, participant_id: int, theirs: Sequence[TheirLine]) -> list[Result]:
        """Hold a participant's own list against its operations of the window."""
        with leased_cursor(self._lease) as cursor:
            windows = settlement.windows(cursor.connection, window.calendar)
            return reconciled(cursor.connection, windows, window.window_id, participant_id, theirs)

    def _windows(self, condition: str, parameters: dict[str, Any]) -> list[WindowRecord]:
        with leased_cursor(self._lease) as cursor:
            return [WindowRecord(*row) for row in cursor.execute(f"{WINDOWS} {condition}", parameters).fetchall()]


def _coded(connection: Connection, rows: Iterable[Position]) -> list[PositionRecord]:
    codes = {party.participant_id: party.code for party in folded.parties(connection)}
    return [
        PositionRecord(codes[row.participant_id], row.unit, row.received_minor, row.sent_minor)
        for row in rows
        if row.participant_id in codes
    ]


def _page(
    rows: Iterable[PositionRecord], after: PositionKey | None, limit: int, within: Collection[str] | None
) -> list[PositionRecord]:
    """A window has a position for each participant: few enough to sort here, whatever the database's collation."""
    told = [
        row
        for row in rows
        if (within is None or row.participant in within) and (after is None or (row.participant, row.unit) > after)
    ]
    return sorted(told, key=lambda row: (row.participant, row.unit))[:limit]
