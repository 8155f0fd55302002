"""When a terminal sends an operation again, and what it may believe in the end. Pure: told the time, it only decides.

Every try carries the same request. What matters in the end is whether any try may have had an effect: then only a
receipt or a stored decline settles it, and anything else has to be undone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from coalition.client.errors import ENTRY_KEY, CallRefused, ClientError

KILLED: Final = "KILLED"
# After these nobody knows whether the service posted the operation; its own INTERNAL says "send it again" as well.
UNKNOWN_CODES: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "CANCELLED", "DATA_LOSS"})
# Refusals before the operation was queued, when they name a delay (RetryInfo).
LATER_CODES: Final = frozenset({"RESOURCE_EXHAUSTED", "ABORTED"})


class Meaning(Enum):
    """What a failed try tells about the operation."""

    FINAL = auto()
    """The journal keeps this decline: the operation never had and never will have an effect."""
    REFUSED = auto()
    """This try had no effect and the next would end the same."""
    LATER = auto()
    """This try had no effect; a later one may be taken."""
    UNKNOWN = auto()
    """This try may have had its effect."""


def meaning_of(failure: ClientError) -> Meaning:
    """What a failed try tells."""
    if not isinstance(failure, CallRefused):
        return Meaning.UNKNOWN
    if ENTRY_KEY in failure.metadata or failure.reason == KILLED:
        return Meaning.FINAL
    if failure.code in LATER_CODES and failure.retry_after is not None:
        return Meaning.LATER
    # Without an ErrorInfo the reason is the code itself: something between us and the service spoke, and only an
    # unknown method is certain not to have been called.
    is_of_service = failure.reason != failure.code
    if failure.code in UNKNOWN_CODES or not (is_of_service or failure.code == "UNIMPLEMENTED"):
        return Meaning.UNKNOWN
    return Meaning.REFUSED


@dataclass(frozen=True, slots=True)
class TryRules:
    """Bounds of one operation, seconds."""

    deadline_s: float = 8.0
    """Of each try."""
    total_s: float = 30.0
    """Of all tries and the pauses between them."""
    pauses_s: tuple[float, ...] = (1.0, 2.0, 4.0)
    """Before the second try, the third and all others; shortened by up to half, so that tills do not come in step."""


class End(Enum):
    """How the tries of an operation ended without a receipt."""

    DECLINED = auto()
    NOT_DONE = auto()
    UNKNOWN = auto()


class Tries:
    """The tries of one operation that began at `now_s` of a monotonic clock; `draw` gives chance in [0, 1)."""

    def __init__(self, rules: TryRules, now_s: float, draw: Callable[[], float]) -> None:
        self._rules = rules
        self._end_s = now_s + rules.total_s
        self._draw = draw
        self._count = 0
        self._may_have_happened = False

    def deadline_s(self, now_s: float) -> float:
        """How long the next try may take."""
        return max(0.0, min(self._rules.deadline_s, self._end_s - now_s))

    def not_sent(self, now_s: float) -> float | End:
        """A try found no connection. Answers the pause before the next one, or how it ended."""
        return self._pause_or(self._ended_without_answer(), now_s, None)

    def failed(self, failure: ClientError, now_s: float) -> float | End:
        """A try that was sent failed. Answers the pause before the next one, or how it ended."""
        match meaning_of(failure):
            case Meaning.FINAL:
                return End.DECLINED
            case Meaning.REFUSED:
                # True of this try only: an earlier one, whose answer was lost, may have been posted.
                return End.UNKNOWN if self._may_have_happened else End.DECLINED
            case Meaning.UNKNOWN:
                self._may_have_happened = True
        delay = failure.retry_after if isinstance(failure, CallRefused) else None
        return self._pause_or(self._ended_without_answer(), now_s, delay.total_seconds() if delay else None)

    def _ended_without_answer(self) -> End:
        return End.UNKNOWN if self._may_have_happened else End.NOT_DONE

    def _pause_or(self, end: End, now_s: float, retry_after_s: float | None) -> float | End:
        pauses = self._rules.pauses_s
        pause_s = pauses[min(self._count, len(pauses) - 1)] * (1 - self._draw() / 2)
        self._count += 1
        if retry_after_s is not None:
            # At least as long as the service asks for, and a little apart from the others it asked.
            pause_s = retry_after_s * (1 + self._draw() / 4)
        # A last try of a moment could only make a certain outcome an unknown one.
        return end if now_s + pause_s + self._rules.deadline_s / 16 > self._end_s else pause_s
