"""Wrong codes and phones of each terminal in the last hour: after so many it has to wait, so that none can be guessed.

In this server's memory, as its other shares are: of two servers each counts what it answered itself, and a restarted
one begins anew. Against guessing that is enough, since a ticket has 12 digits and dies of three wrong passwords.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

WRONG_MAX: Final = 20
SECONDS: Final = 3_600.0
TERMINALS_MAX: Final = 65_536

Till = tuple[int, int | None]
"""participant_id and terminal_id."""


class WrongCodes:
    """`clock` tells seconds that never go back. Belongs to the loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: dict[Till, deque[float]] = {}

    def count(self, till: Till) -> None:
        """This terminal's code or phone was wrong just now."""
        times = self._times.get(till)
        if times is None:
            if len(self._times) >= TERMINALS_MAX:
                self._times = {each: kept for each, kept in self._times.items() if self._recent(kept)}
            times = self._times[till] = deque(maxlen=WRONG_MAX)
        times.append(self._clock())

    def locked_seconds(self, till: Till) -> float:
        """How long this terminal has to wait yet; 0 for one that has not."""
        times = self._times.get(till)
        if times is None or self._recent(times) < WRONG_MAX:
            return 0.0
        return times[0] + SECONDS - self._clock()

    def _recent(self, times: deque[float]) -> int:
        """How many are within the hour; older ones are forgotten."""
        begin = self._clock() - SECONDS
        while times and times[0] <= begin:
            times.popleft()
        return len(times)
