"""The server's own snapshot of the programme, for identities and field checks; renewed when its epoch has moved.

The desk reads the epoch inside every batch and decides by its own snapshot: this one may be a second behind.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from coalition.domain.errors import CoalitionError
from coalition.domain.programme import Programme

WATCH_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class ProgrammeWatch:
    """`load` reads the programme, `epoch` only its number; both may block and raise StoreUnavailable."""

    def __init__(self, load: Callable[[], Programme], epoch: Callable[[], int]) -> None:
        self._load = load
        self._epoch = epoch
        self._lock = threading.Lock()
        self._current = load()

    @property
    def current(self) -> Programme:
        return self._current

    def refresh(self) -> None:
        """Load again if the epoch has moved. Blocks: call it in a thread, after every write to the programme."""
        with self._lock:
            if self._epoch() != self._current.epoch:
                self._current = self._load()

    def run(self, stop: threading.Event) -> None:
        """Refresh every second until `stop`; the body of a thread."""
        while not stop.wait(WATCH_SECONDS):
            try:
                self.refresh()
            except CoalitionError as error:
                log.warning("programme_not_refreshed", error=type(error).__name__)
