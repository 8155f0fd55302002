"""A follower: reads the journal in order and keeps a fold of it; several folds may share one look at the frontier.

Never slows a purchase: it locks nothing but its own row, in short transactions, and publishes how far it is behind.
Any number of processes may run it at once; deleting what it made and folding again gives the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Final

import structlog

from coalition.domain.errors import CoalitionError, Contention
from coalition.storage import cursors
from coalition.storage import folds as store
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag
from coalition.storage.folds import Fold
from coalition.storage.frontier import frontier

NUMBERS_MAX: Final = 1_000  # journal numbers folded per transaction: about a million entries at full batches
# Between looks at the journal. A step costs about 2 ms whatever it folds, so many batches share one; lag stays well
# below a second.
PAUSE_SECONDS: Final = 0.2
RETRY_SECONDS: Final = 1.0  # between attempts while the database does not answer

log = structlog.get_logger(__name__)

Connect = Callable[[], Connection]
Clock = Callable[[], datetime]
Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The live fold beside one made again from the first entry, both up to `cursor`; digests are SHA-256 in hex."""

    cursor: int
    live: str
    rebuilt: str

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt


class Follower:
    """One fold's reader of the journal. `connect` opens an autocommit connection; `clock` tells UTC."""

    def __init__(
        self, fold: Fold, connect: Connect, clock: Clock, sleep: Sleep, *, numbers_max: int = NUMBERS_MAX
    ) -> None:
        self._fold = fold
        self._connect = connect
        self._clock = clock
        self._sleep = sleep
        self._numbers_max = numbers_max

    def beside(self, fold: Fold) -> "Follower":
        """A reader of another fold, by the same way to the ledger."""
        return Follower(fold, self._connect, self._clock, self._sleep, numbers_max=self._numbers_max)

    def run(self, stop: Event) -> None:
        """Follow the journal until `stop` is set; a database that does not answer is tried again for ever."""
        follow([self._fold], self._connect, self._clock, self._sleep, stop, numbers_max=self._numbers_max)

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
            return store.lag(self._fold, connection, self._clock)

    def digest(self) -> str:
        """SHA-256, in hex, of the live fold as it is now."""
        with cursors.available(), self._connect() as connection:
            return table_digest(connection, self._fold, self._fold.table)

    def rebuild(self) -> Comparison:
        """Fold the journal again from its first number into a scratch table and compare it with the live fold.

        The live fold moves on meanwhile; it stands still only for the last, short range and the comparison.
        Raises Contention if somebody forgets the live fold meanwhile.
        """
        fold = self._fold
        with cursors.available(), self._connect() as connection:
            store.make_scratch(connection, fold)
            rebuilt = 0
            while rebuilt < (live := cursors.cursor_of(connection, fold.name)):
                target = min(live, rebuilt + self._numbers_max)
                fold.add(connection, fold.scratch, rebuilt, target)
                rebuilt = target
            with connection.transaction():
                cursor = cursors.lock_cursor(connection, fold.name, self._clock())
                if cursor < rebuilt:
                    raise Contention("the live fold was forgotten while it was compared; compare again")
                fold.add(connection, fold.scratch, rebuilt, cursor)
                comparison = Comparison(
                    cursor,
                    table_digest(connection, fold, fold.table),
                    table_digest(connection, fold, fold.scratch),
                )
            store.drop_scratch(connection, fold)
            return comparison

    def forget(self) -> None:
        """Delete what was folded; the next step begins at the journal's first number."""
        with cursors.available(), self._connect() as connection:
            store.forget(connection, self._fold, self._clock())

    def _step(self, connection: Connection, up_to: int) -> int:
        return store.step(connection, self._fold, up_to, self._clock(), numbers_max=self._numbers_max)


def follow(
    folds: Sequence[Fold],
    connect: Connect,
    clock: Clock,
    sleep: Sleep,
    stop: Event,
    *,
    numbers_max: int = NUMBERS_MAX,
) -> None:
    """Keep all of `folds` until `stop` is set, by one connection and one look at the frontier for all of them."""
    while not stop.is_set():
        try:
            with cursors.available(), connect() as connection:
                while not stop.is_set():
                    reached = frontier(connection, sleep=sleep)
                    for fold in folds:
                        cursor = cursors.cursor_of(connection, fold.name)
                        while cursor < reached and not stop.is_set():
                            cursor = store.step(connection, fold, reached, clock(), numbers_max=numbers_max)
                    stop.wait(PAUSE_SECONDS)
        except CoalitionError as error:
            log.warning("follower_retrying", followers=[fold.name for fold in folds], error=str(error))
            stop.wait(RETRY_SECONDS)


def table_digest(connection: Connection, fold: Fold, table: str) -> str:
    """SHA-256, in hex, of the canonical lines of a table of the fold's shape."""
    return digest_of(store.serialised(connection, fold, table))


def digest_of(lines: Iterable[bytes]) -> str:
    """SHA-256, in hex, of lines one after the other."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
