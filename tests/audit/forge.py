"""The forge: an honest day of trade, and the means to change it as a database superuser, with or without the keys.

Without keys everything happens in one transaction on the real tables, is read back by the server's own code, and is
rolled back. With keys the entries themselves are changed and everything above them is made anew: leaves, seals, tree,
checkpoint; only what others hold (receipts, earlier checkpoints, witnesses' cosignatures) is out of the forger's reach.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from coalition.audit.bundle_format import MANIFEST, STATE_SECTIONS, BatchSeal, write_manifest
from coalition.audit.bundle_writer import BundleWriter
from coalition.audit.checks.report import Report
from coalition.audit.leaf import leaf_data, payload
from coalition.audit.log_signer import LogSigner
from coalition.audit.merkle import leaf_hash, root_hash
from coalition.audit.notary import BatchNotary
from coalition.audit.note import KeyKind, cosign
from coalition.audit.policy import Policy
from coalition.audit.report_seal import ReportSigner, report_key
from coalition.audit.tiles import Edge
from coalition.audit.trust import BatchKey, Trust
from coalition.audit.verify import verify_bundle
from coalition.bootstrap.bundling import Tables, sealed_receipt, write_bundle
from coalition.bootstrap.key_events import key_rows, record_key_ring
from coalition.bootstrap.strongroom import batch_key
from coalition.bootstrap.strongroom import notary as notary_of
from coalition.bootstrap.verifying import is_signed
from coalition.domain.acts import JSON
from coalition.domain.audit_records import LeafRecord
from coalition.domain.ids import number_of
from coalition.domain.journal import Entry, Sign, micros_of
from coalition.server.audit_log import AuditLog
from coalition.server.audit_state import AuditState
from coalition.storage.audit_leaves import AuditTreeReads
from coalition.storage.audit_state import AuditStateReads
from coalition.storage.connect import Connection, connect
from coalition.v1 import audit_pb2
from keys import authority_public_keys, verify
from keys.issuer import issued_to
from settlement import report as settlement_report
from settlement.sealing import seal_report
from tests.audit.card_day import card_day
from tests.audit.conftest import Signer, signer
from tests.audit.counter_day import close_days, counter_day, key_day
from tests.audit_day import Day, close_month, sign_log, signer_of, trade
from tests.house import LANES, House

# Every byte of these is bound by an entry of the log; of a wallet that never moved, no entry tells.
BOUND = ("agreements", "day_closes", "disclosures", "keys", "records", "members", "cards", "holds")
FORGED_STATE = [f"state/{section}" for section in BOUND]
WITNESS = signer("witness.example", KeyKind.COSIGNATURE)


class Desk:
    """The server's AuditLog on one connection, called as a client calls it; in the connection's own transaction."""

    keys: ClassVar[list[list[JSON]]] = []

    def __init__(self, connection: Connection) -> None:
        log = AuditLog(AuditTreeReads(lambda: nullcontext(connection), LANES))
        self.audit = self
        self.GetCheckpoint = lambda request: log.checkpoint(request.size)
        self.GetTile, self.GetLeaves, self.ListCheckpoints = log.tile, log.leaves, log.checkpoints
        self.GetNames = lambda request: log.names()
        state = AuditState(AuditStateReads(lambda: nullcontext(connection), newest_number), lambda: self.keys)
        self.ListState = state.page
        self.sealed_entry = log.sealed_entry

    @staticmethod
    def call(method: Callable[[Any], Any], request: Any) -> Any:
        return method(request)


@dataclass
class Forge:
    """The honest log of a day, what others hold of it, and where bundles are made."""

    day: Day
    signer: LogSigner
    trust: Trust
    witness: Signer
    directory: Path
    receipts: list[tuple[str, bytes]] = field(default_factory=list)
    previous: list[bytes] = field(default_factory=list)
    settlement: Path | None = None
    keys_before: list[list[JSON]] = field(default_factory=list)  # as the ring was at the day's begin
    closed: int = field(default_factory=lambda: int(time.time()))  # after the last entry, seconds since 1970
    _made: int = 0

    @property
    def house(self) -> House:
        return self.day.house

    def new_directory(self) -> Path:
        self._made += 1
        return self.directory / f"bundle-{self._made}"

    def bundle(self, connection: Connection | None = None, start_size: int = 0, end_size: int = 0) -> Path:
        """A bundle of the tables as they are, or as a transaction sees them."""
        directory = self.new_directory()
        with nullcontext(connection) if connection else connect(self.house.dsn("owner")) as open_connection:
            write_bundle(
                Desk(open_connection),  # type: ignore[arg-type]
                directory,
                start_size=start_size,
                end_size=end_size,
                receipts=[],
                settlements=[self.settlement] if self.settlement else [],
                made=datetime.now(UTC),
                patience=lambda: False,
                progress=lambda done, whole: None,
            )
        return directory

    @contextmanager
    def tampered(self, *statements: str) -> Iterator[Connection]:
        """A transaction in which the statements were done, as superuser; undone at the end."""
        with connect(self.house.dsn("owner")) as connection, connection.transaction(force_rollback=True):
            for statement in statements:
                assert connection.execute(statement).rowcount != 0, f"this changed nothing: {statement}"
            yield connection

    def judged(self, directory: Path, **options: Any) -> Report:
        """What the auditor's tool says of a bundle."""
        settings: dict[str, Any] = {"previous": self.previous, "receipts": self.receipts, **options}
        trust = settings.pop("trust", self.trust)
        return verify_bundle(directory, trust, verify, self.closed + 60, signed=is_signed, issued=issued_to, **settings)

    def receipt(self, entry_id: int) -> bytes:
        with connect(self.house.dsn("owner")) as connection:
            answer = Desk(connection).sealed_entry(entry_id, None)
        return sealed_receipt(answer).to_text().encode()

    def rows(self) -> list[LeafRecord]:
        """Every entry, opened."""
        with connect(self.house.dsn("owner")) as connection:
            return AuditTreeReads(lambda: nullcontext(connection), LANES).leaves(0, 10_000, 10_000)

    def resealed(self, rows: list[LeafRecord], *, sign: Sign | None = None, cosigned_at: int | None = None) -> Path:
        """A bundle over these entries with everything above them made anew, by whoever holds the keys."""
        directory = self.new_directory()
        writer = BundleWriter(directory, self.signer.key.name, 0, "now")
        writer.ends_at(len(rows))
        notary = BatchNotary(sign or self.house.ring.sign_batch)
        batches: dict[int, list[LeafRecord]] = {}
        for row in rows:
            batches.setdefault(number_of(row.entry.entry_id), []).append(row)
        for number, own in batches.items():
            seal = notary.seal(number, own[0].time, [row.entry for row in own])
            writer.add_batches([BatchSeal(number, micros_of(own[0].time), len(own), seal.root, seal.signature())])
        opened = [(row, payload(row.entry)) for row in rows]
        data = [(leaf_data(micros_of(row.time), row.entry, own), own, row.entry.actor) for row, own in opened]
        writer.add_leaves(data)
        root = root_hash([leaf_hash(leaf) for leaf, _, _ in data])
        note = self.signer.signed(len(rows), root)
        if cosigned_at is not None:
            note = note.with_signatures([cosign(note.text, self.witness.key, self.witness.sign, cosigned_at)])
        writer.add_checkpoints(None, Edge(), [], str(note).encode())
        names = self._names()
        writer.add_names(*names)
        self._add_tables(writer)
        if self.settlement:
            writer.add_settlement(self.settlement)
        writer.close()
        return directory

    def changed(
        self, change: Callable[[Entry], Entry | None], rows: list[LeafRecord] | None = None
    ) -> list[LeafRecord]:
        """The entries with each replaced by what `change` makes of it; None drops it."""
        found = []
        for row in rows or self.rows():
            entry = change(row.entry)
            if entry is not None:
                found.append(row._replace(entry=entry))
        return found

    def _add_tables(self, writer: BundleWriter) -> None:
        """The tables as they are: whoever has all keys may change them too, where a test says so."""
        with connect(self.house.dsn("owner")) as connection:
            tables = Tables(Desk(connection))  # type: ignore[arg-type]
            begin = tables.number()
            for section in STATE_SECTIONS:
                writer.add_state(section, tables.rows(section))
            writer.state_read(begin, begin)

    def _names(self) -> tuple[dict[int, str], dict[int, str]]:
        with connect(self.house.dsn("owner")) as connection:
            names = Desk(connection).GetNames(audit_pb2.GetNamesRequest())
        return {e.number: e.code for e in names.participants}, {e.number: e.code for e in names.agreements}


