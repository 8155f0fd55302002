"""The volumes fold: what each participant sold in each window, net of what was given back. And its new members.

An entry belongs to the window of a calendar by its journal number, between two cuts: so does an on-us sale, which makes
no claim. Writes `window_volumes` only; members are counted when they are asked for.
"""

from typing import Final

from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.kinds import Kind
from coalition.domain.window_fees import WindowBase
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold

SALES: Final = (int(Kind.PURCHASE), int(Kind.CAPTURE), int(Kind.UPLOAD), int(Kind.PASS_VISIT))
# What gives back, by kind; a reversal by what it undoes. What comes back is the volume of whoever had sold it.
BACK_OF_SALES: Final = (int(Kind.REFUND), int(Kind.VISIT_RETURN))
BACK_OF_TOP_UPS: Final = (int(Kind.TOP_UP_REVERSAL), int(Kind.TOP_UP_RETURN))
# Entries are keyed by lane first, so a range of numbers is a range in each lane.
ADD: Final = """
INSERT INTO {table} AS folded (window_id, participant_id, base, volume_minor, entry_count)
WITH spans AS (
    SELECT window_id,
           coalesce(lag(cut_number) OVER (PARTITION BY calendar_id ORDER BY window_id), open_number, 0) AS after,
           coalesce(cut_number, 9223372036854775807) AS up_to
    FROM windows
), moved AS (
    SELECT e.entry_id >> %(shift)s AS number, coalesce(o.participant_id, e.participant_id) AS participant_id,
           CASE WHEN e.kind = ANY (%(sales)s) OR e.kind = ANY (%(back_of_sales)s) OR o.kind = ANY (%(sales)s)
                THEN 'PURCHASES' ELSE 'TOP_UPS' END AS base,
           CASE WHEN o.entry_id IS NULL THEN e.amount_minor ELSE -e.amount_minor END AS amount
    FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
    JOIN entries e ON e.lane = lanes.lane AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
    LEFT JOIN entries o ON o.lane = e.lane AND o.entry_id = e.original_entry_id AND NOT e.kind = ANY (%(sales)s)
    WHERE e.reason = 0 AND (e.kind = ANY (%(sales)s) OR e.kind = %(top_up)s OR e.kind = ANY (%(back_of_sales)s)
                            OR e.kind = ANY (%(back_of_top_ups)s)
                            OR (e.kind = %(reversal)s AND (o.kind = ANY (%(sales)s) OR o.kind = %(top_up)s)))
)
SELECT s.window_id, m.participant_id, m.base, sum(m.amount), count(*)
FROM moved m JOIN spans s ON m.number > s.after AND m.number <= s.up_to
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (window_id, participant_id, base) DO UPDATE
SET volume_minor = folded.volume_minor + excluded.volume_minor, entry_count = folded.entry_count + excluded.entry_count
"""
VOLUMES: Final = "SELECT participant_id, base, volume_minor FROM window_volumes WHERE window_id = %s"
# The journal does not say whose a wallet is, so an enrolment leads to its recruiter by the member.
NEW_MEMBERS: Final = """
SELECT m.recruiter_id, count(*)
FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
JOIN entries e ON e.lane = lanes.lane AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
JOIN members m ON m.member_id = (convert_from(e.answer, 'UTF8')::json #>> '{answer,member_id}')::uuid
WHERE e.kind = %(enrolled)s AND e.reason = 0 GROUP BY 1
"""
ACTIVATED_MEMBERS: Final = """
SELECT w.recruiter_id, count(*)
FROM (SELECT DISTINCT e.lane, e.wallet_id
      FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
      JOIN entries e ON e.lane = lanes.lane AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
      WHERE e.kind = ANY (%(sales)s) AND e.reason = 0 AND e.wallet_id IS NOT NULL) AS bought
JOIN wallets w USING (lane, wallet_id)
WHERE NOT EXISTS (SELECT FROM entries p WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id
                  AND p.entry_id < %(first)s AND p.kind = ANY (%(sales)s) AND p.reason = 0)
GROUP BY 1
"""


def add_volumes(connection: Connection, table: str, after: int, up_to: int) -> None:
    """Add what was sold and given back in `after < number <= up_to` to `table`, for the window of every calendar."""
    connection.execute(
        ADD.format(table=table),
        {
            **_range(after, up_to),
            "shift": NUMBER_SHIFT,
            "sales": list(SALES),
            "top_up": Kind.TOP_UP,
            "back_of_sales": list(BACK_OF_SALES),
            "back_of_top_ups": list(BACK_OF_TOP_UPS),
            "reversal": Kind.REVERSAL,
        },
    )


WINDOW_VOLUMES: Final = Fold(
    name="window_volumes",
    table="window_volumes",
    columns=("window_id", "participant_id", "base", "volume_minor", "entry_count"),
    keys=3,
    add=add_volumes,
)


def volumes(connection: Connection, window_id: int) -> dict[tuple[int, WindowBase], int]:
    """What each participant sold in a window as far as it is folded, minor units."""
    rows = connection.execute(VOLUMES, (window_id,)).fetchall()
    return {(participant_id, WindowBase(base)): volume for participant_id, base, volume in rows}


def member_counts(
    connection: Connection, base: WindowBase, after: int, up_to: int
) -> dict[tuple[int, WindowBase], int]:
    """Members of each recruiter that are new, or active for the first time, in `after < number <= up_to`.

    Reads the entries of that range: asked only where somebody pays by it. Members moved in from a file are not new.
    """
    statement = NEW_MEMBERS if base is WindowBase.NEW_MEMBERS else ACTIVATED_MEMBERS
    parameters = {**_range(after, up_to), "enrolled": Kind.MEMBER_ENROLLED, "sales": list(SALES)}
    return {(recruiter, base): count for recruiter, count in connection.execute(statement, parameters)}


def _range(after: int, up_to: int) -> dict[str, int]:
    return {"first": after + 1 << NUMBER_SHIFT, "end": up_to + 1 << NUMBER_SHIFT}
