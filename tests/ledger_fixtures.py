"""A ledger for tests of the folds and of settlement: real PostgreSQL, a few participants.

Writers here follow the desk's protocol (windows shared, JOURNAL lock, number, insert, commit) without its decisions.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coalition.audit.notary import BatchNotary
from coalition.audit.note import KeyKind, NoteKey
from coalition.audit.report_seal import ReportSigner, report_key
from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.ids import entry_id
from coalition.domain.kinds import Kind
from coalition.followers.follower import Follower
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres
from coalition.storage.frontier import JOURNAL_LOCK
from coalition.storage.positions import POSITIONS
from tests.postgres import MIGRATED_LEDGER, SharedPostgres, Template

LANES = 8
NAMES = {1: "hq", 2: "trust", 3: "store-a", 4: "cafe-c", 5: "garage-d"}
NOTARY = BatchNotary(lambda message: b"\x00" * 64)
RING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BATCHES = NoteKey("coalition.example/test/batches", KeyKind.NOTE, RING_KEY.public_key().public_bytes_raw())
SIGNER = ReportSigner(report_key(BATCHES), RING_KEY.sign)


@dataclass(frozen=True, slots=True)
class Ledger:
    """One database of the shared instance, and how to reach it."""

    server: EmbeddedPostgres
    database: str

    def dsn(self, role: str = "coalition_settlement") -> str:
        return self.server.dsn(role, self.database)

    def connect(self, role: str = "coalition_settlement") -> Connection:
        return connect(self.dsn(role))

    def follower(self, **options: int) -> Follower:
        import time

        return Follower(POSITIONS, self.connect, lambda: datetime.now(UTC), time.sleep, **options)


def new_ledger(server: SharedPostgres, *, label: str = "2017-01") -> Ledger:
    """A fresh ledger with five participants and an open monthly window."""
    ledger = Ledger(server, server.new(FURNISHED))
    with ledger.connect(SUPERUSER) as connection:
        connection.execute(
            "INSERT INTO windows (calendar_id, label, open_time) SELECT calendar_id, %s, now() FROM calendars", (label,)
        )
    return ledger


def _furnish(server: EmbeddedPostgres, database: str) -> None:
    with connect(server.dsn(SUPERUSER, database)) as connection:
        for number, code in NAMES.items():
            role = {1: "OPERATOR", 2: "CUSTODY"}.get(number, "STORE")
            connection.execute(
                "INSERT INTO participants (participant_id, code, display_name, role, create_time) "
                "VALUES (%s, %s, %s, %s, now())",
                (number, code, code.title().replace("-", " "), role),
            )
        connection.execute(
            "INSERT INTO scheme (deployment_id, display_name, trust_domain, zone, currency_code, lane_count, "
            "amount_max, operator_id, custody_id) "
            "VALUES (%s, 'Test Coalition', 'coalition.example', 'Asia/Shanghai', 'CNY', %s, "
            "100000000, 1, 2)",
            (UUID(int=7), LANES),
        )
        connection.execute("INSERT INTO calendars (code, cadence) VALUES ('monthly', 'MONTHLY')")


FURNISHED = Template("folded", _furnish, MIGRATED_LEDGER)
Claims = Sequence[tuple[int, int, int]]


def open_window_id(cursor: Any) -> int:
    """The open window, shared until commit; repeats while the next one is not in the snapshot (DESIGN section 4)."""
    while True:
        row = cursor.execute(
            "SELECT window_id FROM windows WHERE state = 'OPEN' ORDER BY window_id FOR SHARE"
        ).fetchone()
        if row is not None:
            return int(row[0])


def write_batch(
    connection: Connection,
    claims: Claims,
    *,
    before_commit: Callable[[int], None] = lambda number: None,
    code: int = TransferCode.PRINCIPAL,
    window_id: int | None = None,
) -> tuple[int, int]:
    """One batch whose every entry is one claim (debtor, creditor, amount); (number, window) once it has committed."""
    with connection.transaction(), connection.cursor() as cursor:
        window = open_window_id(cursor) if window_id is None else window_id
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (JOURNAL_LOCK,))
        taken = cursor.execute("SELECT nextval('journal_number')").fetchone()
        assert taken is not None
        number = taken[0]
        time = datetime(2017, 1, 15, 3, 4, 5, number % 1_000_000, tzinfo=UTC)
        cursor.execute(
            "INSERT INTO batches (number, time, count, root, signature) VALUES (%s, %s, %s, %s, %s)",
            (number, time, len(claims), b"\x00" * 32, b"\x00" * 64),
        )
        entries, transfers = [], []
        for place, (debtor, creditor, amount) in enumerate(claims):
            lane = (number + place) % LANES
            entry = entry_id(number, place, lane)
            entries.append((lane, entry, Kind.PURCHASE, creditor, UUID(int=entry), amount, date(2017, 1, 15), time))
            debit, credit = clearing_account(debtor), clearing_account(creditor)
            transfers.append((lane, entry, debit, credit, amount, int(code), window))
        cursor.executemany(
            "INSERT INTO entries (lane, entry_id, kind, reason, participant_id, request_id, amount_minor, "
            "business_date, occurred_time, actor, answer, leaf) "
            "VALUES (%s, %s, %s, 0, %s, %s, %s, %s, %s, '/t/x', '', '')",
            entries,
        )
        cursor.executemany(
            "INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id) "
            "VALUES (%s, %s, 0, %s, %s, %s, %s, 1, %s)",
            transfers,
        )
        before_commit(number)
    return int(number), window


def write_until_stopped(dsn: str, seed: int) -> None:
    """The body of a writer process: batches until a line arrives on stdin, then what it wrote, as JSON."""
    import random
    import threading

    stop = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    draw = random.Random(seed)
    written: dict[str, int] = {}
    slowest = 0.0
    batches = 0
    with connect(dsn) as connection:
        import time

        while not stop.is_set():
            size = draw.randint(1, 12)
            pairs = [draw.sample(sorted(NAMES), 2) for _ in range(size)]
            claims = [(debtor, creditor, draw.randint(1, 5000)) for debtor, creditor in pairs]
            started = time.perf_counter()
            _, window = write_batch(connection, claims)
            slowest = max(slowest, time.perf_counter() - started)
            batches += 1
            for debtor, creditor, amount in claims:
                key = f"{window},{debtor},{creditor}"
                written[key] = written.get(key, 0) + amount
            if batches == 1:
                print("writing", flush=True)
    print(json.dumps({"written": written, "batches": batches, "slowest_seconds": slowest}), flush=True)


if __name__ == "__main__":
    write_until_stopped(sys.argv[1], int(sys.argv[2]))
