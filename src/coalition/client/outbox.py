"""The outbox: every operation is on disk before it is sent, and stays until it is answered or undone.

One SQLite file, mode 0600, write-ahead log, synchronous FULL: what `write` has confirmed survives a power loss. A
thread of its own writes; all rows that came while one sync was under way share the next. The file is locked for as long
as it is open: a second process would take this one's sales for lost ones. Never holds a card number or a request.
"""

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from coalition.client.errors import OutboxFailed, OutboxFull, OutboxInUse
from coalition.client.outbox_rows import OPEN_STATES, Kind, OutboxRow, State
from coalition.client.outbox_schema import (
    CHANGE,
    MIGRATE,
    NEVER_PRUNED,
    OPEN,
    PRUNE,
    RECENT,
    UNCOUNTED,
    VALUES,
    VERSION,
    WRITE,
)
from coalition.client.request_ids import new_request_id
from coalition.v1.operations_pb2 import Receipt

WAITING_MAX: Final = 10_000
"""Operations that may wait to be undone. A busy till loses one every second or so while the line breaks: hours."""
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
Write = tuple[OutboxRow, "asyncio.Future[None]"]


class Outbox:
    """The outbox in the file `path`, opened inside a running event loop. `found` is what an earlier run left open.

    Raises OutboxInUse, OutboxFailed.
    """

    def __init__(
        self, path: Path, wall_ms: Callable[[], int], *, waiting_max: int = WAITING_MAX, kept_max: int = KEPT_MAX
    ) -> None:
        self.path = path
        self.waiting = 0
        """Operations that wait to be undone; whoever undoes them keeps it."""
        self.under_way = 0
        """Operations begun and not ended in this run; whoever runs them keeps it."""
        self._wall_ms = wall_ms
        self._waiting_max = waiting_max
        self._kept_max = kept_max
        self._loop = asyncio.get_running_loop()
        self._asked: SimpleQueue[Write | None] = SimpleQueue()
        self._using = threading.Lock()
        self._database = self._open()
        try:
            self.found = self._read(OPEN, json.dumps(sorted(OPEN_STATES)))
            last_place, last_undo = self._database.execute(
                "SELECT max(place), max(undo_place) FROM operations"
            ).fetchone()
        except sqlite3.Error as error:
            self._database.close()
            raise OutboxFailed(path, str(error)) from error
        self._last_place: int = last_place or 0
        self._last_undo: int = last_undo or 0
        self._pruned = 0
        self._is_closed = False
        self._writer = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._writer.start()

    def begin(self, kind: Kind, amount_minor: int, sale_reference: str) -> OutboxRow:
        """A new operation with its request_id, for `write`. Raises OutboxFull."""
        if self.waiting >= self._waiting_max:
            raise OutboxFull(self.waiting)
        now_ms = self._wall_ms()
        self._last_place += 1
        request_id = new_request_id(now_ms=now_ms)
        return OutboxRow(self._last_place, request_id, kind, amount_minor, sale_reference, State.BEGUN, now_ms, now_ms)

    def changed(self, row: OutboxRow, state: State, reason: str = "", entry_id: int | None = None) -> OutboxRow:
        """The row in another state, for `write`. `entry_id`: as the row has it."""
        return replace(row, state=state, reason=reason, entry_id=entry_id, change_ms=self._wall_ms())

    def receipted(self, row: OutboxRow, state: State, receipt: Receipt) -> OutboxRow:
        """The row with what its receipt says, for `write`."""
        return replace(
            row,
            state=state,
            amount_minor=receipt.amount_minor,
            entry_id=receipt.entry_id,
            change_ms=self._wall_ms(),
        )

    def to_undo(self, row: OutboxRow) -> OutboxRow:
        """The row with a place in the order of undoing and a request_id for its reversal, for `write`."""
        self._last_undo += 1
        return replace(
            self.with_new_undo_id(row), state=State.TO_UNDO, undo_place=self._last_undo, change_ms=self._wall_ms()
        )

    def with_new_undo_id(self, row: OutboxRow) -> OutboxRow:
        """The row with another request_id for its reversal: the service takes none that is weeks old."""
        return replace(row, undo_id=new_request_id(now_ms=self._wall_ms()))

    def write(self, row: OutboxRow) -> "asyncio.Future[None]":
        """Ask for the row to be stored; await the answer to know that it is on disk. Rows are stored in this order.

        The future raises OutboxFailed.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        if self._is_closed:
            _tell([future], OutboxFailed(self.path, "closed", "what was begun is undone at the next start"))
            return future
        self._asked.put((row, future))
        return future

    def keep(self, row: OutboxRow) -> None:
        """Ask for the row to be stored and do not wait: where that fails, disk keeps the state before it."""
        self.write(row).add_done_callback(lambda _: None)

    async def recent(self, limit: int) -> list[OutboxRow]:
        """The last operations begun, newest first. Raises OutboxFailed."""
        return await self._look(RECENT, limit)

    async def uncounted(self) -> list[OutboxRow]:
        """The operations that no recorded close has counted, in the order of their beginning. Raises OutboxFailed."""
        return await self._look(UNCOUNTED)

    async def transact(self, *statements: tuple[str, Sequence[object]]) -> list[list[Any]]:
        """Do statements all or none, durably, and answer the rows of each. Not for sales: it shares no sync.

        Raises OutboxFailed.
        """
        return await asyncio.to_thread(self._transact, statements)

    async def close(self) -> None:
        """Store what was asked for and unlock the file."""
        self._is_closed = True
        self._asked.put(None)
        await asyncio.to_thread(self._writer.join)
        self._database.close()

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

    def _read(self, query: str, *parameters: object) -> list[OutboxRow]:
        with self._using:
            rows = self._database.execute(query, parameters).fetchall()
        return [
            OutboxRow(place, request_id, Kind(kind), amount_minor, reference, State(state), *rest)
            for place, request_id, kind, amount_minor, reference, state, *rest in rows
        ]

    async def _look(self, query: str, *parameters: object) -> list[OutboxRow]:
        try:
            return await asyncio.to_thread(self._read, query, *parameters)
        except sqlite3.Error as error:
            raise OutboxFailed(self.path, str(error)) from error

    def _transact(self, statements: Sequence[tuple[str, Sequence[object]]]) -> list[list[Any]]:
        with self._using:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    rows = [self._database.execute(text, tuple(values)).fetchall() for text, values in statements]
                    self._database.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # A full disk has rolled back already.
                        self._database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise OutboxFailed(self.path, str(error)) from error
        return rows

    def _work(self) -> None:
        """The writer's thread: take what waits, store it in one transaction, tell all who asked."""
        while True:
            group = [self._asked.get()]
            if self.under_way >= BUSY_FROM:
                time.sleep(min(LINGER_MAX_S, self.under_way * LINGER_S))
            with suppress(Empty):
                while len(group) < GROUP_MAX:
                    group.append(self._asked.get_nowait())
            writes = [write for write in group if write is not None]
            if writes:
                self._store(writes)
            if len(writes) < len(group):
                return

    def _store(self, group: list[Write]) -> None:
        failure: OutboxFailed | None = None
        try:
            with self._using:
                statement = f"{WRITE}{', '.join([VALUES] * len(group))}{CHANGE}"
                self._database.execute(statement, [value for row, _ in group for value in row.values()])
                self._prune(group[-1][0].place)
        except sqlite3.Error as error:
            failure = OutboxFailed(self.path, str(error))
        with suppress(RuntimeError):  # The loop is gone; what was asked for is stored.
            self._loop.call_soon_threadsafe(_tell, [future for _, future in group], failure)

    def _prune(self, place: int) -> None:
        """Forget closed operations that are long past, now and then; at once would cost every sale a delete."""
        if place - self._kept_max - self._pruned >= PRUNE_EVERY:
            self._pruned = place - self._kept_max
            self._database.execute(PRUNE, (self._pruned, NEVER_PRUNED, self._wall_ms() - DAY_MAX_MS))


def _tell(futures: "list[asyncio.Future[None]]", failure: OutboxFailed | None) -> None:
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
