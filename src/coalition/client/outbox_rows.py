"""What the outbox keeps of an operation. Never the request: no card number, no name."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """A terminal's operations that move value."""

    TOP_UP = "TOP_UP"
    PURCHASE = "PURCHASE"
    REFUND = "REFUND"
    AUTHORIZE = "AUTHORIZE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    RETURN_TOP_UP = "RETURN_TOP_UP"
    REVERSE_TOP_UP = "REVERSE_TOP_UP"
    CASH_OUT = "CASH_OUT"
    UPLOAD = "UPLOAD"
    SELL_PASS = "SELL_PASS"  # noqa: S105  no password
    VISIT_PASS = "VISIT_PASS"  # noqa: S105  no password
    RETURN_VISIT = "RETURN_VISIT"
    SPEND_POINTS = "SPEND_POINTS"
    RETURN_POINTS = "RETURN_POINTS"
    CONVERT_POINTS = "CONVERT_POINTS"
    REPAY_POINTS = "REPAY_POINTS"
    RETURN_PASS = "RETURN_PASS"  # noqa: S105  no password


# Undone by Reverse. A refund, a void, a return or a cash-out cannot be reversed, so its request_id is resolved: killed
# unless it was posted.
REVERSIBLE: Final = frozenset(
    {
        Kind.TOP_UP,
        Kind.PURCHASE,
        Kind.AUTHORIZE,
        Kind.CAPTURE,
        Kind.UPLOAD,
        Kind.SELL_PASS,
        Kind.VISIT_PASS,
        Kind.SPEND_POINTS,
        Kind.CONVERT_POINTS,
    }
)


class State(StrEnum):
    """Where an operation stands; docs/terminal-state-machine.md draws it."""

    BEGUN = "BEGUN"
    """Stored, perhaps sent, not answered. Found at the start, it is undone."""
    APPROVED = "APPROVED"
    """A sale approved offline, which the caller gets after this is stored; it waits to be uploaded."""
    ACCEPTED = "ACCEPTED"
    """Answered by a receipt, which the caller gets after this is stored."""
    DECLINED = "DECLINED"
    """Answered by a refusal; `reason` says which. Of an upload: the merchant's loss."""
    NOT_DONE = "NOT_DONE"
    """Nothing was sent, or everything sent was answered as not taken."""
    TO_UNDO = "TO_UNDO"
    """The answer was lost; the reversal or resolution waits in the outbox."""
    UNDONE = "UNDONE"
    """Has no effect now and never will."""
    STANDS = "STANDS"
    """Was resolved and had been posted: an operation that cannot be reversed, whose answer was lost."""
    NEEDS_HELP = "NEEDS_HELP"
    """The service will not undo it (`reason`): a person has to, and then dismisses it."""


OPEN_STATES: Final = frozenset({State.BEGUN, State.TO_UNDO, State.NEEDS_HELP})


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One operation. Times are milliseconds since 1970, UTC; what names no amount has it from its receipt."""

    place: int
    """Order of beginning, 1, 2, ..."""
    request_id: str
    kind: Kind
    amount_minor: int
    sale_reference: str
    state: State
    begin_ms: int
    change_ms: int
    reason: str = ""
    undo_place: int = 0
    """Order of undoing, 1, 2, ...; 0: nothing to undo."""
    undo_id: str = ""
    """request_id of the reversal."""
    entry_id: int | None = None
    """Journal entry of the answer: a receipt's or a stored decline's; 0: nothing was stored; None: not known here."""

    @property
    def is_reversible(self) -> bool:
        """Whether it is undone by a reversal; else it is resolved."""
        return self.kind in REVERSIBLE

    def values(self) -> tuple[int | str | None, ...]:
        """The columns, in the order of the fields."""
        return (
            self.place,
            self.request_id,
            self.kind.value,
            self.amount_minor,
            self.sale_reference,
            self.state.value,
            self.begin_ms,
            self.change_ms,
            self.reason,
            self.undo_place,
            self.undo_id,
            self.entry_id,
        )
