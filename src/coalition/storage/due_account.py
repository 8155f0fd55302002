"""The DUE accounts between two nettings of a calendar, in SQL: what was due before, and every leg since.

Legs come from the journal, balances from `due_lines`, which their writer keeps: whoever reads both holds them against
each other. Reads immutable rows by ranges of journal numbers. Never writes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from coalition.domain.accounts import AccountKind, Unit
from coalition.domain.ids import LANE_BITS, NUMBER_SHIFT, number_of
from coalition.domain.kinds import Kind
from coalition.storage.connect import Connection
from coalition.storage.statement_lines import NUMBERS_MAX

# One that changed nothing that is due (an empty window's) is known by its window alone.
BEFORE: Final = """
SELECT greatest(
    (SELECT max(w.netting_entry_id) FROM windows w WHERE w.calendar_id = %(calendar_id)s
        AND w.netting_entry_id < %(entry)s),
    (SELECT max(e.entry_id) FROM (SELECT DISTINCT entry_id FROM due_lines WHERE entry_id < %(entry)s) AS d
        JOIN entries e ON e.lane = (d.entry_id & %(lanes)s)::smallint AND e.entry_id = d.entry_id
        WHERE e.kind = %(netting)s
        AND (convert_from(e.answer, 'UTF8')::json -> 'answer' ->> 'calendar') = %(calendar)s))
"""
LEGS: Final = """
SELECT t.entry_id, t.debit, t.credit, t.code, t.amount_minor, e.kind, e.business_date, b.time, e.answer
FROM (
    SELECT * FROM transfers WHERE entry_id >= %(first)s AND entry_id < %(end)s AND unit = %(money)s
        AND (debit >> 48 = %(due)s OR credit >> 48 = %(due)s)
) AS t
JOIN entries e ON e.lane = t.lane AND e.entry_id = t.entry_id
JOIN batches b ON b.number = t.entry_id >> %(shift)s
ORDER BY t.entry_id, t.leg
"""
LANE_MASK: Final = (1 << LANE_BITS) - 1


@dataclass(frozen=True, slots=True)
class DueLeg:
    """One leg of an entry that moved what is due of somebody; `told` is what the entry's answer says."""

    entry_id: int
    debit: int
    credit: int
    code: int
    amount_minor: int
    kind: int
    business_date: date
    post_time: datetime
    told: Mapping[str, Any]


def netting_before(connection: Connection, calendar_id: int, calendar: str, entry_id: int) -> int:
    """The entry that netted a window of this calendar last before `entry_id`, also one taken back since; 0 for none."""
    parameters = {
        "calendar_id": calendar_id,
        "calendar": calendar,
        "entry": entry_id,
        "lanes": LANE_MASK,
        "netting": Kind.NETTING,
    }
    return int(connection.execute(BEFORE, parameters).fetchall()[0][0] or 0)


def due_legs(connection: Connection, after: int, up_to: int) -> list[DueLeg]:
    """Every leg on a DUE account, in money, of entries `after < entry_id <= up_to`, in journal order."""
    legs: list[DueLeg] = []
    for start in range(number_of(after), number_of(up_to) + 1, NUMBERS_MAX):
        parameters = {
            "first": max(after + 1, start << NUMBER_SHIFT),
            "end": min(up_to + 1, start + NUMBERS_MAX << NUMBER_SHIFT),
            "money": Unit.MONEY,
            "due": AccountKind.DUE,
            "shift": NUMBER_SHIFT,
        }
        legs += [_leg(row) for row in connection.execute(LEGS, parameters)]
    return legs


def _leg(row: tuple[Any, ...]) -> DueLeg:
    values: tuple[Any, ...] = (*row[:-1], json.loads(bytes(row[-1]))["answer"])
    return DueLeg(*values)
