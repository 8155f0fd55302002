"""The exposures fold: what each participant owes over all windows that are not paid, and its collateral.

What is owed is minus the sum of its CLEARING and DUE accounts over the whole journal: claims of open and closed
windows, and what was netted and is not paid. Netting moves it from one to the other and changes nothing. Writes
`participant_exposures` and, for caps, `caps_reached`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from coalition.domain.accounts import AccountKind
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold

# The range is found by the BRIN index on entry_id; each leg counts for both of its accounts.
ADD: Final = """
INSERT INTO {table} AS folded (participant_id, unit, owed_minor, collateral_minor)
SELECT (side.account >> 24 & 16777215)::integer, t.unit,
       coalesce(sum(side.amount) FILTER (WHERE side.account >> 48 <> %(collateral)s), 0),
       coalesce(sum(-side.amount) FILTER (WHERE side.account >> 48 = %(collateral)s), 0)
FROM transfers t
CROSS JOIN LATERAL (VALUES (t.debit, t.amount_minor), (t.credit, -t.amount_minor)) AS side (account, amount)
WHERE t.entry_id >= %(first)s AND t.entry_id < %(end)s
  AND side.account >> 48 IN (%(clearing)s, %(due)s, %(collateral)s)
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (participant_id, unit) DO UPDATE
SET owed_minor = folded.owed_minor + excluded.owed_minor,
    collateral_minor = folded.collateral_minor + excluded.collateral_minor
"""
EXPOSURES: Final = """
SELECT participant_id, owed_minor, collateral_minor FROM participant_exposures
WHERE unit = 1 AND participant_id = ANY (%s::integer[])
"""
STOPPED: Final = "SELECT participant_id FROM caps_reached WHERE is_stopped"
RECORD: Final = """
INSERT INTO caps_reached (participant_id, is_stopped, owed_minor, number) VALUES (%s, %s, %s, %s)
ON CONFLICT (participant_id) DO UPDATE
SET is_stopped = excluded.is_stopped, owed_minor = excluded.owed_minor, number = excluded.number
"""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a participant owes all others together (below 0: it is owed), and its collateral, minor units."""

    owed_minor: int
    collateral_minor: int


def add_exposures(connection: Connection, table: str, after: int, up_to: int) -> None:
    """Add the legs of `after < number <= up_to` to `table`."""
    connection.execute(
        ADD.format(table=table),
        {
            "first": after + 1 << NUMBER_SHIFT,
            "end": up_to + 1 << NUMBER_SHIFT,
            "clearing": AccountKind.CLEARING,
            "due": AccountKind.DUE,
            "collateral": AccountKind.COLLATERAL,
        },
    )


EXPOSURES_FOLD: Final = Fold(
    name="exposures",
    table="participant_exposures",
    columns=("participant_id", "unit", "owed_minor", "collateral_minor"),
    keys=2,
    add=add_exposures,
)


def exposures(connection: Connection, participants: Collection[int]) -> dict[int, Exposure]:
    """Of these participants, as far as it is folded; those without any entry are not in it."""
    rows = connection.execute(EXPOSURES, (list(participants),))
    return {participant: Exposure(owed, collateral) for participant, owed, collateral in rows}


def stopped(connection: Connection) -> set[int]:
    """The participants that were recorded as having reached their caps."""
    return {participant for (participant,) in connection.execute(STOPPED)}


def record(connection: Connection, changed: Mapping[int, tuple[bool, int]], number: int) -> None:
    """Keep who is stopped from journal number `number` on, or goes on: (is stopped, what it owes) by participant."""
    with connection.cursor() as cursor:
        cursor.executemany(RECORD, [(participant, *what, number) for participant, what in changed.items()])
