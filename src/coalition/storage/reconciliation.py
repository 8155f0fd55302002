"""A merchant's operations as reconciliation needs them: a window's, and where other keys are. Reads only."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from coalition.domain.ids import NUMBER_SHIFT, lane_of_entry, number_of
from coalition.domain.kinds import FIRST_ACT, OF_POINTS, SETTLEMENT, Kind
from coalition.domain.reasons import Reason
from coalition.domain.reconciliation import Elsewhere, KeyKind, OurLine, Result, TheirLine, Why, reconcile
from coalition.storage.connect import Connection
from coalition.storage.frontier import last_number
from coalition.storage.settlement import Window
from coalition.storage.statement_lines import Ranges

NUMBERS_MAX: Final = 100_000  # journal numbers a statement reads: few of their entries are one merchant's

OURS: Final = """
SELECT entry_id, request_id::text, coalesce(sale_reference, ''), kind, amount_minor, original_entry_id
FROM entries e
WHERE entry_id >= %(first)s AND entry_id < %(end)s AND participant_id = %(participant)s AND kind < %(acts)s
  AND kind <> ALL(%(left_out)s) AND reason = 0
  AND NOT (kind = %(reversal)s AND EXISTS (
      SELECT FROM entries o
      WHERE o.lane = e.lane AND o.entry_id = e.original_entry_id AND o.kind = ANY(%(of_points)s)))
ORDER BY entry_id
"""
# A hold moves nothing and its release neither; no money is paid with points, nor where they become value; what
# settlement posts, a merge and a value carried over are no sales.
LEFT_OUT: Final = sorted(
    SETTLEMENT
    | {Kind.HOLD, Kind.VOID, Kind.HOLD_EXPIRY, Kind.TOMBSTONE, Kind.BONUS_EXPIRY}
    | {Kind.MERGE_OUT, Kind.MERGE_IN, Kind.OPENING}
    | OF_POINTS
)

BY_REQUEST: Final = """
SELECT request_id::text, entry_id, reason FROM entries
WHERE request_id = ANY(%(keys)s::uuid[]) AND participant_id = %(participant)s AND kind < %(acts)s
"""
BY_ENTRY: Final = """
SELECT entry_id::text, entry_id, reason FROM entries
WHERE lane = ANY(%(lanes)s::smallint[]) AND entry_id = ANY(%(keys)s::bigint[]) AND participant_id = %(participant)s
  AND kind < %(acts)s
"""
BY_REFERENCE: Final = """
SELECT sale_reference, entry_id, reason FROM entries
WHERE sale_reference = ANY(%(keys)s::text[]) AND participant_id = %(participant)s AND kind < %(acts)s
  AND entry_id >= %(first)s AND entry_id < %(end)s
ORDER BY entry_id
"""


def reconciled(
    connection: Connection, windows: Sequence[Window], window_id: int, participant_id: int, theirs: Sequence[TheirLine]
) -> list[Result]:
    """Hold `theirs` against what the participant did in a window, which may still be open.

    `windows` are all of its calendar, oldest first.
    """
    place = [window.window_id for window in windows].index(window_id)
    last = last_number(connection)
    cuts = [0, *(last if window.cut_number is None else window.cut_number for window in windows)]
    ours = our_lines(connection, participant_id, [(cuts[place], cuts[place + 1])])
    near = cuts[max(place - 1, 0)], cuts[min(place + 2, len(windows))]
    return reconcile(theirs, ours, lambda lines: elsewhere(connection, participant_id, lines, windows, near))


def our_lines(connection: Connection, participant_id: int, ranges: Ranges) -> list[OurLine]:
    """The accepted operations of a participant's tills in `ranges` of journal numbers, in journal order."""
    rows = [row for after, up_to in ranges for row in _rows(connection, participant_id, after, up_to)]
    here = {row[0] for row in rows}
    pairs = [(row[0], row[5]) for row in rows if row[3] == Kind.REVERSAL and row[5] in here]
    undone = {entry for pair in pairs for entry in pair}
    return [OurLine(row[0], row[1], row[2], row[3], row[4], row[0] in undone) for row in rows]


def _rows(connection: Connection, participant_id: int, after: int, up_to: int) -> Iterator[tuple[Any, ...]]:
    for start in range(after, up_to, NUMBERS_MAX):
        yield from connection.execute(
            OURS,
            {
                "first": start + 1 << NUMBER_SHIFT,
                "end": min(up_to, start + NUMBERS_MAX) + 1 << NUMBER_SHIFT,
                "participant": participant_id,
                "acts": FIRST_ACT,
                "left_out": [int(kind) for kind in LEFT_OUT],
                "of_points": sorted(map(int, OF_POINTS)),
                "reversal": int(Kind.REVERSAL),
            },
        )


def elsewhere(
    connection: Connection,
    participant_id: int,
    lines: Sequence[TheirLine],
    windows: Sequence[Window],
    near: tuple[int, int],
) -> Mapping[int, Elsewhere]:
    """What is known of keys that are none of the window's, by line number; only what is the participant's own.

    Entry and request ids are found wherever they are; sale references, which have no index, among the journal numbers
    `near` (after, up to): the neighbouring windows.
    """
    told: dict[tuple[KeyKind, str], Elsewhere] = {}
    for kind, query in (
        (KeyKind.REQUEST_ID, BY_REQUEST),
        (KeyKind.ENTRY_ID, BY_ENTRY),
        (KeyKind.SALE_REFERENCE, BY_REFERENCE),
    ):
        keys = [line.key for line in lines if line.key_kind is kind]
        if not keys:
            continue
        parameters = {
            "keys": keys,
            "participant": participant_id,
            "acts": FIRST_ACT,
            "lanes": sorted({lane_of_entry(int(key)) for key in keys}) if kind is KeyKind.ENTRY_ID else [],
            "first": near[0] + 1 << NUMBER_SHIFT,
            "end": near[1] + 1 << NUMBER_SHIFT,
        }
        for key, entry, reason in connection.execute(query, parameters):
            told[kind, key] = _fate(entry, reason, windows)
    return {line.number: told[line.key_kind, line.key] for line in lines if (line.key_kind, line.key) in told}


def _fate(entry: int, reason: int, windows: Sequence[Window]) -> Elsewhere:
    if reason != Reason.ACCEPTED:
        return Elsewhere(Why.DECLINED, Reason(reason).name)
    number = number_of(entry)
    label = next((each.label for each in windows if each.cut_number is None or number <= each.cut_number), "")
    return Elsewhere(Why.OTHER_WINDOW, label)
