"""The file of an outbox: stores rows durably, in groups, for one terminal or for all those of a till server's process.

One SQLite file, mode 0600, write-ahead log, synchronous FULL: what `write` has confirmed survives a power loss. A
thread of its own writes; all rows that came while one sync was under way share the next, whichever terminal they are
of. The file is locked for as long as it is open: a second process would take this one's sales for lost ones. Never
holds a card number or a request.
"""

import asyncio
import itertools
import json
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Protocol, Self

from coalition.client.errors import OutboxFailed, OutboxInUse
from coalition.client.outbox_rows import OPEN_STATES, OutboxRow
from coalition.client.outbox_schema import (
    CHANGE,
    LAST_PLACES,
    MIGRATE,
    NEVER_PRUNED,
    OPEN_OF_OTHERS,
    PRUNE,
    VALUES,
    VERSION,
    WRITE,
)

KEPT_MAX: Final = 10_000
"""Closed operations that are kept to be looked at; those of a day that is not closed yet are kept besides."""
DAY_MAX_MS: Final = 35 * 86_400_000
"""A day that nobody closes is kept so long: the service is asked about no request_id that is older."""
PRUNE_EVERY: Final = 1_000
GROUP_MAX: Final = 128
# A disk that syncs in 0.2 ms gathers nobody by itself: with 64 sales at once nearly every row had a sync, a turn of the
# thread and a wake-up of its own. So a busy writer waits a little for company, a lone till never.
BUSY_FROM: Final = 8
LINGER_S: Final = 0.00006
"""For each operation under way."""
LINGER_MAX_S: Final = 0.005
ALONE: Final = ""
"""The terminal of a file that has only one."""
Future = asyncio.Future[None]
Write = tuple[str, OutboxRow, Future]


class Busy(Protocol):
    """A terminal's part of the file, as far as the writer asks."""

    under_way: int


