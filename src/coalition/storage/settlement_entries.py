"""What settlement posts: one batch of its entries, with what they change of what is due, in the caller's transaction.

Every entry with a DUE leg is written here, so that `due_lines` is the journal's DUE legs and nothing else; a check
compares both (`journal_balances`). Claims, number, entries and seal go as everybody's (storage/journal.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from coalition.domain.accounts import AccountKind, Unit, kind_of, parties_of
from coalition.domain.acts import JSON, Act, canonical
from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import entry_id, lane_of_request
from coalition.domain.journal import Entry, Notary, Transfer
from coalition.domain.reasons import Reason
from coalition.domain.settlement_runs import DueLine, due_changes
from coalition.storage.connect import Connection
from coalition.storage.journal import claim_of, take_number, write_batch

WHOLE_JOURNAL_PATIENCE: Final = "1h"  # 2.4 million transfers were summed in half a second on two cores

# BANK's balance as the bank shows it, debits less credits; DUE's and COLLATERAL's as their participants see them.
JOURNAL_BALANCES: Final = """
SELECT account, sum(amount)::bigint FROM (
    SELECT debit AS account, -amount_minor AS amount FROM transfers
        WHERE debit >> 48 = ANY (%(kinds)s) AND unit = %(money)s
    UNION ALL SELECT credit, amount_minor FROM transfers WHERE credit >> 48 = ANY (%(kinds)s) AND unit = %(money)s
) AS legs GROUP BY account ORDER BY account
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be posted: the act it answers, what its answer tells, and its legs. `amount_minor` is for people."""

    act: Act
    body: dict[str, JSON]
    transfers: Sequence[Transfer] = ()
    amount_minor: int = 0
    original_entry_id: int | None = None


def hold_dues(connection: Connection) -> None:
    """Whoever decides by what is due holds it until its transaction ends: one run, bank result or default at a time."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('due_lines'), 0)")


def post_entries(
    connection: Connection, drafts: Sequence[Draft], *, lane_count: int, zone: str, notary: Notary
) -> list[Entry]:
    """Post the drafts as one batch and keep what they change of what is due.

    The caller holds the row whose state allows them; LedgerBroken where one was posted all the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(*claim_of([draft.act for draft in drafts], lane_count))
        if cursor.rowcount < len(drafts):
            names = ", ".join(f"{draft.act.kind.name} {draft.act.request_id}" for draft in drafts)
            raise LedgerBroken(f"the books allow to post what is in the journal already: one of {names}")
        number, time = take_number(cursor)
        business_date = time.astimezone(ZoneInfo(zone)).date()
        entries = []
        for place, draft in enumerate(drafts):
            lane = lane_of_request(draft.act.request_id, lane_count)
            entries.append(
                Entry(
                    lane=lane,
                    entry_id=entry_id(number, place, lane),
                    kind=draft.act.kind,
                    reason=Reason.ACCEPTED,
                    participant_id=draft.act.participant_id,
                    request_id=draft.act.request_id,
                    body_hash=draft.act.body_hash,
                    actor=draft.act.actor,
                    amount_minor=draft.amount_minor,
                    business_date=business_date,
                    answer=canonical({"answer": draft.body, "time": time.isoformat()}),
                    original_entry_id=draft.original_entry_id,
                    transfers=draft.transfers,
                )
            )
        write_batch(cursor, number, time, entries, notary.seal(number, time, entries))
    write_due_lines(connection, entries, time)
    return entries


def write_due_lines(connection: Connection, entries: Sequence[Entry], time: datetime) -> None:
    """Keep how much more, or less, is due of each participant after these entries."""
    rows = [
        (participant, entry.entry_id, change)
        for entry in entries
        for participant, change in sorted(due_changes(entry.transfers).items())
    ]
    connection.execute(
        "INSERT INTO due_lines (participant_id, entry_id, amount_minor, time) "
        "SELECT participant_id, entry_id, amount, %s "
        "FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS given (participant_id, entry_id, amount)",
        (time, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]),
    )


def adopt_nettings(connection: Connection) -> None:
    """Keep what is due from windows that a release without `due_lines` netted on this schema, during an upgrade.

    Whether it is right is seen where the lines are held against the journal.
    """
    connection.execute(
        "INSERT INTO due_lines (participant_id, entry_id, amount_minor, time) "
        "SELECT p.participant_id, w.netting_entry_id, p.net_position_minor, w.net_time "
        "FROM net_positions p JOIN windows w USING (window_id) "
        "WHERE w.state = 'NETTED' AND p.unit = %s AND p.net_position_minor <> 0 "
        "AND NOT EXISTS (SELECT FROM due_lines d WHERE d.entry_id = w.netting_entry_id) ON CONFLICT DO NOTHING",
        (Unit.MONEY,),
    )


def due(connection: Connection) -> dict[int, int]:
    """What is due to (above zero) or from each participant, in order of their numbers; of whom nothing is, left out."""
    rows = connection.execute(
        "SELECT participant_id, sum(amount_minor)::bigint FROM due_lines GROUP BY participant_id "
        "HAVING sum(amount_minor) <> 0 ORDER BY participant_id"
    ).fetchall()
    return dict(rows)


def due_lines(connection: Connection, up_to: int | None = None) -> dict[int, list[DueLine]]:
    """How each participant came to its due, oldest first; by entries to `up_to` where one is given."""
    found: dict[int, list[DueLine]] = {}
    rows = connection.execute(
        "SELECT participant_id, amount_minor, time FROM due_lines WHERE %(up_to)s::bigint IS NULL "
        "OR entry_id <= %(up_to)s ORDER BY participant_id, entry_id",
        {"up_to": up_to},
    )
    for participant, amount, time in rows:
        found.setdefault(participant, []).append(DueLine(amount, time))
    return found


@dataclass(frozen=True, slots=True)
class Balances:
    """What lies on settlement's own accounts, straight from the journal; participants without a balance left out."""

    bank_minor: int
    due: dict[int, int]
    collateral: dict[int, int]


def journal_balances(connection: Connection) -> Balances:
    """Sum BANK, DUE and COLLATERAL over the whole journal: the other road to the same figures, for checks."""
    kinds = [int(AccountKind.BANK), int(AccountKind.DUE), int(AccountKind.COLLATERAL)]
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{WHOLE_JOURNAL_PATIENCE}'")
        rows = connection.execute(JOURNAL_BALANCES, {"kinds": kinds, "money": Unit.MONEY}).fetchall()
    found: dict[int, dict[int, int]] = {kind: {} for kind in kinds}
    for account, amount in rows:
        if amount:
            found[kind_of(account)][parties_of(account)[0]] = amount
    return Balances(-found[AccountKind.BANK].get(0, 0), found[AccountKind.DUE], found[AccountKind.COLLATERAL])
