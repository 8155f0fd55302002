"""A follower: reads the journal in order and keeps a fold of it; several folds may share one look at the frontier.

Never slows a purchase: it locks nothing but its own row, in short transactions, and publishes how far it is behind.
Any number of processes may run it at once; deleting what it made and folding again gives the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Final, Protocol

import structlog

from coalition.domain.errors import CoalitionError, Contention
from coalition.storage import cursors
from coalition.storage import folds as store
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag
from coalition.storage.folds import Fold
from coalition.storage.frontier import frontier
from coalition.storage.journal_ranges import find_by_range, summarise_newest

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
    """What is kept beside what was made again from the first entry, both up to `cursor`; digests are SHA-256 in hex.

    `size` is how many entries a tree covers, 0 for a fold that is none.
    """

    cursor: int
    live: str
    rebuilt: str
    size: int = 0

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt


class Kept(Protocol):
    """Something that is kept of the journal, in order, by a cursor of its own (`storage.cursors`)."""

    @property
    def name(self) -> str: ...

    def begin(self, connection: Connection) -> None:
        """Look whether what is kept may be gone on with; asked on each new connection. Raises CoalitionError."""

    def step(self, connection: Connection, up_to: int) -> int:
        """Fold the next range, none above `up_to`, in one short transaction; the cursor afterwards."""


class Again(Protocol):
    """The same made again, in a scratch table of its own that is gone with the connection."""

    @property
    def name(self) -> str: ...

    def make_scratch(self, connection: Connection) -> None: ...

    def fold(self, connection: Connection, after: int, up_to: int) -> int:
        """Fold the range behind `after` into the scratch table, none above `up_to`; up to where it did."""

    def digests(self, connection: Connection) -> tuple[str, str]:
        """Of what is kept, and of the scratch table."""

    def drop_scratch(self, connection: Connection) -> None: ...


class KeptFold:
    """A fold in SQL (`storage.folds`), kept and made again. `clock` tells UTC."""

    def __init__(self, fold: Fold, clock: Clock, numbers_max: int = NUMBERS_MAX) -> None:
        self._fold = fold
        self._clock = clock
        self._numbers_max = numbers_max

    @property
    def name(self) -> str:
        return self._fold.name

    def begin(self, connection: Connection) -> None:
        """Nothing to look at: a fold is believed until it is compared."""

    def step(self, connection: Connection, up_to: int) -> int:
        cursor = cursors.cursor_of(connection, self._fold.name)  # without a transaction, where nothing is new
        if cursor >= up_to:
            return cursor
        return store.step(connection, self._fold, up_to, self._clock(), numbers_max=self._numbers_max)

    def make_scratch(self, connection: Connection) -> None:
        store.make_scratch(connection, self._fold)

    def fold(self, connection: Connection, after: int, up_to: int) -> int:
        target = min(up_to, after + self._numbers_max)
        self._fold.add(connection, self._fold.scratch, after, target)
        return target

    def digests(self, connection: Connection) -> tuple[str, str]:
        fold = self._fold
        return table_digest(connection, fold, fold.table), table_digest(connection, fold, fold.scratch)

    def drop_scratch(self, connection: Connection) -> None:
        store.drop_scratch(connection, self._fold)


class Follower:
    """One fold's reader of the journal. `connect` opens an autocommit connection; `clock` tells UTC."""

    def __init__(
        self, fold: Fold, connect: Connect, clock: Clock, sleep: Sleep, *, numbers_max: int = NUMBERS_MAX
    ) -> None:
        self._fold = fold
        self._kept = KeptFold(fold, clock, numbers_max)
        self._numbers_max = numbers_max
        self._connect = connect
        self._clock = clock
        self._sleep = sleep

    def beside(self, fold: Fold) -> "Follower":
        """A reader of another fold, by the same way to the ledger."""
        return Follower(fold, self._connect, self._clock, self._sleep, numbers_max=self._numbers_max)

    def run(self, stop: Event) -> None:
        """Follow the journal until `stop` is set; a database that does not answer is tried again for ever."""
        follow([self._kept], self._connect, self._sleep, stop)

    def catch_up(self, to_number: int = 0) -> int:
        """Fold everything decided now, at least up to `to_number`; the cursor afterwards.

        Also right while another process follows: whoever locks the row first folds the range. `to_number` must have
        been taken already. Raises FrontierStalled if a writer hangs, StoreUnavailable if the database does not answer.
        """
        with cursors.available(), self._connect() as connection:
            reached = frontier(connection, sleep=self._sleep)
            if to_number > reached:
                raise ValueError(f"journal number {to_number} was not taken yet, the last is {reached}")
            find_by_range(connection)
            return catch_up(self._kept, connection, reached)

    def lag(self) -> Lag:
        with cursors.available(), self._connect() as connection:
            return store.lag(self._fold, connection, self._clock)

    def digest(self) -> str:
        """SHA-256, in hex, of the live fold as it is now."""
        with cursors.available(), self._connect() as connection:
            return table_digest(connection, self._fold, self._fold.table)

    def rebuild(self) -> Comparison:
        """See `compare`."""
        with cursors.available(), self._connect() as connection:
            comparison = compare(self._kept, connection, self._clock)
            self._kept.drop_scratch(connection)
            return comparison

    def forget(self) -> None:
        """Delete what was folded; the next step begins at the journal's first number."""
        with cursors.available(), self._connect() as connection:
            store.forget(connection, self._fold, self._clock())


