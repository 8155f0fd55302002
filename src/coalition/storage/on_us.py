"""Sales of a participant paid from lots and passes it issued and holds itself: only the journal tells of them.

Reads immutable rows by ranges of journal numbers; never writes.
"""

from typing import Final

from coalition.domain.accounts import PARTICIPANT_BITS, PASSES, WALLET, AccountKind
from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.kinds import Kind
from coalition.storage.connect import Connection
from coalition.storage.statement_lines import NUMBERS_MAX, Ranges

SPENT: Final = (Kind.PURCHASE, Kind.CAPTURE, Kind.UPLOAD, Kind.REFUND, Kind.PASS_VISIT, Kind.VISIT_RETURN)
"""What moves value for goods. A reversal is what it reverses: that of a top-up is no sale."""

SALES: Final = f"""
SELECT participant_id, sum(CASE WHEN debit IN ({WALLET}, {PASSES}) THEN amount_minor ELSE -amount_minor END)::bigint,
       count(*)
FROM (
    SELECT e.participant_id, t.debit, t.amount_minor,
           CASE e.kind WHEN {Kind.REVERSAL:d} THEN o.kind ELSE e.kind END AS kind
    FROM transfers t
    JOIN entries e ON e.lane = t.lane AND e.entry_id = t.entry_id
    LEFT JOIN entries o ON o.lane = e.lane AND o.entry_id = e.original_entry_id AND e.kind = {Kind.REVERSAL:d}
    WHERE t.entry_id >= %(first)s AND t.entry_id < %(end)s AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
      AND (t.debit IN ({WALLET}, {PASSES}) OR t.credit IN ({WALLET}, {PASSES}))
      AND CASE WHEN t.debit IN ({WALLET}, {PASSES}) THEN t.credit ELSE t.debit END
          = ({AccountKind.FLOAT:d}::bigint << 48) + (e.participant_id::bigint << {PARTICIPANT_BITS}) + e.participant_id
) AS legs
WHERE kind = ANY(%(spent)s)
GROUP BY participant_id ORDER BY participant_id
"""


def on_us_sales(connection: Connection, ranges: Ranges) -> dict[int, tuple[int, int]]:
    """Principal that members spent with the issuer of their lots, less what was given back, and how many legs.

    By participant, in minor units.
    """
    sums: dict[int, tuple[int, int]] = {}
    for after, up_to in ranges:
        for start in range(after, up_to, NUMBERS_MAX):
            parameters = {
                "first": start + 1 << NUMBER_SHIFT,
                "end": min(up_to, start + NUMBERS_MAX) + 1 << NUMBER_SHIFT,
                "spent": [int(kind) for kind in SPENT],
            }
            for participant, amount, count in connection.execute(SALES, parameters):
                before = sums.get(participant, (0, 0))
                sums[participant] = before[0] + amount, before[1] + count
    return dict(sorted(sums.items()))
