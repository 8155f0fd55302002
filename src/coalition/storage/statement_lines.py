"""Lines of statements: the claims of a window in journal order, with what the books of both sides call them.

Reads immutable rows by ranges of journal numbers, each range in a short transaction of its own; partitions and BRIN
keep a range from reading others. Never sums and never writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from coalition.domain.accounts import TransferCode
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection

LINES_FETCHED: Final = 10_000  # held in memory at a time, however full the batches are
NUMBERS_MAX: Final = 1_000  # journal numbers a statement reads

LINES: Final = f"""
SELECT t.entry_id, e.occurred_time, b.time, e.business_date, e.kind, e.participant_id, e.store_id, e.terminal_id,
       e.request_id, e.sale_reference, (t.debit >> 24 & 16777215)::integer, (t.credit >> 24 & 16777215)::integer,
       t.code, t.unit, t.amount_minor
FROM transfers t
JOIN entries e ON e.lane = t.lane AND e.entry_id = t.entry_id AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
JOIN batches b ON b.number = t.entry_id >> {NUMBER_SHIFT}
  AND b.number >= %(first)s >> {NUMBER_SHIFT} AND b.number < %(end)s >> {NUMBER_SHIFT}
WHERE t.entry_id >= %(first)s AND t.entry_id < %(end)s AND t.window_id = %(window)s AND t.code <> %(netting)s
ORDER BY t.entry_id, t.leg
"""

Ranges = Sequence[tuple[int, int]]
"""Ranges of journal numbers, each `after < number <= up_to`."""


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """One claim as it was posted; times are UTC, `occurred_time` is the terminal's and may be missing.

    Store, terminal, request and sale reference are those of `participant_id`, where the entry was made.
    """

    entry_id: int
    occurred_time: datetime | None
    post_time: datetime
    business_date: date
    kind: int
    participant_id: int
    store_id: int | None
    terminal_id: int | None
    request_id: UUID
    sale_reference: str | None
    debtor_id: int
    creditor_id: int
    code: int
    unit: int
    amount_minor: int


def claim_lines(connection: Connection, window_id: int, ranges: Ranges) -> Iterator[list[ClaimLine]]:
    """The claims of a window that lie in `ranges`, in journal order, at most LINES_FETCHED at a time."""
    for after, up_to in ranges:
        for start in range(after, up_to, NUMBERS_MAX):
            parameters = {
                "first": start + 1 << NUMBER_SHIFT,
                "end": min(up_to, start + NUMBERS_MAX) + 1 << NUMBER_SHIFT,
                "window": window_id,
                "netting": TransferCode.NETTING,
            }
            with connection.transaction(), connection.cursor("claim_lines") as rows:
                # Each table is read once, by its range, also where nobody has told the planner how much that is.
                connection.execute("SET LOCAL enable_nestloop = off")
                connection.execute("SET LOCAL enable_seqscan = off")
                rows.execute(LINES, parameters)
                while fetched := rows.fetchmany(LINES_FETCHED):
                    yield [ClaimLine(*row) for row in fetched]


def place_codes(connection: Connection) -> tuple[dict[int, str], dict[int, str]]:
    """Codes of all stores and of all terminals, by number."""
    stores = connection.execute("SELECT store_id, code FROM stores").fetchall()
    terminals = connection.execute("SELECT terminal_id, code FROM terminals").fetchall()
    return dict(stores), dict(terminals)
