"""Sales approved offline, in a file of their own until they are uploaded: the only place where a card number waits.

One SQLite file beside the outbox, mode 0600, synchronous FULL; a sale that is told is overwritten in it. Whoever holds
the outbox's lock is its only user. Blocks: call it in a thread.
"""

import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coalition.client.errors import OutboxFailed
from coalition.v1.operations_pb2 import UploadRequest

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sales (sequence_number INTEGER PRIMARY KEY AUTOINCREMENT, place INTEGER NOT NULL,
  request BLOB NOT NULL) STRICT
"""


@dataclass(frozen=True, slots=True)
class OfflineLimits:
    """What a terminal may approve without the service, minor units, as its merchant was told by headquarters.

    `limit_minor` an operation, `card_limit_minor` of one card and `total_limit_minor` of all, of what waits to be told.
    """

    limit_minor: int
    card_limit_minor: int
    total_limit_minor: int

    def exceeded(self, amount_minor: int, of_card_minor: int, of_all_minor: int) -> str:
        """What an approval on top of what waits would exceed; empty where nothing."""
        if amount_minor > self.limit_minor:
            return "the limit of one sale"
        if of_card_minor + amount_minor > self.card_limit_minor:
            return "the limit of one card"
        return "the limit of all" if of_all_minor + amount_minor > self.total_limit_minor else ""


@dataclass(frozen=True, slots=True)
class OfflineSale:
    """A sale that waits: its row in the outbox by place, and what is sent. No repr of the card."""

    place: int
    request: UploadRequest

    def __repr__(self) -> str:
        return f"OfflineSale({self.place}, {self.request.request_id})"


class OfflineQueue:
    """The queue in the file `path`, made with the first sale. Raises OutboxFailed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._using = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def waiting(self) -> list[OfflineSale]:
        """What an earlier run left, in its order."""
        if not self._path.exists():
            return []
        rows = self._do("SELECT place, request FROM sales ORDER BY sequence_number")
        return [OfflineSale(place, UploadRequest.FromString(request)) for place, request in rows]

    def add(self, sale: OfflineSale) -> None:
        """Store a sale and give its request the next sequence number; durable when it returns."""
        number = self._do("INSERT INTO sales (place, request) VALUES (?, x'') RETURNING sequence_number", sale.place)
        sale.request.sequence_number = number[0][0]
        self._do("UPDATE sales SET request = ? WHERE place = ?", sale.request.SerializeToString(), sale.place)

    def remove(self, place: int) -> None:
        """Forget a sale: it was told, or never approved."""
        if self._path.exists():
            self._do("DELETE FROM sales WHERE place = ?", place)

    def close(self) -> None:
        """Unlock the file."""
        with self._using:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _do(self, statement: str, *values: object) -> list[tuple[int, bytes]]:
        with self._using:
            try:
                if self._database is None:
                    self._database = self._open()
                return self._database.execute(statement, values).fetchall()
            except (OSError, sqlite3.Error) as error:
                raise OutboxFailed(self._path, str(error), "nothing was approved; see to the disk") from error

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=0)
        # A journal that is overwritten and a free page that is: no card number stays behind a sale that was told.
        for pragma in ("journal_mode = TRUNCATE", "synchronous = EXTRA", "secure_delete = ON"):
            database.execute(f"PRAGMA {pragma}")
        database.execute(SCHEMA)
        return database
