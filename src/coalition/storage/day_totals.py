"""The day totals fold: what each terminal did on each business date, by kind. Writes `day_totals` only."""

from datetime import date
from typing import Final

from coalition.domain.day_close import Total
from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.kinds import FIRST_ACT, Kind
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold
from coalition.storage.lease import Cursor

# Entries are keyed by lane first, so a range of numbers is a range in each lane.
ADD: Final = """
INSERT INTO {table} AS folded (business_date, terminal_id, kind, accepted_count, accepted_minor, declined_count,
    last_entry_id)
SELECT e.business_date, e.terminal_id, e.kind, count(*) FILTER (WHERE e.reason = 0),
       coalesce(sum(e.amount_minor) FILTER (WHERE e.reason = 0), 0), count(*) FILTER (WHERE e.reason <> 0),
       max(e.entry_id)
FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
JOIN entries e ON e.lane = lanes.lane AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
WHERE e.terminal_id IS NOT NULL AND e.kind < %(acts)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (business_date, terminal_id, kind) DO UPDATE
SET accepted_count = folded.accepted_count + excluded.accepted_count,
    accepted_minor = folded.accepted_minor + excluded.accepted_minor,
    declined_count = folded.declined_count + excluded.declined_count,
    last_entry_id = excluded.last_entry_id
"""
TOTALS: Final = """
SELECT kind, sum(accepted_count)::bigint, sum(accepted_minor)::bigint, sum(declined_count)::bigint
FROM day_totals WHERE terminal_id = %s AND (%s::date IS NULL OR business_date = %s)
GROUP BY kind ORDER BY kind
"""


def add_totals(connection: Connection, table: str, after: int, up_to: int) -> None:
    """Add the operations of `after < number <= up_to` to `table`, by the terminal they were made at."""
    connection.execute(
        ADD.format(table=table),
        {"first": after + 1 << NUMBER_SHIFT, "end": up_to + 1 << NUMBER_SHIFT, "acts": FIRST_ACT},
    )


DAY_TOTALS: Final = Fold(
    name="day_totals",
    table="day_totals",
    columns=(
        *("business_date", "terminal_id", "kind"),
        *("accepted_count", "accepted_minor", "declined_count", "last_entry_id"),
    ),
    keys=3,
    add=add_totals,
)


def totals_of(cursor: Cursor, terminal_id: int, business_date: date | None) -> dict[Kind, Total]:
    """What is folded of a terminal, on one business date or (None) ever."""
    rows = cursor.execute(TOTALS, (terminal_id, business_date, business_date)).fetchall()
    return {Kind(kind): Total(*counted) for kind, *counted in rows}
