"""Day limits: what a participant's terminals, and the participant itself, may take in on one business date.

They are an agreement with the acquirer, in versions. Nobody locks a counter for them: a follower adds up the day and
tells when a limit is reached, so a limit can be passed by what was posted meanwhile (docs/decisions/0014).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

from coalition.domain.commands import Command, Hold, Purchase, Refund, TopUp
from coalition.domain.kinds import Kind


class Subject(IntEnum):
    """Whose day it is. The numbers are stored."""

    TERMINAL = 1
    PARTICIPANT = 2


class Flow(IntEnum):
    """What is limited. The numbers are stored."""

    PURCHASE = 1
    TOP_UP = 2
    REFUND = 3


COUNTED: Final[Mapping[Kind, Flow]] = {
    Kind.PURCHASE: Flow.PURCHASE,
    Kind.HOLD: Flow.PURCHASE,
    Kind.UPLOAD: Flow.PURCHASE,
    Kind.TOP_UP: Flow.TOP_UP,
    Kind.REFUND: Flow.REFUND,
}
"""What counts, by its amount when it is accepted. A hold counts when it is made, so its capture does not; a reversal
gives nothing back: a till that undoes much is to be noticed, not helped."""

FLOW_OF: Final[Mapping[type[Command], Flow]] = {
    Purchase: Flow.PURCHASE,
    Hold: Flow.PURCHASE,
    TopUp: Flow.TOP_UP,
    Refund: Flow.REFUND,
}
"""What is declined once a limit is reached. Captures, voids and reversals end what was begun, and
an upload tells what was sold already: they are not."""


class DayKey(NamedTuple):
    """One counter of one business date."""

    business_date: date
    subject: Subject
    subject_id: int
    flow: Flow


@dataclass(frozen=True, slots=True)
class DayLimits:
    """Amounts are minor units of the scheme's currency, None does not bind. Once a day's total has reached its limit,
    nothing more of that kind is accepted on that business date.
    """

    acquirer: str
    terminal_purchase_minor: int | None
    terminal_top_up_minor: int | None
    terminal_refund_minor: int | None
    participant_purchase_minor: int | None
    participant_top_up_minor: int | None
    participant_refund_minor: int | None

    def limit(self, subject: Subject, flow: Flow) -> int | None:
        """The limit of one counter."""
        limit: int | None = getattr(self, f"{subject.name.lower()}_{flow.name.lower()}_minor")
        return limit
