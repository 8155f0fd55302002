"""The positions follower: reads the journal in order and keeps every window's claims summed up by debtor and creditor.

Never slows a purchase: it locks nothing but its own row, in short transactions, and publishes how far it is behind.
Any number of processes may run it at once; deleting what it made and folding again gives the same bytes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Final

import structlog

from coalition.domain.errors import CoalitionError, Contention
from coalition.storage import cursors
from coalition.storage import positions as store
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag
from coalition.storage.frontier import frontier

NUMBERS_MAX: Final = 1_000  # journal numbers folded per transaction: about a million entries at full batches
# Between looks at the journal. A step costs about 2 ms whatever it folds, so many batches share one; lag stays well
# below a second.
PAUSE_SECONDS: Final = 0.2
RETRY_SECONDS: Final = 1.0  # between attempts while the database does not answer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The live fold beside one made again from the first entry, both up to `cursor`; digests are SHA-256 in hex."""

    cursor: int
    live: str
    rebuilt: str

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt


class PositionsFollower:
    """One reader of the journal. `connect` opens an autocommit connection; `clock` tells UTC; `sleep` takes seconds."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        *,
        numbers_max: int = NUMBERS_MAX,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._sleep = sleep
        self._numbers_max = numbers_max

    def run(self, stop: Event) -> None:
        """Follow the journal until `stop` is set; a database that does not answer is tried again for ever."""
        while not stop.is_set():
            try:
                with cursors.available(), self._connect() as connection:
                    self._follow(connection, stop)
            except CoalitionError as error:
                log.warning("follower_retrying", follower=store.FOLLOWER, error=str(error))
                stop.wait(RETRY_SECONDS)

    def catch_up(self, to_number: int = 0) -> int:
        """Fold everything decided now, at least up to `to_number`; the cursor afterwards.

        Also right while another process follows: whoever locks the row first folds the range. `to_number` must have
        been taken already. Raises FrontierStalled if a writer hangs, StoreUnavailable if the database does not answer.
        """
        with cursors.available(), self._connect() as connection:
            reached = frontier(connection, sleep=self._sleep)
            if to_number > reached:
                raise ValueError(f"journal number {to_number} was not taken yet, the last is {reached}")
            cursor = self._step(connection, reached)
            while cursor < reached:
                cursor = self._step(connection, reached)
            return cursor

    def lag(self) -> Lag:
        with cursors.available(), self._connect() as connection:
            return store.lag(connection, self._clock)

    def digest(self) -> str:
        """SHA-256, in hex, of the live fold as it is now."""
        with cursors.available(), self._connect() as connection:
            return table_digest(connection, store.LIVE)

    def rebuild(self) -> Comparison:
        """Fold the journal again from its first number into a scratch table and compare it with the live fold.

        The live fold moves on meanwhile; it stands still only for the last, short range and the comparison.
        Raises Contention if somebody forgets the live fold meanwhile.
        """
        with cursors.available(), self._connect() as connection:
            store.make_scratch(connection)
            rebuilt = 0
            while rebuilt < (live := store.cursor_of(connection)):
                target = min(live, rebuilt + self._numbers_max)
                store.fold(connection, store.SCRATCH, rebuilt, target)
                rebuilt = target
            with connection.transaction():
                cursor = store.lock_cursor(connection, self._clock())
                if cursor < rebuilt:
                    raise Contention("the live fold was forgotten while it was compared; compare again")
                store.fold(connection, store.SCRATCH, rebuilt, cursor)
                comparison = Comparison(
                    cursor, table_digest(connection, store.LIVE), table_digest(connection, store.SCRATCH)
                )
            store.drop_scratch(connection)
            return comparison

    def forget(self) -> None:
        """Delete what was folded; the next step begins at the journal's first number."""
        with cursors.available(), self._connect() as connection:
            store.forget(connection, self._clock())

    def _follow(self, connection: Connection, stop: Event) -> None:
        while not stop.is_set():
            reached = frontier(connection, sleep=self._sleep)
            cursor = store.cursor_of(connection)
            while cursor < reached and not stop.is_set():
                cursor = self._step(connection, reached)
            stop.wait(PAUSE_SECONDS)

    def _step(self, connection: Connection, up_to: int) -> int:
        return store.step(connection, up_to, self._clock(), numbers_max=self._numbers_max)


def table_digest(connection: Connection, table: str) -> str:
    """SHA-256, in hex, of a claims table's canonical lines."""
    digest = hashlib.sha256()
    for line in store.serialised(connection, table):
        digest.update(line)
    return digest.hexdigest()
