"""When to send the same request again. Safe for every call: writes are exactly once by their request_id."""

import secrets
from dataclasses import dataclass
from typing import Final

from coalition.client.errors import CallRefused, ClientError, ServerUnreachable

SEND_AGAIN_CODES: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
JITTER_STEPS: Final = 1000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of retrying. The default gives up about 1.5 s after a server that is not there, 40 s after one that hangs.

    A terminal that must not lose a sale keeps its request and its request_id beyond these bounds, and sends it later.
    """

    attempts_max: int = 5
    deadline_s: float = 8.0
    """Of each attempt."""
    first_pause_s: float = 0.1
    """Doubled after each attempt."""
    pause_max_s: float = 2.0

    def pause_s(self, attempt: int, failure: ClientError) -> float | None:
        """How long to wait before sending again after attempt 1, 2, ...; None: the failure is final."""
        if attempt >= self.attempts_max or not is_worth_repeating(failure):
            return None
        if isinstance(failure, CallRefused) and failure.retry_after is not None:
            return min(failure.retry_after.total_seconds(), self.pause_max_s)
        pause_s = min(self.first_pause_s * 2.0 ** (attempt - 1), self.pause_max_s)
        # Between half and all of it, so that the tills of a store do not come back in step.
        return pause_s * (0.5 + secrets.randbelow(JITTER_STEPS) / (2 * JITTER_STEPS))


def is_worth_repeating(failure: ClientError) -> bool:
    """Whether the same request may be answered differently a moment later."""
    if isinstance(failure, CallRefused):
        full = failure.code == "RESOURCE_EXHAUSTED" and failure.retry_after is not None
        return full or failure.code in SEND_AGAIN_CODES
    return isinstance(failure, ServerUnreachable)
