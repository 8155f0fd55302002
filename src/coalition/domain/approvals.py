"""Approval by several people: who must agree to what, in which order, by the amount at stake. Pure.

Somebody makes a thing (a settlement run, an adjustment, a cap, an agreement), others check it: first finance reviews,
then it is ratified, then the chairman approves; how many of them is data, by bands of the amount (REQUIREMENTS S71).
What is approved is bound by its hash: changed afterwards it needs approval anew. The database holds maker and checkers
apart by constraint too (migration 0020); this rule says so before it does, with a reason.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from coalition.domain.acts import JSON, canonical
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

HASH_BYTES: Final = 32


class Office(Enum):
    """Whose agreement a step is, in the order in which they are asked.

    PRIVACY agrees to what is done with members' data. It is not given by name: every approver holds it, at reception.
    """

    FINANCE = "FINANCE"
    RATIFIER = "RATIFIER"
    CHAIRMAN = "CHAIRMAN"
    PRIVACY = "PRIVACY"


class Subject(Enum):
    """What kind of thing is approved; its name within the kind is text, such as a run's "7"."""

    RUN = "RUN"
    ADJUSTMENT = "ADJUSTMENT"
    WRITE_OFF = "WRITE_OFF"
    CAP = "CAP"
    AGREEMENT = "AGREEMENT"
    ERASURE = "ERASURE"


WITHOUT_AMOUNT: Final = {Subject.ERASURE: (Office.PRIVACY,)}
"""Who must agree to what has no amount; anything else goes by bands."""


class ApprovalState(Enum):
    """Only PENDING changes. LAPSED: the thing was changed or withdrawn before everybody had agreed."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    LAPSED = "LAPSED"


class Decision(Enum):
    """What a checker says."""

    APPROVED = "APPROVED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Band:
    """From this amount on, minor units, these offices must agree."""

    from_minor: int
    offices: tuple[Office, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What one checker said; `checker` is an identity such as /ap/liu."""

    office: Office
    checker: str
    decision: Decision
    time: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """One asking. `content_hash` is SHA-256 of what is approved, `offices` who must agree, fixed when it was asked.

    `summary` is a sentence for those who decide; what binds them is the hash.
    """

    approval_id: int
    subject: Subject
    name: str
    content_hash: bytes
    amount_minor: int
    offices: tuple[Office, ...]
    maker: str
    ask_time: datetime
    state: ApprovalState
    steps: tuple[Step, ...] = ()
    summary: str = ""

    @property
    def waits_for(self) -> Office | None:
        """Whose step is next; None when nobody is waited for."""
        return self.offices[len(self.steps)] if self.state is ApprovalState.PENDING else None


def content_hash(content: Mapping[str, JSON]) -> bytes:
    """SHA-256 of all that approvers agree to: what is approved is bound by it."""
    return hashlib.sha256(canonical(content)).digest()


def offices_for(subject: Subject, amount_minor: int, bands: Sequence[Band]) -> tuple[Office, ...]:
    """Who must agree to something of this amount. Raises ValueError where no band holds it: a table with a hole."""
    if subject in WITHOUT_AMOUNT:
        return WITHOUT_AMOUNT[subject]
    below = [band for band in bands if band.from_minor <= abs(amount_minor)]
    if not below:
        raise ValueError(f"no approval band holds {amount_minor}: one must begin at 0")
    return max(below, key=lambda band: band.from_minor).offices


def decide_step(
    approval: Approval,
    checker: str,
    held: Sequence[Office],
    content_hash: bytes,
    decision: Decision,
    time: datetime,
) -> Approval:
    """The approval after `checker`, who holds the offices `held`, has decided on what it saw as `content_hash`.

    In order of precedence Refused(APPROVAL_STATE_CONFLICT) where nobody is waited for, (CONTENT_CHANGED) where another
    content is asked for than the checker saw, (APPROVER_NOT_ANOTHER) for the maker and for whoever agreed before,
    (OFFICE_NOT_HELD) where it is another office's turn.
    """
    office = approval.waits_for
    if office is None:
        raise Refused(Reason.APPROVAL_STATE_CONFLICT, "approval_id", {"state": approval.state.value})
    if content_hash != approval.content_hash:
        raise Refused(Reason.CONTENT_CHANGED, "content_hash", {"content_hash": approval.content_hash.hex()})
    if any(same_person(checker, other) for other in (approval.maker, *(step.checker for step in approval.steps))):
        raise Refused(Reason.APPROVER_NOT_ANOTHER, "approval_id")
    if office not in held:
        raise Refused(Reason.OFFICE_NOT_HELD, "approval_id", {"office": office.value})
    steps = (*approval.steps, Step(office, checker, decision, time))
    if decision is Decision.REFUSED:
        return replace(approval, steps=steps, state=ApprovalState.REFUSED)
    is_last = len(steps) == len(approval.offices)
    return replace(approval, steps=steps, state=ApprovalState.APPROVED if is_last else ApprovalState.PENDING)


def same_person(identity: str, other: str) -> bool:
    """Whether two identities (/role/name) are of one person: whoever is both /op/wang and /ap/wang is one."""
    return identity.split("/")[2:] == other.split("/")[2:]