def newest_number(connection: Connection) -> int:
    """The last journal number that anybody took; nobody writes here."""
    return int(connection.execute("SELECT last_value FROM journal_number").fetchall()[0][0])


def breached(report: Report) -> set[str]:
    """The checks that found a breach."""
    return {check.name for check in report.checks.values() if check.breaches}


def sentences(report: Report) -> str:
    """All that was found or lacking, for a failed test's message."""
    return json.dumps(report.to_json(), indent=1, ensure_ascii=False)


def new_forge(house: House, directory: Path) -> Forge:
    """A day of trade in the house, looked at by an auditor before the month was closed, and receipts of a merchant."""
    record_key_ring(house.settings, house.ring, house.dsn())
    keys_before = key_rows(house.ring.versions)
    with house.server() as (_, address):
        counter_day(house, address)
        day = trade(house, address)
        card_day(house, address)
        close_days(house, address)
        Desk.keys = key_rows(key_day(house).versions)
        first = sign_log(house)
        label = house.query("SELECT label FROM windows WHERE state = 'OPEN'")[0][0]
        close_month(house, label)
        paper = sealed_report(house, label, directory / "report")
        house.new_member()  # the house goes on
        sign_log(house)
    key = signer_of(house)
    policy = Policy(quorum="none")
    policy.logs[key.key.name] = key.key
    authorities = authority_public_keys(house.certificate_files("op/admin").chain.read_bytes())
    trust = Trust(policy, [BatchKey(batch_key(house.settings, house.ring))], authorities)
    forge = Forge(day, key, trust, WITNESS, directory, previous=[first.note.encode()], keys_before=keys_before)
    declined = house.query("SELECT entry_id FROM entries WHERE request_id = %s", day.declined)[0][0]
    forge.receipts = [(f"{entry}.json", forge.receipt(entry)) for entry in (day.purchase.entry_id, declined)]
    forge.settlement = paper
    return forge


