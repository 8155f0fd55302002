"""Approvals in SQL: ask, look into an inbox, write a step down, and ask whether something was approved as it is.

Every function runs in the caller's transaction. What may be decided by whom is domain/approvals.py; that maker and
checkers differ the tables hold by constraint. Who executes what was approved asks `approved` in the same transaction
with the hash of what it is about to do.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from coalition.domain.approvals import (
    Approval,
    ApprovalState,
    Band,
    Decision,
    Office,
    Step,
    Subject,
    offices_for,
)
from coalition.storage.connect import Connection

SELECT: Final = """
SELECT a.approval_id, a.subject, a.name, a.content_hash, a.amount_minor, a.offices, a.maker, a.ask_time, a.state,
       a.summary
FROM approvals a
"""


def bands(connection: Connection) -> list[Band]:
    """Who must agree from which amount on, lowest first."""
    rows = connection.execute("SELECT from_minor, offices FROM approval_bands ORDER BY from_minor").fetchall()
    return [Band(from_minor, tuple(Office(office) for office in offices)) for from_minor, offices in rows]


def ask(
    connection: Connection,
    subject: Subject,
    name: str,
    *,
    content_hash: bytes,
    amount_minor: int,
    maker: str,
    time: datetime,
    summary: str = "",
) -> int:
    """Ask for an approval of `name` as it is now, and answer its id.

    The same content is asked for once, however often it is said; another content lets the one that waits lapse, and
    needs everybody anew. A REFUSED content may be asked for again: somebody may have been convinced.
    """
    newest = latest(connection, subject, name)
    if newest is not None and newest.content_hash == content_hash:
        if newest.state in {ApprovalState.PENDING, ApprovalState.APPROVED}:
            return newest.approval_id
    elif newest is not None:
        lapse(connection, subject, name)
    offices = [office.value for office in offices_for(subject, amount_minor, bands(connection))]
    row = connection.execute(
        "INSERT INTO approvals (subject, name, content_hash, amount_minor, offices, maker, ask_time, summary) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING approval_id",
        (subject.value, name, content_hash, amount_minor, offices, maker, time, summary),
    ).fetchall()[0]
    return int(row[0])


def lapse(connection: Connection, subject: Subject, name: str) -> None:
    """Whatever still waits, or was approved, for `name` counts no more."""
    connection.execute(
        "UPDATE approvals SET state = 'LAPSED' WHERE subject = %s AND name = %s AND state IN ('PENDING', 'APPROVED')",
        (subject.value, name),
    )


def latest(connection: Connection, subject: Subject, name: str) -> Approval | None:
    """The newest asking for `name`; None where there was none."""
    found = _read(
        connection,
        SELECT + "WHERE a.subject = %s AND a.name = %s ORDER BY a.approval_id DESC LIMIT 1",
        (subject.value, name),
    )
    return found[0] if found else None


def approved(connection: Connection, subject: Subject, name: str, content_hash: bytes) -> bool:
    """Whether everybody agreed to `name` with exactly this content, and nothing was asked for since."""
    newest = latest(connection, subject, name)
    return newest is not None and newest.state is ApprovalState.APPROVED and newest.content_hash == content_hash


def lock(connection: Connection, approval_id: int) -> Approval | None:
    """The approval, locked until the transaction ends: one decision at a time."""
    found = _read(connection, SELECT + "WHERE a.approval_id = %s FOR UPDATE", (approval_id,))
    return found[0] if found else None


def write_step(connection: Connection, approval: Approval) -> None:
    """Keep the last step of an approval that was just decided, and its state."""
    step = approval.steps[-1]
    connection.execute(
        "INSERT INTO approval_steps (approval_id, place, office, maker, checker, decision, decide_time) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            approval.approval_id,
            len(approval.steps),
            step.office.value,
            approval.maker,
            step.checker,
            step.decision.value,
            step.time,
        ),
    )
    connection.execute(
        "UPDATE approvals SET state = %s WHERE approval_id = %s", (approval.state.value, approval.approval_id)
    )


def inbox(connection: Connection, offices: Collection[Office] | None, after: int, limit: int) -> list[Approval]:
    """What waits for one of these offices, or for any (None), oldest first, with ids above `after`."""
    names = None if offices is None else [office.value for office in offices]
    return _read(
        connection,
        SELECT
        + """
        WHERE a.state = 'PENDING' AND a.approval_id > %(after)s
            AND (%(offices)s::text[] IS NULL OR a.offices[
                1 + (SELECT count(*) FROM approval_steps s WHERE s.approval_id = a.approval_id)] = ANY (%(offices)s))
        ORDER BY a.approval_id LIMIT %(limit)s
        """,
        {"offices": names, "after": after, "limit": limit},
    )


def offices_of(connection: Connection, approver: str) -> tuple[Office, ...]:
    """The offices that an identity such as /ap/liu holds."""
    rows = connection.execute(
        "SELECT office FROM approval_offices WHERE approver = %s ORDER BY office", (approver,)
    ).fetchall()
    return tuple(Office(office) for (office,) in rows)


def set_offices(connection: Connection, approver: str, offices: Collection[Office]) -> None:
    """From now on the identity holds these offices and no other."""
    connection.execute("DELETE FROM approval_offices WHERE approver = %s", (approver,))
    connection.execute(
        "INSERT INTO approval_offices (approver, office) SELECT %s, unnest(%s::text[])",
        (approver, sorted(office.value for office in offices)),
    )


def _read(connection: Connection, statement: str, parameters: Sequence[object] | dict[str, object]) -> list[Approval]:
    rows = connection.execute(statement, parameters).fetchall()
    steps = _steps(connection, [row[0] for row in rows])
    return [
        Approval(
            approval_id,
            Subject(subject),
            name,
            bytes(content_hash),
            amount_minor,
            tuple(Office(office) for office in offices),
            maker,
            ask_time,
            ApprovalState(state),
            steps.get(approval_id, ()),
            summary,
        )
        for approval_id, subject, name, content_hash, amount_minor, offices, maker, ask_time, state, summary in rows
    ]


def _steps(connection: Connection, approval_ids: list[int]) -> dict[int, tuple[Step, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT approval_id, office, checker, decision, decide_time FROM approval_steps "
        "WHERE approval_id = ANY (%s) ORDER BY approval_id, place",
        (approval_ids,),
    ).fetchall()
    found: dict[int, tuple[Step, ...]] = {}
    for approval_id, office, checker, decision, time in rows:
        step = Step(Office(office), checker, Decision(decision), time)
        found[approval_id] = (*found.get(approval_id, ()), step)
    return found
