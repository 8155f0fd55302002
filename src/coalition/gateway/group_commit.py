"""SQLite behind one thread that commits for many: whoever waits at the same moment shares one write to the disk.

Runs what it is handed; knows no table. A job has happened for good when its future is done, and not at all when that
raises NotebookUnavailable.
"""

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from coalition.gateway.errors import NotebookUnavailable

GROUP_MAX: Final = 256
VERSION: Final = 1
Answer = TypeVar("Answer")
_Job = tuple[Callable[[sqlite3.Connection], object], "asyncio.Future[object]"]


class GroupCommit:
    """`schema` makes the tables of an empty file. One process at a time may have the file open."""

    def __init__(self, file: Path, schema: str) -> None:
        self._file = file
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="notebook", daemon=True)
        self._connection = self._opened(schema)
        self._thread.start()

    async def run(self, job: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run a job inside a transaction and return its answer once that is on the disk. Raises NotebookUnavailable."""
        waiting: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, waiting))
        return await waiting  # type: ignore[return-value]  # the thread answers each future with its own job's answer

    def close(self) -> None:
        """Finish what was handed in and close the file."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._connection.close()

    def _opened(self, schema: str) -> sqlite3.Connection:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its journal files the rights of the database, so these are set before it opens it.
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
            self._file.chmod(0o600)
            connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=1)
            try:
                self._prepare(connection, schema)
            except (sqlite3.Error, NotebookUnavailable):
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise NotebookUnavailable(
                f"the notebook {self._file} cannot be opened ({error}); is another gateway using it? Each needs a "
                "--state directory of its own"
            ) from None
        return connection

    def _prepare(self, connection: sqlite3.Connection, schema: str) -> None:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in {0, VERSION}:
            raise NotebookUnavailable(
                f"the notebook {self._file} was written by another release (format {version}); start that release, or "
                "choose another --state directory when no reversal waits there"
            )
        if version == 0:
            for statement in schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            last = False
            while len(group) < GROUP_MAX and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [job(self._connection) for job, _ in group]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  whatever it was, none of these jobs happened, and each must hear it
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            what = str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
            failure = NotebookUnavailable(f"the notebook {self._file} cannot be written: {what}")
            for _, waiting in group:
                _tell(waiting, waiting.set_exception, failure)
            return
        for (_, waiting), answer in zip(group, answers, strict=True):
            _tell(waiting, waiting.set_result, answer)


def _tell(waiting: "asyncio.Future[object]", say: Callable[..., None], what: object) -> None:
    """Answer a future of an event loop from this thread; nobody listens any more when that loop has ended."""

    def told() -> None:
        if not waiting.done():
            say(what)

    try:
        waiting.get_loop().call_soon_threadsafe(told)
    except RuntimeError:
        return