class OutboxFile:
    """The outbox that the terminals of one process share, so that they share its syncs: a chain's till server.

        async with OutboxFile(Path("tills.outbox")) as outbox:
            async with AioTerminal(server, certificate, outbox=outbox, at="cafe/main/till-1") as till:
                ...

    Open while its context lasts, longer than its terminals. Safe to share between event loops and threads. Opening it
    raises OutboxInUse, OutboxFailed.
    """

    def __init__(self, path: Path, *, kept_max: int = KEPT_MAX) -> None:
        self.path = path
        self._kept_max = kept_max
        self._asked: SimpleQueue[Write | threading.Event] = SimpleQueue()
        self._using = threading.Lock()
        self._parts: dict[str, Busy] = {}
        self._database: sqlite3.Connection | None = None
        self._pruned = 0

    def open(self) -> Self:
        """Lock the file, migrate it, start the writer. Blocks for as long as the disk takes."""
        database = self._open()
        try:
            last_place, last_undo = database.execute(LAST_PLACES).fetchone()
        except sqlite3.Error as error:
            database.close()
            raise OutboxFailed(self.path, str(error)) from error
        self._places: Iterator[int] = itertools.count(last_place + 1)
        self._undo_places: Iterator[int] = itertools.count(last_undo + 1)
        self._database = database
        self._writer = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._writer.start()
        return self

    def close(self) -> None:
        """Store what was asked for and unlock the file. Blocks."""
        database, self._database = self._database, None
        if database is not None:
            self.flush()
            self._writer.join()
            database.close()

    def flush(self) -> None:
        """Wait until what was asked for is stored. Blocks."""
        stored = threading.Event()
        self._asked.put(stored)
        stored.wait()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.open)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def join(self, till: str, part: Busy) -> None:
        """Take a terminal's place in the file. Raises OutboxInUse where it is taken, OutboxFailed."""
        if till in self._parts:
            raise OutboxInUse(self.path, f"{till or 'its terminal'} is open already")
        # What is open of others waits for them where they come back. A file that changes from one terminal to many, or
        # back, would never hear of it again.
        left = [each for (each,) in self.read(OPEN_OF_OTHERS, json.dumps(sorted(OPEN_STATES)), till)]
        if left and (till == ALONE or ALONE in left):
            whose = ", ".join(each or "a terminal that had it for itself" for each in left)
            raise OutboxFailed(self.path, f"holds open operations of {whose}", "open it as it was opened before")
        self._parts[till] = part

    def leave(self, till: str) -> None:
        """Give a terminal's place up."""
        self._parts.pop(till, None)

    def next_place(self) -> int:
        """The next in the order of beginning."""
        return next(self._places)

    def next_undo_place(self) -> int:
        """The next in the order of undoing."""
        return next(self._undo_places)

    def write(self, till: str, row: OutboxRow) -> Future:
        """Ask for a row to be stored; the future says when it is on disk, or raises OutboxFailed."""
        future: Future = asyncio.get_running_loop().create_future()
        if self._database is None:
            _tell([future], OutboxFailed(self.path, "closed", "what was begun is undone at the next start"))
        else:
            self._asked.put((till, row, future))
        return future

    def read(self, query: str, *parameters: object) -> list[Any]:
        """The rows of a query. Blocks. Raises OutboxFailed."""
        try:
            with self._using:
                return self._opened().execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise OutboxFailed(self.path, str(error)) from error

    def transact(self, statements: Sequence[tuple[str, Sequence[object]]]) -> list[list[Any]]:
        """Do statements all or none, durably, and answer the rows of each. Blocks. Raises OutboxFailed."""
        with self._using:
            try:
                database = self._opened()
                database.execute("BEGIN IMMEDIATE")
                try:
                    rows = [database.execute(text, tuple(values)).fetchall() for text, values in statements]
                    database.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # A full disk has rolled back already.
                        database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise OutboxFailed(self.path, str(error)) from error
        return rows

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise OutboxFailed(self.path, "closed", "open it for as long as its terminals are")
        return self._database

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self.path.chmod(0o600)
            database = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=0, cached_statements=2 * GROUP_MAX
            )
        except (OSError, sqlite3.Error) as error:
            raise OutboxFailed(self.path, error.strerror or "" if isinstance(error, OSError) else str(error)) from error
        try:
            # Exclusive before the first look: the lock is taken then and kept, and no memory file is shared.
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
                database.execute(f"PRAGMA {pragma}")
            database.execute("BEGIN IMMEDIATE")
            version: int = database.execute("PRAGMA user_version").fetchone()[0]
            for statement in MIGRATE.get(version, ()):
                database.execute(statement)
            if version in MIGRATE:
                database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("COMMIT")
        except sqlite3.Error as error:
            database.close()
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise OutboxInUse(self.path) from error
            raise OutboxFailed(self.path, str(error)) from error
        if version not in MIGRATE:
            database.close()
            raise OutboxFailed(self.path, f"written by another version ({version})", "use the newer coalition")
        _sync_directory(self.path.parent)
        return database

    def _work(self) -> None:
        """The writer's thread: take what waits, store it in one transaction, tell all who asked."""
        database = self._opened()
        while True:
            group = [self._asked.get()]
            under_way = sum([part.under_way for part in tuple(self._parts.values())])
            if under_way >= BUSY_FROM:
                time.sleep(min(LINGER_MAX_S, under_way * LINGER_S))
            with suppress(Empty):
                while len(group) < GROUP_MAX:
                    group.append(self._asked.get_nowait())
            if writes := [each for each in group if not isinstance(each, threading.Event)]:
                self._store(database, writes)
            for waited_for in (each for each in group if isinstance(each, threading.Event)):
                waited_for.set()
                if self._database is None:
                    return

    def _store(self, database: sqlite3.Connection, group: list[Write]) -> None:
        failure: OutboxFailed | None = None
        try:
            with self._using:
                statement = f"{WRITE}{', '.join([VALUES] * len(group))}{CHANGE}"
                database.execute(statement, [value for till, row, _ in group for value in (*row.values(), till)])
                self._prune(database, group[-1][1])
        except sqlite3.Error as error:
            failure = OutboxFailed(self.path, str(error))
        by_loop: dict[asyncio.AbstractEventLoop, list[Future]] = defaultdict(list)
        for _, _, future in group:
            by_loop[future.get_loop()].append(future)
        for loop, futures in by_loop.items():
            with suppress(RuntimeError):  # The loop is gone; what was asked for is stored.
                loop.call_soon_threadsafe(_tell, futures, failure)

    def _prune(self, database: sqlite3.Connection, newest: OutboxRow) -> None:
        """Forget closed operations that are long past, now and then; at once would cost every sale a delete."""
        if newest.place - self._kept_max - self._pruned >= PRUNE_EVERY:
            self._pruned = newest.place - self._kept_max
            database.execute(PRUNE, (self._pruned, NEVER_PRUNED, newest.change_ms - DAY_MAX_MS))


def _tell(futures: list[Future], failure: OutboxFailed | None) -> None:
    for future in futures:
        if future.done():  # Whoever asked was cancelled.
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
            future.exception()  # Asked for, so that one nobody awaits is no news: on disk the row stays what it was.


def _sync_directory(directory: Path) -> None:
    """Make the file's name durable, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
