"""Connections to the ledger: short ones for a job, one kept by a desk, an Engine for reads that are not hot.

Every session pins what the ledger relies on: durable commits, READ COMMITTED, UTC, bounded waits.
"""

from typing import Any, Final, TypeAlias

import psycopg
import sqlalchemy
from psycopg.conninfo import make_conninfo

from coalition.domain.errors import Contention, StoreUnavailable

Connection: TypeAlias = psycopg.Connection[Any]

CONNECT_TIMEOUT_SECONDS: Final = 5
SESSION: Final = {
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "TimeZone": "UTC",
    "lock_timeout": "5s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "30s",
}
# 40P01 deadlock, 55P03 lock timeout, 40001 serialization, 23505 a rival inserted the same key: run the same work again.
RETRYABLE: Final = frozenset({"40P01", "55P03", "40001", "23505"})
# 57P0x: the server is shutting down or was killed; 08xxx and no sqlstate at all: the connection is gone; 53xxx: it has
# no room (disk, memory, connections) until a human or time makes some. All of them: send it again later.
GONE: Final = frozenset({"57P01", "57P02", "57P03", "25P03"})


def connect(dsn: str, application: str = "coalition") -> Connection:
    """An autocommit connection. Raises StoreUnavailable when the database does not answer."""
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SESSION.items())
    try:
        return psycopg.connect(
            make_conninfo(
                dsn,
                options=options,
                application_name=application,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
            ),
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"the database does not answer: {_first_line(error)}") from error


def engine(dsn: str, *, size: int = 4) -> sqlalchemy.Engine:
    """A pool for reads and reports, through SQLAlchemy Core."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(dsn, "coalition reads"),
        pool_size=size,
        max_overflow=size,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT",
    )


def translated(error: psycopg.Error) -> Exception:
    """The house's error for a database error: Contention, StoreUnavailable, or the error itself when it is our bug."""
    state = error.sqlstate
    if state in RETRYABLE:
        return Contention(f"the database asks to run this again ({state})")
    if state is None or state in GONE or state[:2] in {"08", "53"}:
        return StoreUnavailable(f"the database does not answer: {_first_line(error)}")
    return error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]
