"""A command that others approve before it is carried out: said once it asks, said again after the approval it is done.

What is approved is bound by the hash of all that would be posted: where the books moved meanwhile, it is asked anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from coalition.domain.acts import JSON
from coalition.domain.approvals import ApprovalState, Subject, content_hash
from coalition.storage import approvals
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from settlement.errors import NothingToDo


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done: its name within its subject, all that binds it, minor units at stake, a sentence."""

    name: str
    content: Mapping[str, JSON]
    amount_minor: int
    summary: str
    subject: Subject = Subject.ADJUSTMENT

    @property
    def content_hash(self) -> bytes:
        """What its approval is bound to."""
        return content_hash(self.content)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command: carried out, where `approval_id` is None; else it waits for that approval."""

    approval_id: int | None
    summary: str
    body: Mapping[str, JSON]


def agreed(connection: Connection, proposal: Proposal, maker: str) -> int | None:
    """None if everybody agreed to exactly this; else the approval that was now asked for, in the same transaction.

    Raises NothingToDo while it waits already.
    """
    subject, digest = proposal.subject, proposal.content_hash
    newest = approvals.latest(connection, subject, proposal.name)
    if newest is not None and newest.content_hash == digest:
        if newest.state is ApprovalState.APPROVED:
            return None
        if newest.state is ApprovalState.PENDING:
            raise NothingToDo(
                f"approval {newest.approval_id} waits for {newest.waits_for.value if newest.waits_for else 'nobody'}: "
                f"{proposal.summary}",
                {"approval_id": newest.approval_id},
            )
    return approvals.ask(
        connection,
        subject,
        proposal.name,
        content_hash=digest,
        amount_minor=proposal.amount_minor,
        maker=maker,
        time=store.now(connection),
        summary=proposal.summary,
    )
