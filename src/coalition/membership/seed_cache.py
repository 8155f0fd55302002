"""Keys of devices' seeds, opened lately: opening one asks the key database. Held for minutes, a bounded number."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from coalition.domain.payment_codes import CodeKeys

SECONDS_MAX: Final = 300
DEVICES_MAX: Final = 10_000


class SeedCache:
    """By card_id. Callable from any thread."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[datetime, CodeKeys]] = {}

    def __reduce__(self) -> str:
        raise TypeError("a SeedCache holds keys and is never pickled")

    def get(self, card_id: int) -> CodeKeys | None:
        """A device's keys, unless they were put in too long ago."""
        with self._lock:
            kept = self._kept.get(card_id)
            if kept is None:
                return None
            put_time, keys = kept
            if self._clock() - put_time < timedelta(seconds=SECONDS_MAX):
                return keys
            del self._kept[card_id]
            return None

    def put(self, card_id: int, keys: CodeKeys) -> None:
        """Keep a device's keys; the oldest go where there are too many."""
        with self._lock:
            self._kept.pop(card_id, None)
            while len(self._kept) >= DEVICES_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[card_id] = (self._clock(), keys)
