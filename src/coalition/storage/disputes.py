"""Disputes in SQL: the line that is disputed, the complaint, its decision. All run in the caller's transaction.

Reads the journal, and writes `disputes` only; the correcting entry is the caller's act.
"""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from coalition.domain.accounts import clearing_account
from coalition.domain.disputes import Dispute, DisputeState, Line
from coalition.domain.ids import lane_of_entry
from coalition.storage.connect import Connection

# A settlement's own postings are no line: they move claims from one account to another.
LINE: Final = """
SELECT c.code, sum(t.amount_minor)::bigint, max((w.close_time AT TIME ZONE s.zone)::date)
FROM transfers t JOIN windows w USING (window_id) JOIN calendars c USING (calendar_id) CROSS JOIN scheme s
WHERE t.lane = %(lane)s AND t.entry_id = %(entry)s AND t.unit = 1
  AND ((t.debit = %(one)s AND t.credit = %(other)s) OR (t.debit = %(other)s AND t.credit = %(one)s))
GROUP BY c.code ORDER BY 2 DESC, 1 LIMIT 1
"""
SELECT: Final = """
SELECT d.dispute_id, d.number, d.entry_id, d.calendar, p.code, a.code, d.amount_minor, d.evidence, d.evidence_sha256,
       d.opener, d.open_time, d.state, d.awarded_minor, d.note, d.proposer,
       (SELECT e.entry_id FROM entries e WHERE e.request_id = d.settle_request_id AND e.kind = 25 AND e.reason = 0)
FROM disputes d JOIN participants p ON p.participant_id = d.participant_id
    JOIN participants a ON a.participant_id = d.against_id
"""
# No row: the window is being closed, and the next one is not in this snapshot (DESIGN section 4).
SHARE_WINDOW: Final = """
SELECT w.window_id FROM windows w JOIN calendars c USING (calendar_id)
WHERE c.code = %s AND w.state = 'OPEN' FOR SHARE OF w
"""


def line(connection: Connection, entry_id: int, participant_id: int, against_id: int) -> Line | None:
    """What the entry claimed between the two, in the calendar where that was most; None where it claimed nothing."""
    row = connection.execute(
        LINE,
        {
            "lane": lane_of_entry(entry_id),
            "entry": entry_id,
            "one": clearing_account(participant_id),
            "other": clearing_account(against_id),
        },
    ).fetchone()
    return None if row is None else Line(entry_id, *row)


def participant_ids(connection: Connection) -> dict[str, int]:
    """Number by code."""
    return dict(connection.execute("SELECT code, participant_id FROM participants").fetchall())


def has_unsettled(connection: Connection, entry_id: int, participant_id: int, against_id: int) -> bool:
    """Whether the same line is disputed between the same two already."""
    row = connection.execute(
        "SELECT 1 FROM disputes WHERE entry_id = %s AND participant_id = %s AND against_id = %s "
        "AND state IN ('OPEN', 'PROPOSED')",
        (entry_id, participant_id, against_id),
    ).fetchone()
    return row is not None


def add(connection: Connection, dispute: Dispute, participant_id: int, against_id: int) -> None:
    """Write a new complaint; its number is the next."""
    connection.execute(
        "INSERT INTO disputes (dispute_id, entry_id, calendar, participant_id, against_id, amount_minor, evidence, "
        "evidence_sha256, opener, open_time) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            dispute.dispute_id,
            dispute.entry_id,
            dispute.calendar,
            participant_id,
            against_id,
            dispute.amount_minor,
            dispute.evidence,
            dispute.evidence_sha256,
            dispute.opener,
            dispute.open_time,
        ),
    )


def lock(connection: Connection, dispute_id: UUID, within: Collection[str] | None) -> Dispute | None:
    """The dispute, locked until the transaction ends; None also for one whose complainant is not `within`."""
    row = connection.execute(
        SELECT + "WHERE d.dispute_id = %s AND (%s::text[] IS NULL OR p.code = ANY (%s)) FOR UPDATE OF d",
        (dispute_id, _codes(within), _codes(within)),
    ).fetchone()
    return None if row is None else _dispute(row)


def propose(connection: Connection, dispute_id: UUID, awarded_minor: int, note: str, proposer: str) -> None:
    """A decision waits for its approval."""
    connection.execute(
        "UPDATE disputes SET state = 'PROPOSED', awarded_minor = %s, note = %s, proposer = %s WHERE dispute_id = %s",
        (awarded_minor, note, proposer, dispute_id),
    )


def end(connection: Connection, dispute_id: UUID, state: DisputeState, settle_request_id: UUID | None = None) -> None:
    """Its last state, and the request of the act that corrects the line."""
    connection.execute(
        "UPDATE disputes SET state = %s, settle_request_id = %s WHERE dispute_id = %s",
        (state.value, settle_request_id, dispute_id),
    )


def page(
    connection: Connection, after: int, limit: int, state: DisputeState | None, within: Collection[str] | None
) -> list[Dispute]:
    """Disputes in the order they were opened, with numbers above `after`; `within`: with one of these on a side."""
    rows = connection.execute(
        SELECT + "WHERE d.number > %(after)s AND (%(state)s::text IS NULL OR d.state = %(state)s) "
        "AND (%(within)s::text[] IS NULL OR p.code = ANY (%(within)s) OR a.code = ANY (%(within)s)) "
        "ORDER BY d.number LIMIT %(limit)s",
        {"after": after, "limit": limit, "state": state.value if state else None, "within": _codes(within)},
    ).fetchall()
    return [_dispute(row) for row in rows]


def share_open_window(connection: Connection, calendar: str, *, tries: int = 3) -> int | None:
    """The open window of a calendar, held open until the transaction ends; None where there is none."""
    for _ in range(tries):
        row = connection.execute(SHARE_WINDOW, (calendar,)).fetchone()
        if row is not None:
            return int(row[0])
    return None


def _codes(within: Collection[str] | None) -> list[str] | None:
    return None if within is None else sorted(within)


def _dispute(row: tuple[Any, ...]) -> Dispute:
    values: tuple[Any, ...] = (*row[:8], bytes(row[8]), *row[9:11], DisputeState(row[11]), *row[12:])
    return Dispute(*values)
