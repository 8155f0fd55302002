"""Where each follower stands in the journal: one row a follower, which is also the lock it folds under."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from coalition.domain.errors import LedgerBroken
from coalition.storage.connect import Connection, translated
from coalition.storage.frontier import last_number


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a fold is behind: journal numbers not yet folded, and the age of the oldest such batch in seconds."""

    batches: int
    seconds: float


@contextmanager
def available() -> Iterator[None]:
    """Turn a lost connection or a conflict into the house's errors, so that no room above needs psycopg."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(error) from error


def cursor_of(connection: Connection, follower: str) -> int:
    """Up to which journal number the follower has read; 0 before its first step."""
    row = connection.execute("SELECT cursor_number FROM followers WHERE name = %s", (follower,)).fetchone()
    return 0 if row is None else int(row[0])


def lock_cursor(connection: Connection, follower: str, time: datetime) -> int:
    """The same, making the row if it is missing and keeping it locked until this transaction ends.

    The lock is what lets any number of processes fold at once: each range is folded by one of them, once.
    """
    query = "SELECT cursor_number FROM followers WHERE name = %s FOR UPDATE"
    row = connection.execute(query, (follower,)).fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO followers (name, cursor_number, update_time) VALUES (%s, 0, %s) ON CONFLICT (name) DO NOTHING",
            (follower, time),
        )
        row = connection.execute(query, (follower,)).fetchone()
    if row is None:
        raise LedgerBroken(f"follower {follower} has no row right after it was made")
    return int(row[0])


def move_cursor(connection: Connection, follower: str, number: int, time: datetime) -> None:
    """Say that everything up to `number` is folded; the caller holds the row's lock."""
    connection.execute(
        "UPDATE followers SET cursor_number = %s, update_time = %s WHERE name = %s", (number, time, follower)
    )


def lag_behind(connection: Connection, number: int, clock: Callable[[], datetime]) -> Lag:
    """How far what is folded up to `number` is behind the last number taken."""
    behind = max(0, last_number(connection) - number)
    row = connection.execute("SELECT time FROM batches WHERE number > %s ORDER BY number LIMIT 1", (number,)).fetchone()
    if row is None:
        return Lag(behind, 0.0)
    return Lag(behind, max(0.0, (clock() - row[0]).total_seconds()))
