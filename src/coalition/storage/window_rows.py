"""Every row of the journal in ranges of numbers, for archives: entries without wallet and card, and all their legs.

Reads immutable rows, a range at a time, each in a short transaction of its own.
"""

from collections.abc import Iterator
from typing import Any, Final

from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection
from coalition.storage.statement_lines import NUMBERS_MAX, Ranges

ROWS_FETCHED: Final = 50_000

ENTRY_COLUMNS: Final = (
    *("entry_id", "number", "post_time", "occurred_time", "business_date", "kind", "reason", "participant_id"),
    *("store_id", "terminal_id", "request_id", "sale_reference", "amount_minor", "original_entry_id"),
    *("agreement_id", "agreement_version", "leaf"),
)
TRANSFER_COLUMNS: Final = ("entry_id", "leg", "debit", "credit", "amount_minor", "code", "unit", "window_id")

ENTRIES: Final = f"""
SELECT e.entry_id, b.number, b.time, e.occurred_time, e.business_date, e.kind, e.reason, e.participant_id,
       e.store_id, e.terminal_id, e.request_id::text, e.sale_reference, e.amount_minor, e.original_entry_id,
       e.agreement_id, e.agreement_version, e.leaf
FROM entries e JOIN batches b ON b.number = e.entry_id >> {NUMBER_SHIFT}
WHERE e.entry_id >= %(first)s AND e.entry_id < %(end)s ORDER BY e.entry_id
"""
TRANSFERS: Final = f"""
SELECT {", ".join(TRANSFER_COLUMNS)} FROM transfers
WHERE entry_id >= %(first)s AND entry_id < %(end)s ORDER BY entry_id, leg
"""


def entry_rows(connection: Connection, ranges: Ranges) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of ENTRY_COLUMNS in journal order, at most ROWS_FETCHED at a time."""
    return _rows(connection, ENTRIES, ranges)


def transfer_rows(connection: Connection, ranges: Ranges) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of TRANSFER_COLUMNS in journal order, at most ROWS_FETCHED at a time."""
    return _rows(connection, TRANSFERS, ranges)


def _rows(connection: Connection, query: str, ranges: Ranges) -> Iterator[list[tuple[Any, ...]]]:
    for after, up_to in ranges:
        for start in range(after, up_to, NUMBERS_MAX):
            end = min(up_to, start + NUMBERS_MAX)
            with connection.transaction(), connection.cursor("window_rows") as rows:
                rows.execute(query, {"first": start + 1 << NUMBER_SHIFT, "end": end + 1 << NUMBER_SHIFT})
                while fetched := rows.fetchmany(ROWS_FETCHED):
                    yield fetched
