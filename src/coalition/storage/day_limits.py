"""Day limits in SQL: which counters a step of the day totals fold has moved, and which of them are full.

Writes `day_limits_reached`.
"""

from collections.abc import Collection, Mapping
from typing import Final

from coalition.domain.day_limits import COUNTED, DayKey, Flow, Subject
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection

# Every counter of the days that a step has touched, with whether it was among what moved: a terminal's by itself, a
# participant's over all of its terminals. Grouping leaves terminal_id NULL for the latter.
MOVED: Final = """
SELECT d.business_date, s.participant_id, d.terminal_id, f.flow, sum(d.accepted_minor)::bigint
FROM day_totals d
JOIN unnest(%(kinds)s::smallint[], %(flows)s::smallint[]) AS f (kind, flow) USING (kind)
JOIN terminals t ON t.terminal_id = d.terminal_id JOIN stores s ON s.store_id = t.store_id
WHERE d.business_date IN (SELECT DISTINCT business_date FROM day_totals WHERE last_entry_id >= %(first)s
                          AND business_date >= current_date - 2)
  AND s.participant_id = ANY (%(participants)s)
GROUP BY GROUPING SETS ((1, 2, 3, 4), (1, 2, 4))
HAVING max(d.last_entry_id) >= %(first)s
"""
RECORD: Final = """
INSERT INTO day_limits_reached AS known (business_date, subject, subject_id, flow, reached_minor, number)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (business_date, subject, subject_id, flow) DO UPDATE
SET reached_minor = excluded.reached_minor, number = excluded.number
"""
REACHED: Final = "SELECT business_date, subject, subject_id, flow, reached_minor FROM day_limits_reached"


def moved(connection: Connection, participants: Collection[int], after: int) -> Mapping[DayKey, tuple[int, int]]:
    """(participant, total in minor units) of each counter of these participants that numbers behind `after` moved."""
    rows = connection.execute(
        MOVED,
        {
            "kinds": [int(kind) for kind in COUNTED],
            "flows": [int(flow) for flow in COUNTED.values()],
            "first": after + 1 << NUMBER_SHIFT,
            "participants": list(participants),
        },
    )
    found = {}
    for day, participant, terminal, flow, total in rows:
        subject, subject_id = (Subject.PARTICIPANT, participant) if terminal is None else (Subject.TERMINAL, terminal)
        found[DayKey(day, subject, subject_id, Flow(flow))] = (participant, total)
    return found


def reached(connection: Connection) -> dict[DayKey, int]:
    """The totals at which counters were recorded as full."""
    return {
        DayKey(day, Subject(subject), subject_id, Flow(flow)): total
        for day, subject, subject_id, flow, total in connection.execute(REACHED)
    }


def record(connection: Connection, full: Mapping[DayKey, int], number: int) -> None:
    """Keep that these counters are full at these totals, as of journal number `number`."""
    with connection.cursor() as cursor:
        cursor.executemany(RECORD, [(*key, total, number) for key, total in full.items()])
