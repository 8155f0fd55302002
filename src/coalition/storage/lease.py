"""Borrowed connections: a room's store is handed a way to lease one, and never opens or keeps its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import tuple_row

from coalition.storage.connect import Connection, translated

Lease: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Answers an autocommit connection that nobody else uses until the block ends (a pool's `connection`)."""
Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]


@contextmanager
def leased(lease: Lease) -> Iterator[Connection]:
    """A connection. Raises StoreUnavailable or Contention for the database's errors, also when none can be had."""
    try:
        with lease() as connection:
            yield connection
    except psycopg.Error as error:
        raise translated(error) from error


@contextmanager
def leased_cursor(lease: Lease) -> Iterator[Cursor]:
    """A cursor for reads or for single statements, as `leased`."""
    with leased(lease) as connection, connection.cursor(row_factory=tuple_row) as cursor:
        yield cursor
