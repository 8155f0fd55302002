"""Connections lent out for one call at a time: reads and acts. The desk keeps a connection of its own."""

from typing import Any, Final

from psycopg_pool import ConnectionPool

from coalition.storage.connect import Connection, session_conninfo

WAIT_SECONDS: Final = 5.0  # below a till's patience of 8 s; then the call is answered DATABASE_UNAVAILABLE


def open_pool(dsn: str, *, size: int, application: str) -> ConnectionPool[Connection]:
    """A pool of up to `size` autocommit connections, each checked when lent; `pool.connection` is a Lease.

    Opens nothing yet: the first loan does. Close it at the end.
    """
    settings: dict[str, Any] = {"autocommit": True}
    return ConnectionPool(
        session_conninfo(dsn, application),
        kwargs=settings,
        min_size=1,
        max_size=size,
        timeout=WAIT_SECONDS,
        check=ConnectionPool.check_connection,
        open=True,
        name=application,
    )
