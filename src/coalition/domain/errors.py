"""The errors rooms raise at each other, each carrying its facts; they travel between the desk and its workers.

CoalitionError
|- Refused           the request is answered with a reason (a decline, or something to correct first)
|- NoOpenWindow      a claim's calendar has no open window in this snapshot; repeat, never store
|- Contention        the database asks to run the same work again (deadlock, lock timeout, rival insert)
|  `- PinChanged     what a PIN was compared with is another one now: compare again, then run the same work again
|- StoreUnavailable  the database does not answer; the outcome of work in flight is unknown until asked again
`- LedgerBroken      an invariant of the books does not hold: our own bug, stop rather than run wrong
"""

from collections.abc import Mapping
from uuid import UUID

from coalition.domain.reasons import ADVICE, Reason


class CoalitionError(Exception):
    """The root of every error of this house."""


class Refused(CoalitionError):
    """The answer is a reason other than ACCEPTED. `field` names what to correct; `metadata` holds the facts."""

    def __init__(self, reason: Reason, field: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason.name}: {ADVICE[reason].sentence}" + (f" (field {field})" if field else ""))
        self.reason = reason
        self.field = field
        self.metadata = dict(metadata or {})

    def __reduce__(self) -> tuple[type["Refused"], tuple[Reason, str | None, dict[str, str]]]:
        return Refused, (self.reason, self.field, self.metadata)


class NoOpenWindow(CoalitionError):
    """No window of `calendar_id` is open."""

    def __init__(self, calendar_id: int) -> None:
        super().__init__(f"calendar {calendar_id} has no open window; open one with `settlement close`")
        self.calendar_id = calendar_id

    def __reduce__(self) -> tuple[type["NoOpenWindow"], tuple[int]]:
        return NoOpenWindow, (self.calendar_id,)


class Contention(CoalitionError):
    """Nothing was written; run the same work again."""


class PinChanged(Contention):
    """The PIN was set anew, or the card moved, since the try of `request_id` was counted."""

    def __init__(self, request_id: UUID) -> None:
        super().__init__(f"the PIN that request {request_id} was compared with is another one now")
        self.request_id = request_id

    def __reduce__(self) -> tuple[type["PinChanged"], tuple[UUID]]:
        return PinChanged, (self.request_id,)


class StoreUnavailable(CoalitionError):
    """The database does not answer. Run the same work again: the claim of its request ids tells what became of it."""


class LedgerBroken(CoalitionError):
    """The books contradict themselves; nothing was written."""
