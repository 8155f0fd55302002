"""The sponsored fold: how much bonus was granted under each version of terms. And which limits of sponsors are reached.

Writes `sponsored_bonus` and, for limits, `sponsors_reached`. What was granted counts, whether it is spent, expired or
taken back: a sponsor's limit is on what it promises.
"""

from collections.abc import Mapping
from typing import Final

from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.kinds import Kind
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold

GRANTING: Final = sorted({Kind.TOP_UP, Kind.POINTS_CONVERSION})
# A lot's id is that of the entry that opened it, so its range in each lane holds the top-ups of these numbers, vouchers
# for points, and few others: lots that were moved or brought along, whose bonus nobody grants now.
ADD: Final = """
INSERT INTO {table} AS folded (terms_id, terms_version, granted_minor)
SELECT l.terms_id, l.terms_version, sum(l.face_sold - l.principal_sold)
FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
JOIN lots l ON l.lane = lanes.lane AND l.lot_id >= %(first)s AND l.lot_id < %(end)s
JOIN entries e ON e.lane = l.lane AND e.entry_id = l.lot_id AND e.kind = ANY(%(granting)s)
WHERE l.face_sold > l.principal_sold
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (terms_id, terms_version) DO UPDATE SET granted_minor = folded.granted_minor + excluded.granted_minor
"""
GRANTED: Final = (
    "SELECT terms_id, terms_version, granted_minor FROM sponsored_bonus WHERE terms_id = ANY (%s::integer[])"
)
REACHED: Final = "SELECT terms_id FROM sponsors_reached WHERE is_reached"
RECORD: Final = """
INSERT INTO sponsors_reached (terms_id, is_reached, borne_minor, number) VALUES (%s, %s, %s, %s)
ON CONFLICT (terms_id) DO UPDATE
SET is_reached = excluded.is_reached, borne_minor = excluded.borne_minor, number = excluded.number
"""


def add_granted(connection: Connection, table: str, after: int, up_to: int) -> None:
    """Add the bonus granted in `after < number <= up_to` to `table`."""
    connection.execute(
        ADD.format(table=table),
        {"first": after + 1 << NUMBER_SHIFT, "end": up_to + 1 << NUMBER_SHIFT, "granting": GRANTING},
    )


SPONSORED: Final = Fold(
    name="sponsored",
    table="sponsored_bonus",
    columns=("terms_id", "terms_version", "granted_minor"),
    keys=2,
    add=add_granted,
)


def granted(connection: Connection, terms: list[int]) -> dict[tuple[int, int], int]:
    """The bonus granted under each version of these terms, as far as it is folded, minor units."""
    return {(terms_id, version): amount for terms_id, version, amount in connection.execute(GRANTED, (terms,))}


def reached(connection: Connection) -> set[int]:
    """The terms that were recorded as grant no bonus any more."""
    return {terms_id for (terms_id,) in connection.execute(REACHED)}


def record(connection: Connection, changed: Mapping[int, tuple[bool, int]], number: int) -> None:
    """Keep whose limit is reached from journal number `number` on, or no more: (is it, what is borne) by terms."""
    with connection.cursor() as cursor:
        cursor.executemany(RECORD, [(terms_id, *what, number) for terms_id, what in changed.items()])
