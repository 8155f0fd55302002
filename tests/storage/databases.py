"""Databases for tests that change a schema: each test gets a copy of its own, so nothing it does is seen by another."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from psycopg import sql

from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres
from coalition.storage.migrating import migrate
from coalition.storage.programme import lay_scheme
from coalition.storage.schema import KEYDB, LEDGER
from tests.offices import BUSINESS_DATE, DEPLOYMENT, LANES, SMALL

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the shared server."""

    server: EmbeddedPostgres
    name: str

    def dsn(self, role: str = SUPERUSER) -> str:
        return self.server.dsn(role, self.name)

    def connect(self, role: str = SUPERUSER) -> Connection:
        return connect(self.dsn(role))


@contextmanager
def running_server(directory: Path) -> Iterator[EmbeddedPostgres]:
    """A server with both databases at this release's schema, and a scheme in the ledger."""
    with EmbeddedPostgres(directory, "ledger", settings=SMALL, databases=("coalition", "keydb")) as server:
        migrate(server.dsn(SUPERUSER, "coalition"), LEDGER)
        migrate(server.dsn(SUPERUSER, "keydb"), KEYDB)
        with connect(server.dsn("coalition_app", "coalition")) as connection:
            lay_scheme(
                connection,
                deployment_id=DEPLOYMENT,
                display_name="Coalition",
                trust_domain="coalition.example",
                zone="Asia/Shanghai",
                currency_code="CNY",
                lane_count=LANES,
                time=datetime(2017, 1, 15, 4, 0, tzinfo=UTC),
                business_date=BUSINESS_DATE,
            )
        yield server


@contextmanager
def copy_of(server: EmbeddedPostgres, template: str) -> Iterator[Database]:
    """A database of its own, as `template` is ("coalition", "keydb", or "template0" for an empty one)."""
    name = f"copy_{next(_numbers)}"
    with connect(server.dsn(SUPERUSER, "postgres")) as owner:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
        owner.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        yield Database(server, name)
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def operator_id(ledger: Database) -> int:
    with ledger.connect() as connection:
        row = connection.execute("SELECT operator_id FROM scheme").fetchone()
    assert row is not None
    return int(row[0])


def request_made(moment: datetime, noise: int) -> UUID:
    """A version-7 UUID as a client would have made it at that moment; `noise` is its random part."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | noise & (1 << 62) - 1)
