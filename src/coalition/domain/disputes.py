"""A dispute: a merchant's complaint about a line between itself and another participant. Pure; nothing edits the past.

It names a journal entry, says what is owed to it by whom, and refers to its evidence. What is decided is approved by
others (approvals.py) and corrected by an entry of its own in the open window: the other owes the complainant what was
awarded.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

from coalition.domain.approvals import content_hash
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

DISPUTE_DAYS: Final = 60
"""So long after its window was cut a line may be disputed: two statements are out by then."""


class DisputeState(Enum):
    """OPEN, then PROPOSED once a decision waits for its approval; the others are final."""

    OPEN = "OPEN"
    PROPOSED = "PROPOSED"
    UPHELD = "UPHELD"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class Line:
    """What an entry claimed between two participants, whichever way; minor units. `closed` is its window's last day."""

    entry_id: int
    calendar: str
    amount_minor: int
    closed: date | None


@dataclass(frozen=True, slots=True)
class Dispute:
    """One complaint, by participants' codes. `awarded_minor` is what is proposed or was decided; None before."""

    dispute_id: UUID
    number: int
    entry_id: int
    calendar: str
    complainant: str
    against: str
    amount_minor: int
    evidence: str
    evidence_sha256: bytes
    opener: str
    open_time: datetime
    state: DisputeState
    awarded_minor: int | None = None
    note: str = ""
    proposer: str = ""
    correcting_entry_id: int | None = None

    @property
    def content_hash(self) -> bytes:
        """What approvers agree to: who owes whom how much for which line."""
        return content_hash(
            {
                "dispute": str(self.dispute_id),
                "entry": self.entry_id,
                "debtor": self.against,
                "creditor": self.complainant,
                "awarded_minor": self.awarded_minor,
                "note": self.note,
            }
        )


def check_line(line: Line | None, amount_minor: int, today: date) -> None:
    """Raise Refused unless the line may be disputed for this amount today.

    DISPUTE_EXCEEDS_LINE, also where there is no such line between the two: whether the entry exists is not told;
    DISPUTE_TOO_LATE with the last day.
    """
    claimed = 0 if line is None else line.amount_minor
    if line is None or amount_minor > claimed:
        raise Refused(Reason.DISPUTE_EXCEEDS_LINE, "amount_minor", {"line_minor": str(claimed)})
    last_day = None if line.closed is None else line.closed + timedelta(days=DISPUTE_DAYS)
    if last_day is not None and today > last_day:
        raise Refused(Reason.DISPUTE_TOO_LATE, "entry_id", {"last_day": last_day.isoformat()})


def check_state(dispute: Dispute | None, *allowed: DisputeState) -> Dispute:
    """The dispute, if it stands in one of these states. Refused: DISPUTE_UNKNOWN, DISPUTE_STATE_CONFLICT."""
    if dispute is None:
        raise Refused(Reason.DISPUTE_UNKNOWN, "dispute_id")
    if dispute.state not in allowed:
        raise Refused(Reason.DISPUTE_STATE_CONFLICT, "dispute_id", {"state": dispute.state.value})
    return dispute


def check_proposal(dispute: Dispute, proposer: str, awarded_minor: int) -> None:
    """Refused: APPROVER_NOT_ANOTHER for who opened it, DISPUTE_EXCEEDS_LINE above what was asked for."""
    if proposer == dispute.opener:
        raise Refused(Reason.APPROVER_NOT_ANOTHER, "dispute_id")
    if not 0 <= awarded_minor <= dispute.amount_minor:
        raise Refused(Reason.DISPUTE_EXCEEDS_LINE, "awarded_minor", {"line_minor": str(dispute.amount_minor)})
