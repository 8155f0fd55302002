"""Connections to the ledger: short ones for a job, one kept by a desk, and what a pool needs to open its own.

Every session pins what the ledger relies on: durable commits, READ COMMITTED, UTC, bounded waits; and every wait for
the network has an end.
"""

from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

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
# A database machine that loses power or its network says nothing: statement_timeout is the server's, so only TCP ends
# such a wait, by default after two hours (a reply never comes) or a quarter of an hour (our bytes are never
# acknowledged). The first is asked for by probes after 10 s of silence, given up after 3 more, 5 s apart; the second is
# bounded by the user timeout. Both stay below SESSION's idle_in_transaction 30 s, so that the locks of a transaction
# whose server lives on are gone soon after we have noticed. A slow statement is not cut off: the peer's kernel answers
# the probes. Unix sockets ignore all of it, and a dsn that names its own values keeps them.
NETWORK: Final = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# 40P01 deadlock, 55P03 lock timeout, 40001 serialization, 23505 a rival inserted the same key: run the same work again.
RETRYABLE: Final = frozenset({"40P01", "55P03", "40001", "23505"})
# 57P0x: the server is shutting down or was killed; 08xxx and no sqlstate at all: the connection is gone; 53xxx: it has
# no room (disk, memory, connections) until a human or time makes some; 25006: a standby, or a primary that was demoted,
# answers in its place. All of them: send it again later.
GONE: Final = frozenset({"57P01", "57P02", "57P03", "25P03", "25006"})
# Without an sqlstate too, but raised on this side, because of what was to be sent: sending it again changes nothing.
OURS: Final = (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)


def connect(dsn: str, application: str = "coalition") -> Connection:
    """An autocommit connection. Raises StoreUnavailable when the database does not answer."""
    try:
        return psycopg.connect(session_conninfo(dsn, application), autocommit=True)
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"the database does not answer: {_first_line(error)}") from error


def session_conninfo(dsn: str, application: str) -> str:
    """The dsn with what every session of ours pins, named `application` in the database's own views."""
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SESSION.items())
    network = {name: value for name, value in NETWORK.items() if name not in conninfo_to_dict(dsn)}
    return make_conninfo(
        dsn, options=options, application_name=application, connect_timeout=CONNECT_TIMEOUT_SECONDS, **network
    )


def translated(error: psycopg.Error) -> Exception:
    """The house's error for a database error: Contention, StoreUnavailable, or the error itself when it is our bug."""
    state = error.sqlstate
    if state in RETRYABLE:
        return Contention(f"the database asks to run this again ({state})")
    if state is None and isinstance(error, OURS):
        return error
    if state is None or state in GONE or state[:2] in {"08", "53"}:
        return StoreUnavailable(f"the database does not answer: {_first_line(error)}")
    return error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]
