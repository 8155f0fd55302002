"""Deciding on what waits for approval, and who holds which office. The rule is domain/approvals.py; the tables hold it.

Whoever makes something else that is approved (an adjustment, a cap) asks `coalition.storage.approvals` before doing it;
a run alone moves on by itself when the last step is taken.
"""

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Approval, ApprovalState, Decision, Office, Subject, decide_step
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.storage import approvals, runs
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection


def decide(
    connection: Connection, acts: Acts, act: Act, approval_id: int, content_hash: bytes, decision: Decision
) -> ActAnswer:
    """Take the next step of an approval as `act.actor`. Needs an autocommit connection.

    Raises Refused: APPROVAL_UNKNOWN, APPROVER_NOT_ANOTHER (neither stored), APPROVAL_STATE_CONFLICT, CONTENT_CHANGED,
    OFFICE_NOT_HELD.
    """

    def apply(connection: Connection) -> dict[str, JSON]:
        approval = approvals.lock(connection, approval_id)
        if approval is None:
            raise Refused(Reason.APPROVAL_UNKNOWN, "approval_id")
        held = approvals.offices_of(connection, act.actor)
        decided = decide_step(approval, act.actor, held, content_hash, decision, store.now(connection))
        approvals.write_step(connection, decided)
        if decided.state is ApprovalState.APPROVED and decided.subject is Subject.RUN:
            release(connection, int(decided.name))
        return told(decided)

    return acts.perform(connection, act, apply)


def release(connection: Connection, run_id: int) -> None:
    """Everybody agreed: the run may be exported; one that instructs nothing is done at once."""
    run = runs.lock_run(connection, run_id)
    if run is None or run.state != "PREPARED":
        raise Refused(Reason.RUN_STATE_CONFLICT, "approval_id", {"state": run.state if run else "UNKNOWN"})
    if not runs.finish_if_told(connection, run_id):
        runs.set_state(connection, run_id, "APPROVED")


def told(approval: Approval) -> dict[str, JSON]:
    """What the journal keeps of a step."""
    step = approval.steps[-1]
    return {
        "approval_id": approval.approval_id,
        "content_hash": approval.content_hash.hex(),
        "decision": step.decision.value,
        "name": approval.name,
        "office": step.office.value,
        "state": approval.state.value,
        "subject": approval.subject.value,
    }


def set_offices(connection: Connection, acts: Acts, act: Act, approver: str, offices: list[Office]) -> ActAnswer:
    """From now on the approver holds these offices and no other; none lets it decide nothing any more."""

    def apply(connection: Connection) -> dict[str, JSON]:
        approvals.set_offices(connection, approver, offices)
        return {"approver": approver, "offices": [*sorted(office.value for office in offices)]}

    return acts.perform(connection, act, apply)


def inbox(connection: Connection, approver: str | None, after: int, limit: int) -> list[Approval]:
    """What waits for an approver, oldest first; for None, whatever waits for anybody."""
    offices = None if approver is None else approvals.offices_of(connection, approver)
    return approvals.inbox(connection, offices, after, limit)