def sealed_report(house: House, label: str, directory: Path) -> Path:
    """The papers of a netted window, sealed in the journal."""
    signer = ReportSigner(report_key(batch_key(house.settings, house.ring)), house.ring.sign_batch)
    notary = notary_of(house.ring)

    with connect(house.dsn("settlement")) as connection:
        settlement_report.write(
            connection,
            "monthly",
            label,
            directory,
            seal=lambda contents, digest: seal_report(connection, contents, digest, notary=notary, signer=signer),
        )
    return directory


def remanifested(directory: Path) -> None:
    facts = json.loads((directory / MANIFEST).read_text())
    del facts["files"]
    write_manifest(directory, facts)


def rows_of(path: Path) -> list[JSON] | None:
    """What the lines of a section say; None where they are no JSON."""
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except ValueError:
        return None


def mutated(directory: Path, source: Path, draw: Random) -> str:
    """A copy with one file changed in one of several ways, and a manifest that agrees."""
    shutil.copytree(source, directory)
    name = draw.choice(["leaves", "payloads", "batches", "checkpoint", "actors.json", *FORGED_STATE])
    path = directory / name
    data = bytearray(path.read_bytes())
    way = draw.choice(["flip", "cut", "insert", "double"])
    at = draw.randrange(len(data))
    if way == "flip":
        data[at] ^= 1 << draw.randrange(8)
    elif way == "cut":
        del data[at : at + draw.randrange(1, 300)]
    elif way == "insert":
        data[at:at] = draw.randbytes(draw.randrange(1, 300))
    else:
        data[at:at] = data[at : at + draw.randrange(1, 300)]
    path.write_bytes(bytes(data))
    remanifested(directory)
    return f"{way} at {at} of {name}"


def mutate_and_judge(forge: Forge, honest: Path, seeds: range) -> None:
    """No crash, no false ok: whatever is changed in what the log consists of is a breach, or cannot be decided."""
    for seed in seeds:
        directory = forge.new_directory()
        what = mutated(directory, honest, Random(seed))
        name = what.rpartition(" of ")[2]
        if name in FORGED_STATE and rows_of(directory / name) == rows_of(honest / name):
            shutil.rmtree(directory)  # a space between two values: nothing was changed
            continue
        report = forge.judged(directory)
        assert report.exit_code in {1, 2}, f"seed {seed}: {what}: {sentences(report)}"
        shutil.rmtree(directory)
