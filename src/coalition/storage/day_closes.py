"""Closes of terminals' days in SQL: the writes of one act inside its transaction, and the reads.

Implements the protocols of coalition.clearing.day_end and decides nothing. Closes are only ever added to.
"""

from collections.abc import Callable
from datetime import date
from typing import Final

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.day_close import BEFORE_THE_FIRST, DayOperation, LastClose, RecordedClose, Total, Totals
from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.kinds import FIRST_ACT, Kind
from coalition.domain.reasons import Reason
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.day_totals import DAY_TOTALS, totals_of
from coalition.storage.lease import Cursor, Lease, leased, leased_cursor

LAST_CLOSE: Final = """
SELECT number, statement_hash, last_entry_id, counted FROM day_closes
WHERE terminal_id = %s ORDER BY number DESC LIMIT 1
"""
# One statement, so one snapshot: the fold and how far it has read.
COUNTED: Final = """
SELECT f.cursor_number, coalesce(
    (SELECT json_agg(json_build_array(kind, accepted_count, accepted_minor, declined_count)) FROM (
        SELECT kind, sum(accepted_count)::bigint AS accepted_count, sum(accepted_minor)::bigint AS accepted_minor,
               sum(declined_count)::bigint AS declined_count
        FROM day_totals WHERE terminal_id = %s GROUP BY kind ORDER BY kind) AS ever), '[]')
FROM followers f WHERE f.name = %s
"""
OPERATIONS: Final = """
SELECT e.request_id, e.kind, e.reason, e.amount_minor
FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
JOIN entries e ON e.lane = lanes.lane AND e.entry_id > %s AND e.entry_id <= %s
WHERE e.terminal_id = %s AND e.kind < %s ORDER BY e.entry_id
"""
ADD: Final = """
INSERT INTO day_closes (terminal_id, number, business_date, close_time, last_entry_id, counted, statement,
    statement_hash, signature, certificate, difference_count)
VALUES (%s, %s, %s, clock_timestamp(), %s, %s, %s, %s, %s, %s, %s)
"""


class DayCloses:
    """Callable from any thread: each call leases a connection for itself."""

    def __init__(self, lease: Lease, acts: Acts) -> None:
        self._lease = lease
        self._acts = acts

    def perform(self, act: Act, apply: "Callable[[DayBooks], dict[str, JSON]]") -> ActAnswer:
        """See Acts.perform; `apply` gets the books of the transaction."""

        def work(connection: Connection) -> dict[str, JSON]:
            with connection.cursor(row_factory=tuple_row) as cursor:
                return apply(DayBooks(cursor))

        with leased(self._lease) as connection:
            return self._acts.perform(connection, act, work)

    def told_before(self, act: Act) -> ActAnswer | None:
        """See Acts.told_before."""
        with leased(self._lease) as connection:
            return self._acts.told_before(connection, act)

    def day(self, terminal_id: int, business_date: date) -> tuple[Totals, Totals, LastClose]:
        """What is folded on the date, what is folded ever, and the terminal's last close."""
        with leased_cursor(self._lease) as cursor:
            on_date = totals_of(cursor, terminal_id, business_date)
            return on_date, totals_of(cursor, terminal_id, None), _last_close(cursor, terminal_id)


class DayBooks:
    """Inside one act's transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def last_close(self, terminal_id: int) -> LastClose:
        return _last_close(self._cursor, terminal_id)

    def counted(self, terminal_id: int) -> tuple[int, Totals]:
        """The last entry_id that the fold can include, and what it holds of the terminal."""
        row = self._cursor.execute(COUNTED, (terminal_id, DAY_TOTALS.name)).fetchone()
        if row is None:
            return 0, {}
        number, rows = row
        return (number + 1 << NUMBER_SHIFT) - 1, _totals(rows)

    def operations(self, terminal_id: int, after: int, up_to: int) -> list[DayOperation]:
        rows = self._cursor.execute(OPERATIONS, (after, up_to, terminal_id, FIRST_ACT)).fetchall()
        return [
            DayOperation(request_id, Kind(kind), reason == Reason.ACCEPTED, amount if reason == Reason.ACCEPTED else 0)
            for request_id, kind, reason, amount in rows
        ]

    def add(self, terminal_id: int, close: RecordedClose) -> None:
        """A rival's close of the same number is a conflict: the act runs again and finds it."""
        stated = close.close
        self._cursor.execute(
            ADD,
            (
                terminal_id,
                stated.number,
                stated.business_date,
                close.last_entry_id,
                Jsonb([[int(kind), *total] for kind, total in sorted(close.counted.items())]),
                stated.statement(),
                stated.statement_hash(),
                close.signature,
                close.certificate,
                close.difference_count,
            ),
        )


def _last_close(cursor: Cursor, terminal_id: int) -> LastClose:
    row = cursor.execute(LAST_CLOSE, (terminal_id,)).fetchone()
    if row is None:
        return BEFORE_THE_FIRST
    number, statement_hash, last_entry_id, counted = row
    return LastClose(number, statement_hash, last_entry_id, _totals(counted))


def _totals(rows: list[list[int]]) -> Totals:
    return {Kind(kind): Total(*counted) for kind, *counted in rows}
