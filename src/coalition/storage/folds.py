"""Folds over the journal in SQL: where each has read to, how a range is added, and how two of them are compared.

A fold is one table that follows from the journal alone. Writes `followers` and the fold's own table; never changes the
journal and never decides what to fold: the loop and the comparison live in coalition.followers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from coalition.domain.errors import LedgerBroken
from coalition.storage.connect import Connection, translated
from coalition.storage.frontier import last_number

FETCH_ROWS: Final = 10_000  # rows of a fold held in memory at a time

Add = Callable[[Connection, str, int, int], None]
"""Adds what the journal says for `after < number <= up_to` to a table of the fold's shape."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold: its name among the followers, its table, the table's columns with the `keys` key columns first.

    `stepped` runs in the transaction of each step of the live fold, with the numbers it was between.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    keys: int
    add: Add
    stepped: Callable[[Connection, int, int], None] | None = None

    @property
    def scratch(self) -> str:
        """A table of the same shape for folding again."""
        return f"scratch_{self.table}"


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


def cursor_of(connection: Connection, fold: Fold) -> int:
    """Up to which journal number the fold has read; 0 before its first step."""
    row = connection.execute("SELECT cursor_number FROM followers WHERE name = %s", (fold.name,)).fetchone()
    return 0 if row is None else int(row[0])


def lock_cursor(connection: Connection, fold: Fold, time: datetime) -> int:
    """The same, making the row if it is missing and keeping it locked until this transaction ends.

    The lock is what lets any number of processes fold at once: each range is folded by one of them, once.
    """
    query = "SELECT cursor_number FROM followers WHERE name = %s FOR UPDATE"
    row = connection.execute(query, (fold.name,)).fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO followers (name, cursor_number, update_time) VALUES (%s, 0, %s) ON CONFLICT (name) DO NOTHING",
            (fold.name, time),
        )
        row = connection.execute(query, (fold.name,)).fetchone()
    if row is None:
        raise LedgerBroken(f"follower {fold.name} has no row right after it was made")
    return int(row[0])


def move_cursor(connection: Connection, fold: Fold, number: int, time: datetime) -> None:
    """Say that everything up to `number` is folded; the caller holds the row's lock."""
    connection.execute(
        "UPDATE followers SET cursor_number = %s, update_time = %s WHERE name = %s", (number, time, fold.name)
    )


def step(connection: Connection, fold: Fold, up_to: int, time: datetime, *, numbers_max: int) -> int:
    """Fold the next range, at most `numbers_max` journal numbers and none above `up_to`; the cursor afterwards.

    One short transaction. `up_to` must come from `frontier`, asked before.
    """
    with connection.transaction():
        cursor = lock_cursor(connection, fold, time)
        target = min(up_to, cursor + numbers_max)
        if target <= cursor:
            return cursor
        fold.add(connection, fold.table, cursor, target)
        if fold.stepped is not None:
            fold.stepped(connection, cursor, target)
        move_cursor(connection, fold, target, time)
        return target


def make_scratch(connection: Connection, fold: Fold) -> None:
    """An empty table of the same shape, seen by this connection alone and gone with it."""
    connection.execute(f"DROP TABLE IF EXISTS pg_temp.{fold.scratch}")
    connection.execute(f"CREATE TEMP TABLE {fold.scratch} (LIKE {fold.table} INCLUDING ALL)")


def drop_scratch(connection: Connection, fold: Fold) -> None:
    """Remove what `make_scratch` made."""
    connection.execute(f"DROP TABLE pg_temp.{fold.scratch}")


def forget(connection: Connection, fold: Fold, time: datetime) -> None:
    """Empty the fold, to be made again from the journal's first number."""
    with connection.transaction():
        lock_cursor(connection, fold, time)
        connection.execute(f"DELETE FROM {fold.table}")
        move_cursor(connection, fold, 0, time)


def serialised(connection: Connection, fold: Fold, table: str) -> Iterator[bytes]:
    """Each row of a table of the fold's shape in key order, one line each: the bytes that two folds share."""
    keys = ", ".join(fold.columns[: fold.keys])
    with connection.transaction(), connection.cursor("fold_in_order") as rows:
        rows.itersize = FETCH_ROWS
        rows.execute(f"SELECT {', '.join(fold.columns)} FROM {table} ORDER BY {keys}")
        for row in rows:
            yield ",".join(map(str, row)).encode() + b"\n"


def lag(connection: Connection, fold: Fold, clock: Callable[[], datetime]) -> Lag:
    """How far the fold is behind the last number taken."""
    cursor = cursor_of(connection, fold)
    behind = max(0, last_number(connection) - cursor)
    row = connection.execute("SELECT time FROM batches WHERE number > %s ORDER BY number LIMIT 1", (cursor,)).fetchone()
    if row is None:
        return Lag(behind, 0.0)
    return Lag(behind, max(0.0, (clock() - row[0]).total_seconds()))
