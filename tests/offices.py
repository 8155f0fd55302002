"""What the tests of HQ's office and of reception share: a ledger and a key database, migrated, laid and empty."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.errors import Refused
from coalition.domain.journal import Entry, Seal
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import EmbeddedPostgres
from coalition.storage.lease import Lease
from coalition.storage.programme import lay_scheme
from tests.postgres import MIGRATED_KEYDB, MIGRATED_LEDGER, SharedPostgres, Template

NOON = datetime(2017, 1, 15, 12, 0, tzinfo=UTC)
BUSINESS_DATE = date(2017, 1, 15)
DEPLOYMENT = UUID("6f1b8e8e-5f6b-4c58-9d5e-6f7f2d1f0a11")
LANES = 8

Answer = TypeVar("Answer")


class PlainNotary:
    """Seals without a key: these tests are not about signatures."""

    def seal(self, number: int, time: datetime, entries: Sequence[Entry]) -> Seal:
        leaves = [hashlib.sha256(entry.answer).digest() for entry in entries]
        return Seal(leaves, hashlib.sha256(b"".join(leaves)).digest(), lambda: b"unsigned")


@dataclass(frozen=True)
class House:
    """One ledger and one key database of their own, as the server's role sees them."""

    postgres: EmbeddedPostgres
    ledger: str
    keydb: str
    operator_id: int

    def lease(self, database: str = "", role: str = "coalition_app") -> Lease:
        dsn = self.postgres.dsn(role, database or self.ledger)

        @contextmanager
        def one() -> Iterator[Connection]:
            with connect(dsn) as connection:
                yield connection

        return one

    def acts(self) -> Acts:
        return Acts(LANES, lambda _: BUSINESS_DATE, PlainNotary())

    def query(self, statement: str, *parameters: Any, database: str = "") -> list[tuple[Any, ...]]:
        with connect(self.postgres.dsn("coalition", database or self.ledger)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def epoch(self) -> int:
        return int(self.query("SELECT epoch FROM config_epoch")[0][0])

    def act(self, kind: Kind, request_id: UUID | None = None, actor: str = "/op/hq", **body: JSON) -> Act:
        return Act(kind, self.operator_id, request_id or uuid4(), body_hash(kind, body), actor)


def empty_house(postgres: SharedPostgres) -> House:
    """Both databases, with a scheme laid and nothing else in them."""
    ledger, keydb = postgres.new(LAID_LEDGER), postgres.new(MIGRATED_KEYDB)
    with connect(postgres.dsn("coalition_app", ledger)) as connection:
        row = connection.execute("SELECT operator_id FROM scheme").fetchone()
    assert row is not None
    return House(postgres, ledger, keydb, row[0])


def lay(connection: Connection, **changes: Any) -> bool:
    settings: dict[str, Any] = {
        "deployment_id": DEPLOYMENT,
        "display_name": "Coalition",
        "trust_domain": "coalition.example",
        "zone": "Asia/Shanghai",
        "currency_code": "CNY",
        "lane_count": LANES,
        "time": NOON,
        "business_date": BUSINESS_DATE,
    }
    return lay_scheme(connection, **{**settings, **changes})


def _lay(postgres: EmbeddedPostgres, ledger: str) -> None:
    with connect(postgres.dsn("coalition_app", ledger)) as connection:
        lay(connection)


LAID_LEDGER = Template("laid", _lay, MIGRATED_LEDGER)


def reason_of(work: Callable[[], object]) -> Reason:
    """How the work was refused; ACCEPTED when it was not."""
    try:
        work()
    except Refused as refused:
        return refused.reason
    return Reason.ACCEPTED


def at_once(works: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run all works at the same time, one thread each, and return their results in order."""
    gate = threading.Barrier(len(works))
    results: dict[int, Answer] = {}
    errors: list[BaseException] = []

    def run(place: int) -> None:
        gate.wait()
        try:
            results[place] = works[place]()
        except BaseException as error:  # noqa: BLE001  handed to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[place] for place in range(len(works))]


def dump(postgres: EmbeddedPostgres, database: str) -> bytes:
    """Every table of a database as text, and every bytea in it as its raw bytes too."""
    found = bytearray()
    with psycopg.connect(postgres.dsn("coalition", database)) as connection:
        tables = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.SQL(table))):
                for value in row:
                    found += value if isinstance(value, bytes) else str(value).encode()
                    found += b"\n"
    return bytes(found)


def log_text(postgres: EmbeddedPostgres) -> str:
    return postgres.log_file.read_text(errors="replace")
