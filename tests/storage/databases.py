"""A database of a test of the schema's own, so nothing it does is seen by another."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the shared server."""

    server: EmbeddedPostgres
    name: str

    def dsn(self, role: str = SUPERUSER) -> str:
        return self.server.dsn(role, self.name)

    def connect(self, role: str = SUPERUSER) -> Connection:
        return connect(self.dsn(role))


def operator_id(ledger: Database) -> int:
    with ledger.connect() as connection:
        row = connection.execute("SELECT operator_id FROM scheme").fetchone()
    assert row is not None
    return int(row[0])


def request_made(moment: datetime, noise: int) -> UUID:
    """A version-7 UUID as a client would have made it at that moment; `noise` is its random part."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | noise & (1 << 62) - 1)
