"""What members owe, in SQL: shortfalls with what became of them, and the lines that change them.

Runs in the caller's transaction; whoever changes one holds it first (`hold`). Says nothing about who may.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from coalition.domain.ids import lane_of_entry
from coalition.domain.member_debts import MemberDebt
from coalition.domain.programme import Programme
from coalition.domain.shortfall import bearer_of
from coalition.storage.connect import Connection

DEFAULT_CALENDAR: Final = "monthly"  # where no agreement names one
COLUMNS: Final = """
SELECT s.entry_id, s.business_date, s.acquirer_id, c.issuer_id, s.agreement_id, s.agreement_version,
       s.shortfall_minor, s.returned_minor, s.repaid_minor, s.written_off_minor
FROM shortfalls s JOIN cards c ON c.lane = s.lane AND c.card_id = s.card_id
"""


def hold(connection: Connection, entry_id: int) -> None:
    """Whoever decides by what is owed for this sale holds it until its transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"debt_lines/{entry_id}",))


def debt_of(connection: Connection, programme: Programme, entry_id: int) -> MemberDebt | None:
    """What is owed for the sale; None for an entry that left nobody owing."""
    rows = connection.execute(
        COLUMNS + "WHERE s.lane = %s AND s.entry_id = %s", (lane_of_entry(entry_id), entry_id)
    ).fetchall()
    return _debt(programme, rows[0]) if rows else None


def debts(connection: Connection, programme: Programme, after: int = 0) -> list[MemberDebt]:
    """Every sale's behind entry `after`, oldest first. Reads all allocations: shortfalls are few among them."""
    rows = connection.execute(COLUMNS + "WHERE s.entry_id > %s ORDER BY s.entry_id", (after,))
    return [_debt(programme, row) for row in rows]


def page(
    connection: Connection,
    programme: Programme,
    after: int,
    limit: int,
    *,
    bearer: int | None,
    settled: bool,
    within: Collection[int] | None,
) -> list[MemberDebt]:
    """The next debts behind entry `after`: of one bearer or of all, `within` those that one of these bears or sold."""
    found = (
        debt
        for debt in debts(connection, programme, after)
        if (bearer is None or debt.bearer_id == bearer)
        and (settled or debt.owed_minor or debt.credit_minor)
        and (within is None or debt.bearer_id in within or debt.acquirer_id in within)
    )
    return [debt for debt, _ in zip(found, range(limit), strict=False)]


def add_line(
    connection: Connection,
    entry_id: int,
    participant_id: int,
    request_id: UUID,
    time: datetime,
    *,
    repaid_minor: int = 0,
    written_off_minor: int = 0,
) -> None:
    """Keep what an act of the participant changes of the debt; the act is written in the same transaction."""
    connection.execute(
        "INSERT INTO debt_lines (lane, entry_id, participant_id, request_id, repaid_minor, written_off_minor, time) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (lane_of_entry(entry_id), entry_id, participant_id, request_id, repaid_minor, written_off_minor, time),
    )


def _debt(programme: Programme, row: tuple[Any, ...]) -> MemberDebt:
    entry_id, business_date, acquirer_id, issuer_id, agreement_id, version, *amounts = row
    held = programme.held_then(agreement_id, version)
    bearer_id = programme.standing_for(bearer_of(held, issuer_id, acquirer_id))
    calendar = held.content.calendar if held.content is not None else DEFAULT_CALENDAR
    return MemberDebt(entry_id, business_date, acquirer_id, bearer_id, calendar, *amounts)
