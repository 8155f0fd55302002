"""Claims summed straight from the journal, without any fold: the other road to a window's figures. Reads only."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from coalition.domain.accounts import TransferCode
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection
from coalition.storage.statement_lines import Ranges

WHOLE_JOURNAL_PATIENCE: Final = "1h"  # 2.4 million transfers were summed in half a second on two cores

PAIRS: Final = """
SELECT debit, credit, code, unit, sum(amount_minor)::bigint, count(*){numbers}
FROM transfers WHERE window_id = %(window)s AND code <> %(netting)s AND {ranges}
GROUP BY debit, credit, code, unit
"""
# Two more sums for each of millions of rows; what was read by ranges lies in them.
NUMBERS: Final = f", min(entry_id) >> {NUMBER_SHIFT}, max(entry_id) >> {NUMBER_SHIFT}"


@dataclass(frozen=True, slots=True)
class AccountPair:
    """All transfers of a window between two accounts with one code and unit, straight from the journal.

    First and last number are told where the whole journal was read, else None.
    """

    debit: int
    credit: int
    code: int
    unit: int
    amount_minor: int
    transfer_count: int
    first_number: int | None = None
    last_number: int | None = None


def account_pairs(connection: Connection, window_id: int, ranges: Ranges | None) -> list[AccountPair]:
    """Every transfer tagged with the window except netting's own, summed, in no order.

    With `ranges` only partitions that hold those numbers are read; None reads the whole journal, and so also finds
    what is tagged with the window and lies outside its numbers.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{WHOLE_JOURNAL_PATIENCE}'")
        rows = connection.execute(
            sql.SQL(PAIRS).format(ranges=_within(ranges), numbers=sql.SQL("" if ranges is not None else NUMBERS)),
            {"window": window_id, "netting": TransferCode.NETTING},
        ).fetchall()
    return [AccountPair(*row) for row in rows]


def _within(ranges: Ranges | None) -> sql.Composable:
    """The condition on entry_id, in literals: the planner prunes partitions by them and chooses parallel workers."""
    if ranges is None:
        return sql.SQL("true")
    each = sql.SQL("entry_id >= {} AND entry_id < {}")
    bounds = [each.format(after + 1 << NUMBER_SHIFT, up_to + 1 << NUMBER_SHIFT) for after, up_to in ranges]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(bounds)) if bounds else sql.SQL("false")
