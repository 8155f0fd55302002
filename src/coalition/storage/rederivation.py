"""Claims summed straight from the journal and held against the fold: two roads to a window's figures. Reads only."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from coalition.domain.accounts import AccountKind, TransferCode, account
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection
from coalition.storage.positions import Claim
from coalition.storage.statement_lines import Ranges

WHOLE_JOURNAL_PATIENCE: Final = "1h"  # 2.4 million transfers were summed in half a second on two cores

# The planner expects several times as many pairs as there are, and so would leave a million transfers to one core.
PARALLEL_TUPLE_COST: Final = 0.01

PAIRS: Final = """
SELECT debit, credit, code, unit, sum(amount_minor)::bigint AS amount, count(*) AS transfers{numbers}
FROM transfers WHERE window_id = {window} AND code <> {netting} AND {ranges}
GROUP BY debit, credit, code, unit
"""
# Two more sums for each of millions of rows; what was read by ranges lies in them.
NUMBERS: Final = f", min(entry_id) >> {NUMBER_SHIFT} AS first, max(entry_id) >> {NUMBER_SHIFT} AS last"
NO_NUMBERS: Final = ", NULL::bigint AS first, NULL::bigint AS last"
# Held against the fold by the database: tens of thousands of keys that agree are not worth the way to the client.
DIFFERING: Final = """
WITH journal AS ({pairs}), fold AS (
    SELECT {clearing} + (debtor_id::bigint << 24) AS debit, {clearing} + (creditor_id::bigint << 24) AS credit,
           code, unit, debtor_id, creditor_id, amount_minor, transfer_count
    FROM window_claims WHERE window_id = {window}
)
SELECT debit, credit, code, unit, j.amount, j.transfers, j.first, j.last,
       f.debtor_id, f.creditor_id, f.amount_minor, f.transfer_count
FROM journal j FULL JOIN fold f USING (debit, credit, code, unit)
WHERE j.amount IS DISTINCT FROM f.amount_minor OR j.transfers IS DISTINCT FROM f.transfer_count OR NOT {inside}
ORDER BY debit, credit, code, unit
"""


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


def differing(
    connection: Connection, window_id: int, ranges: Ranges, *, whole_journal: bool = False
) -> tuple[list[AccountPair], list[Claim]]:
    """Where the journal's transfers of a window and the fold's claims are not the same, or lie outside `ranges`.

    Every transfer tagged with the window except netting's own is summed. Only partitions that hold the numbers of
    `ranges` are read, or all of them with `whole_journal`, which so finds what is tagged with the window and lies
    elsewhere. Both lists hold the same keys, where a side has them; two empty ones say that the roads agree.
    """
    pairs = sql.SQL(PAIRS).format(
        window=window_id,
        netting=int(TransferCode.NETTING),
        ranges=sql.SQL("true") if whole_journal else _within(ranges),
        numbers=sql.SQL(NUMBERS if whole_journal else NO_NUMBERS),
    )
    statement = sql.SQL(DIFFERING).format(
        pairs=pairs,
        clearing=account(AccountKind.CLEARING),
        window=window_id,
        inside=_inside(ranges) if whole_journal else sql.SQL("true"),
    )
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{WHOLE_JOURNAL_PATIENCE}'")
        connection.execute(f"SET LOCAL parallel_tuple_cost = {PARALLEL_TUPLE_COST}")
        rows = connection.execute(statement).fetchall()
    in_journal = [AccountPair(*row[:8]) for row in rows if row[4] is not None]
    in_fold = [Claim(window_id, row[8], row[9], row[2], row[3], row[10], row[11]) for row in rows if row[8] is not None]
    return in_journal, in_fold


def _inside(ranges: Ranges) -> sql.Composable:
    """The condition that the first and the last number of a pair lie in one of the ranges each; true without a pair."""
    each = sql.SQL("({number} > {after} AND {number} <= {up_to})")
    conditions = [
        sql.SQL("({})").format(
            sql.SQL(" OR ").join(
                each.format(number=sql.SQL(number), after=after, up_to=up_to) for after, up_to in ranges
            )
        )
        for number in ("j.first", "j.last")
    ]
    return sql.SQL("coalesce({}, true)").format(sql.SQL(" AND ").join(conditions))


def _within(ranges: Ranges) -> sql.Composable:
    """The condition on entry_id, in literals: the planner prunes partitions by them and chooses parallel workers."""
    each = sql.SQL("entry_id >= {} AND entry_id < {}")
    bounds = [each.format(after + 1 << NUMBER_SHIFT, up_to + 1 << NUMBER_SHIFT) for after, up_to in ranges]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(bounds)) if bounds else sql.SQL("false")
