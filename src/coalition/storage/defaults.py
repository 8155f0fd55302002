"""Collateral, defaults and recoveries in SQL: what made a participant's due, and what others bear of it.

Every function runs in the caller's transaction, which holds `settlement_entries.hold_dues`. Decides nothing: that is
domain/default.py.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Final, NamedTuple
from uuid import UUID

from coalition.domain.accounts import AccountKind, TransferCode, Unit, kind_of, parties_of
from coalition.domain.ids import LANE_BITS
from coalition.domain.kinds import Kind
from coalition.storage.connect import Connection
from coalition.storage.settlement_entries import WHOLE_JOURNAL_PATIENCE

LINES: Final = """
SELECT d.entry_id, d.amount_minor, w.window_id, c.code, w.label
FROM due_lines d
LEFT JOIN windows w ON w.netting_entry_id = d.entry_id AND w.state IN ('NETTED', 'SETTLED')
LEFT JOIN calendars c USING (calendar_id)
WHERE d.participant_id = %s ORDER BY d.entry_id
"""
BORNE: Final = """
SELECT e.answer, t.debit, t.credit, t.amount_minor FROM transfers t
JOIN entries e ON e.lane = t.lane AND e.entry_id = t.entry_id
WHERE t.entry_id = ANY (%(entries)s) AND t.code = %(code)s AND t.unit = %(money)s AND e.kind = %(kind)s
"""


# Few of the entries that changed what is due are defaults; an entry's lane is in its id.
DEFAULTS: Final = """
SELECT e.entry_id FROM (SELECT DISTINCT entry_id FROM due_lines) AS d
JOIN entries e ON e.lane = (d.entry_id & %(lanes)s)::smallint AND e.entry_id = d.entry_id
WHERE e.kind = %(kind)s AND (%(up_to)s::bigint IS NULL OR e.entry_id <= %(up_to)s) ORDER BY e.entry_id
"""
LANE_MASK: Final = (1 << LANE_BITS) - 1


class Line(NamedTuple):
    """One change of what is due of a participant; the window, with calendar and label, where a netting made it."""

    entry_id: int
    amount_minor: int
    window_id: int | None
    calendar: str | None
    label: str | None


def lines_of(connection: Connection, participant_id: int) -> list[Line]:
    """How the participant came to its due, oldest first; a netting that was reversed names no window."""
    return [Line(*row) for row in connection.execute(LINES, (participant_id,))]


def claims_on(connection: Connection, participant_id: int, window_id: int) -> list[tuple[int, int, int]]:
    """The money claims of a netted window on or of the participant: (debtor, creditor, minor units)."""
    return connection.execute(
        "SELECT debtor_id, creditor_id, sum(amount_minor)::bigint FROM window_claims "
        "WHERE window_id = %(window)s AND unit = %(money)s AND %(participant)s IN (debtor_id, creditor_id) "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        {"window": window_id, "participant": participant_id, "money": Unit.MONEY},
    ).fetchall()


def still_borne(connection: Connection, participant_id: int, entries: Collection[int]) -> dict[int, int]:
    """What others still bear of the participant, by their numbers. `entries` are those of its due lines."""
    return _losses(connection, entries).get(participant_id, {})


def all_losses(connection: Connection, up_to: int | None = None) -> dict[int, dict[int, int]]:
    """The same of each participant of whom others bear anything; once `up_to` was posted where it is given."""
    parameters = {"kind": Kind.DEFAULT, "lanes": LANE_MASK, "up_to": up_to}
    entries = [row[0] for row in connection.execute(DEFAULTS, parameters)]
    return _losses(connection, entries)


def _losses(connection: Connection, entries: Collection[int]) -> dict[int, dict[int, int]]:
    """Shares less what was handed on since, by defaulter and by who bears them; the figures are the journal's own legs.

    The answers tell a participant's own defaults and recoveries from those of others in which it bears a share: the
    legs alone do not.
    """
    if not entries:
        return {}
    connection.execute(f"SET LOCAL statement_timeout = '{WHOLE_JOURNAL_PATIENCE}'")
    rows = connection.execute(
        BORNE,
        {
            "entries": list(entries),
            "code": TransferCode.LOSS_SHARE,
            "money": Unit.MONEY,
            "kind": Kind.DEFAULT,
        },
    )
    losses: dict[int, Counter[int]] = defaultdict(Counter)
    for answer, debit, credit, amount in rows:
        defaulter = json.loads(bytes(answer))["answer"]["participant_id"]
        for account, sign in ((debit, 1), (credit, -1)):
            other, _ = parties_of(account)
            if kind_of(account) is AccountKind.DUE and other != defaulter:
                losses[defaulter][other] += sign * amount
    left = {
        each: {other: amount for other, amount in sorted(borne.items()) if amount} for each, borne in losses.items()
    }
    return {each: borne for each, borne in sorted(left.items()) if borne}


def suspend(connection: Connection, participant_id: int) -> bool:
    """Its terminals are declined from the next batch on; whether it was active until now."""
    changed = connection.execute(
        "UPDATE participants SET state = 'SUSPENDED' WHERE participant_id = %s AND state = 'ACTIVE'", (participant_id,)
    ).rowcount
    if changed:
        connection.execute("UPDATE config_epoch SET epoch = epoch + 1")
    return bool(changed)


def posted(connection: Connection, participant_id: int, request_id: UUID) -> int | None:
    """The entry that answered this request before; None for a request that is not in the journal."""
    rows = connection.execute(
        "SELECT entry_id FROM entries WHERE request_id = %s AND participant_id = %s", (request_id, participant_id)
    ).fetchall()
    return int(rows[0][0]) if rows else None
