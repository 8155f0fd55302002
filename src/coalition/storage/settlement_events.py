"""Settlement's events: a fold of the journal, and how a participant reads its own behind a cursor.

Writes `settlement_events` and `cap_notices`. What is an event is domain/events.py; nothing of it is on a till's way.
"""

import json
from collections.abc import Collection, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from coalition.domain.accounts import Account, TransferCode, Unit
from coalition.domain.event_records import SettlementEvent
from coalition.domain.events import EVERYBODY, TELLING, EventKind, settlement_events
from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.journal import Transfer
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.storage.connect import Connection
from coalition.storage.exposures import EXPOSURES_FOLD
from coalition.storage.folds import Fold
from coalition.storage.lease import Lease, leased_cursor
from coalition.storage.sponsored import SPONSORED

# A join from the lanes finds the range in each by the primary key; few entries of a month are of these kinds.
TELLING_ENTRIES: Final = """
SELECT e.entry_id, e.kind, e.answer
FROM generate_series(0, (SELECT lane_count - 1 FROM scheme)) AS lanes (lane)
JOIN entries e ON e.lane = lanes.lane AND e.entry_id >= %s AND e.entry_id < %s
WHERE e.kind = ANY (%s) AND e.reason = %s
ORDER BY e.entry_id
"""
# In money: what else is settled is valued in money by an entry of its own.
LEGS: Final = """
SELECT entry_id, debit, credit, amount_minor, code, window_id FROM transfers
WHERE entry_id >= %s AND entry_id <= %s AND entry_id = ANY (%s) AND unit = %s ORDER BY entry_id, leg
"""
SIDES: Final = """
SELECT dispute_id::text, participant_id, against_id FROM disputes WHERE dispute_id = ANY (%s::uuid[])
"""
COLUMNS: Final = ("entry_id", "place", "kind", "participant_id", "amount_minor", "run_id", "window_name", "subject")
INSERT: Final = "INSERT INTO {table} ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
# Of these participants and everybody. All three folds have to have come that far: what one of them adds later would lie
# behind the reader's cursor.
PAGE: Final = """
WITH told AS (
    SELECT min(cursor_number) + 1 << {shift} AS end FROM (
        SELECT coalesce((SELECT cursor_number FROM followers WHERE name = needed), 0) AS cursor_number
        FROM unnest(%(folds)s::text[]) AS needed) AS cursors
)
SELECT e.entry_id, e.place, e.kind, coalesce(p.code, ''), e.amount_minor, e.run_id, e.window_name, e.subject,
       (SELECT time FROM batches WHERE number <= e.entry_id >> {shift} ORDER BY number DESC LIMIT 1)
FROM (
    SELECT {columns} FROM settlement_events
    UNION ALL SELECT entry_id, 0, kind, participant_id, owed_minor, 0, '', '' FROM cap_notices
) AS e ({columns})
LEFT JOIN participants p USING (participant_id)
WHERE (e.entry_id, e.place) > (%(entry)s, %(place)s) AND e.entry_id < (SELECT told.end FROM told)
  AND (%(within)s::integer[] IS NULL OR e.participant_id = ANY (%(within)s::integer[]))
ORDER BY e.entry_id, e.place LIMIT %(limit)s
"""
# A fold that is made again from the first number passes the same numbers again.
NOTICE: Final = """
INSERT INTO cap_notices (entry_id, participant_id, kind, owed_minor) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
LAST_NOTICES: Final = """
SELECT DISTINCT ON (participant_id) participant_id, kind FROM cap_notices ORDER BY participant_id, entry_id DESC
"""


def add_events(connection: Connection, table: str, after: int, up_to: int) -> None:
    """Add the events of `after < number <= up_to` to `table`."""
    rows = connection.execute(
        TELLING_ENTRIES,
        (after + 1 << NUMBER_SHIFT, up_to + 1 << NUMBER_SHIFT, list(map(int, TELLING)), Reason.ACCEPTED),
    ).fetchall()
    if not rows:
        return
    entries = [(entry, Kind(kind), json.loads(bytes(answer))["answer"]) for entry, kind, answer in rows]
    legs = _legs(connection, [entry for entry, _, _ in entries])
    sides = _sides(connection, [answer["dispute"] for _, _, answer in entries if "dispute" in answer])
    with connection.cursor() as cursor:
        cursor.executemany(
            INSERT.format(table=table, columns=", ".join(COLUMNS)),
            [
                (entry, place, *told)
                for entry, kind, answer in entries
                for place, told in enumerate(settlement_events(kind, answer, legs.get(entry, ()), sides))
            ],
        )


def _legs(connection: Connection, entries: Sequence[int]) -> dict[int, list[Transfer]]:
    rows = connection.execute(LEGS, (entries[0], entries[-1], list(entries), Unit.MONEY))
    return {
        entry: [
            Transfer(Account(debit), Account(credit), amount, TransferCode(code), window)
            for _, debit, credit, amount, code, window in legs
        ]
        for entry, legs in groupby(rows, key=itemgetter(0))
    }


def _sides(connection: Connection, disputes: Collection[str]) -> dict[str, tuple[int, int]]:
    if not disputes:
        return {}
    return {dispute: (ours, theirs) for dispute, ours, theirs in connection.execute(SIDES, (list(disputes),))}


SETTLEMENT_EVENTS: Final = Fold("events", "settlement_events", COLUMNS, keys=2, add=add_events)


def notice(connection: Connection, number: int, participant_id: int, kind: EventKind, owed_minor: int) -> None:
    """Tell a participant how it stands with its cap once the journal was folded up to `number`."""
    connection.execute(NOTICE, ((number + 1 << NUMBER_SHIFT) - 1, participant_id, kind, owed_minor))


def last_notices(connection: Connection) -> dict[int, EventKind]:
    """What each participant was told of its cap last."""
    return {participant: EventKind(kind) for participant, kind in connection.execute(LAST_NOTICES)}


class SettlementEventReads:
    """Callable from any thread: each call leases a connection for itself. Raises StoreUnavailable."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def page(self, after: tuple[int, int], within: Collection[int] | None, limit: int) -> list[SettlementEvent]:
        """The next events behind `after` (entry, place) told to `within` or everybody; with None, to anybody."""
        parameters = {
            "folds": [SETTLEMENT_EVENTS.name, EXPOSURES_FOLD.name, SPONSORED.name],
            "entry": after[0],
            "place": after[1],
            "within": None if within is None else [EVERYBODY, *within],
            "limit": limit,
        }
        with leased_cursor(self._lease) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(
                PAGE.format(columns=", ".join(COLUMNS), shift=NUMBER_SHIFT), parameters
            ).fetchall()
        return [SettlementEvent(row[0], row[1], EventKind(row[2]), *row[3:]) for row in rows]