def follow(kept: Sequence[Kept], connect: Connect, sleep: Sleep, stop: Event) -> None:
    """Keep all of `kept` until `stop` is set, by one connection and one look at the frontier for all of them.

    A database that does not answer, or what may not be gone on with, is tried again for ever.
    """
    while not stop.is_set():
        try:
            with cursors.available(), connect() as connection:
                find_by_range(connection)
                for each in kept:
                    each.begin(connection)
                known = 0
                while not stop.is_set():
                    reached = frontier(connection, sleep=sleep)
                    if reached > known:
                        summarise_newest(connection)
                    known = reached
                    for each in kept:
                        while each.step(connection, reached) < reached and not stop.is_set():
                            pass
                    stop.wait(PAUSE_SECONDS)
        except CoalitionError as error:
            log.warning("follower_retrying", followers=[each.name for each in kept], error=str(error))
            stop.wait(RETRY_SECONDS)


def catch_up(kept: Kept, connection: Connection, up_to: int) -> int:
    """Step until the cursor has reached `up_to`; the cursor."""
    while (cursor := kept.step(connection, up_to)) < up_to:
        pass
    return cursor


def compare(again: Again, connection: Connection, clock: Clock) -> Comparison:
    """Make what is kept again from the journal's first number in a scratch table, and compare the two.

    What is kept moves on meanwhile; it stands still only for the last, short range and the comparison. The scratch
    table is left to the caller. Raises Contention if somebody forgets what is kept meanwhile.
    """
    again.make_scratch(connection)
    rebuilt = 0
    while rebuilt < (live := cursors.cursor_of(connection, again.name)):
        rebuilt = again.fold(connection, rebuilt, live)
    with connection.transaction():
        cursor = cursors.lock_cursor(connection, again.name, clock())
        if cursor < rebuilt:
            raise Contention("what is kept was forgotten while it was compared; compare again")
        while rebuilt < cursor:
            rebuilt = again.fold(connection, rebuilt, cursor)
        return Comparison(cursor, *again.digests(connection))


def table_digest(connection: Connection, fold: Fold, table: str) -> str:
    """SHA-256, in hex, of the canonical lines of a table of the fold's shape."""
    return digest_of(store.serialised(connection, fold, table))


def digest_of(lines: Iterable[bytes]) -> str:
    """SHA-256, in hex, of lines one after the other."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
