"""What the journal was told last of the house's key versions, in SQL: read, and changed inside the act that tells it.

Holds no key and decides nothing: which versions there are is the key ring's to say.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from coalition.storage.connect import Connection

# Two integers, so that it shares no key with the advisory locks of the journal (one bigint each).
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('key_versions'), 0)"
PUT: Final = """
INSERT INTO key_versions (purpose, version, state, is_primary, check_value) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (purpose, version) DO UPDATE
SET state = excluded.state, is_primary = excluded.is_primary, check_value = excluded.check_value
"""


class ToldVersion(NamedTuple):
    """A key version as the journal is told of it; `check` is public."""

    purpose: str
    version: int
    state: str
    is_primary: bool
    check: bytes


def untold(connection: Connection, versions: Iterable[ToldVersion]) -> list[ToldVersion]:
    """Those of `versions` that the journal was not told of as they are."""
    rows = connection.execute("SELECT purpose, version, state, is_primary, check_value FROM key_versions").fetchall()
    known = {ToldVersion._make((*row[:4], bytes(row[4]))) for row in rows}
    return sorted(set(versions) - known)


def lock(connection: Connection) -> None:
    """Let nobody else tell of key versions until this transaction ends."""
    connection.execute(LOCK)


def put(connection: Connection, versions: Iterable[ToldVersion]) -> None:
    """Keep what the journal is told in this transaction."""
    with connection.cursor() as cursor:
        cursor.executemany(PUT, list(versions))
