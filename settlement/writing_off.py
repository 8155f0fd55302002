"""What a participant owes and will not pay is written off, once others have approved it; the operator bears it.

Only while no run is under way, as a default: no instruction stands on what was due before.
"""

from dataclasses import dataclass

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Subject
from coalition.domain.errors import Refused
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.domain.write_off import write_off, written_off_at_most
from coalition.storage import approvals
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.settlement_entries import Draft, journal_balances, post_entries
from settlement.defaulting import act_of, check_no_run, owed_by
from settlement.errors import AmountWrong, NothingToDo
from settlement.multilateral import major
from settlement.proposing import Proposal, Result, agreed


def give_up(
    connection: Connection, code: str, amount_minor: int, *, notary: Notary, maker: str = store.ACTOR
) -> Result:
    """Ask for the approval of a write-off, or carry out what was approved. Needs autocommit.

    Raises NothingToDo if it owes nothing or the approval waits already, AmountWrong, NeedsHuman while a run is under
    way and for who cannot owe, BooksDiffer if what is due is not what the journal says.
    """
    known = store.scheme(connection)
    with connection.transaction():
        proposed = propose(connection, known, code, amount_minor)
        waits = agreed(connection, proposed.proposal, maker)
        if waits is None:
            post(connection, known, proposed, notary, act=None, maker=maker)
    return Result(waits, proposed.proposal.summary, proposed.proposal.content)


def ask(connection: Connection, acts: Acts, act: Act, code: str, amount_minor: int) -> ActAnswer:
    """Ask for the approval over the wire; the answer holds its id. Refused: APPROVAL_STATE_CONFLICT if it was asked."""

    def apply(connection: Connection) -> dict[str, JSON]:
        proposed = propose(connection, store.scheme(connection), code, amount_minor)
        try:
            approval_id = agreed(connection, proposed.proposal, act.actor)
        except NothingToDo as nothing:
            raise Refused(Reason.APPROVAL_STATE_CONFLICT, "participant", {"state": "PENDING"}) from nothing
        if approval_id is None:
            raise Refused(Reason.APPROVAL_STATE_CONFLICT, "participant", {"state": "APPROVED"})
        return {"approval": approval_id, "participant": code, "amount_minor": amount_minor}

    return acts.perform(connection, act, apply)


def carry_out(connection: Connection, act: Act, code: str, amount_minor: int, notary: Notary) -> None:
    """Post what was approved as the answer to `act`. Refused: APPROVAL_MISSING unless exactly this was."""
    known = store.scheme(connection)
    with connection.transaction():
        proposed = propose(connection, known, code, amount_minor)
        proposal = proposed.proposal
        if not approvals.approved(connection, proposal.subject, proposal.name, proposal.content_hash):
            raise Refused(Reason.APPROVAL_MISSING, "participant")
        post(connection, known, proposed, notary, act=act, maker=act.actor)


@dataclass(frozen=True, slots=True)
class Proposed:
    """What would be given up, and what it stands on."""

    participant_id: int
    amount_minor: int
    due_entry_id: int
    proposal: Proposal


def propose(connection: Connection, known: store.Scheme, code: str, amount_minor: int) -> Proposed:
    """The same, held against the books, which are held until the transaction ends."""
    party, lines, owed = owed_by(connection, code)
    collateral = journal_balances(connection).collateral.get(party.participant_id, 0)
    most = written_off_at_most(owed, collateral)
    if not 0 < amount_minor <= most:
        raise AmountWrong(
            f"{code} owes {major(owed, grouped=True)}, of which its collateral covers "
            f"{major(owed - most, grouped=True)}: write off more than 0 and at most {major(most, grouped=True)}"
        )
    check_no_run(connection, code)
    content: dict[str, JSON] = {
        "participant_id": party.participant_id,
        "participant": code,
        "written_off_minor": amount_minor,
        "bearer_id": known.operator_id,
        "due_entry_id": lines[-1].entry_id,
    }
    summary = f"write-off of {major(amount_minor, grouped=True)} that {code} owes, borne by the operator"
    proposal = Proposal(f"write-off/{code}", content, amount_minor, summary, Subject.WRITE_OFF)
    return Proposed(party.participant_id, amount_minor, lines[-1].entry_id, proposal)


def post(
    connection: Connection, known: store.Scheme, proposed: Proposed, notary: Notary, *, act: Act | None, maker: str
) -> None:
    """`DUE(H)->DUE(p)`, as the answer to `act` or as the job's own."""
    body = dict(proposed.proposal.content)
    by = act or act_of(known, Kind.WRITE_OFF, f"write-off/{proposed.due_entry_id}", body, maker)
    leg = write_off(proposed.participant_id, known.operator_id, proposed.amount_minor)
    draft = Draft(by, body, [leg], proposed.amount_minor)
    post_entries(connection, [draft], lane_count=known.lane_count, zone=known.zone, notary=notary)
