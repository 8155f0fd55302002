"""Folds over the journal in SQL: how a range is added, and how two of them are compared.

A fold is one table that follows from the journal alone. Writes `followers` and the fold's own table; never changes the
journal and never decides what to fold: the loop and the comparison live in coalition.followers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coalition.storage import cursors
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag

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


def step(connection: Connection, fold: Fold, up_to: int, time: datetime, *, numbers_max: int) -> int:
    """Fold the next range, at most `numbers_max` journal numbers and none above `up_to`; the cursor afterwards.

    One short transaction. `up_to` must come from `frontier`, asked before.
    """
    with connection.transaction():
        cursor = cursors.lock_cursor(connection, fold.name, time)
        target = min(up_to, cursor + numbers_max)
        if target <= cursor:
            return cursor
        fold.add(connection, fold.table, cursor, target)
        if fold.stepped is not None:
            fold.stepped(connection, cursor, target)
        cursors.move_cursor(connection, fold.name, target, time)
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
        cursors.lock_cursor(connection, fold.name, time)
        connection.execute(f"DELETE FROM {fold.table}")
        cursors.move_cursor(connection, fold.name, 0, time)


def serialised(connection: Connection, fold: Fold, table: str) -> Iterator[bytes]:
    """Each row of a table of the fold's shape in key order, one line each: the bytes that two folds share."""
    keys = ", ".join(fold.columns[: fold.keys])
    with connection.transaction(), connection.cursor("fold_in_order") as rows:
        rows.itersize = FETCH_ROWS
        rows.execute(f"SELECT {', '.join(fold.columns)} FROM {table} ORDER BY {keys}")
        for row in rows:
            yield ",".join(map(str, row)).encode() + b"\n"


def lag(fold: Fold, connection: Connection, clock: Callable[[], datetime]) -> Lag:
    """How far the fold is behind the last number taken."""
    return cursors.lag_behind(connection, cursors.cursor_of(connection, fold.name), clock)
