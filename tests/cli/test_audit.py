"""`coalition audit`: an auditor's day on the command line, and the tool that must run without a house."""

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coalition.bootstrap.key_events import record_key_ring
from coalition.client import Declined, Terminal
from coalition.storage.connect import connect
from tests.audit_day import Day, sign_log, trade
from tests.cli.conftest import Run
from tests.house import House

pytestmark = pytest.mark.xdist_group("serial")

TILL = ("--as", "t/cafe/main/till-1")
# What an auditor's laptop need not have, and what the tool must not load.
FORBIDDEN = (
    "sqlalchemy",
    "psycopg",
    "grpc",
    "google.protobuf",
    "alembic",
    "coalition.v1",
    "coalition.storage",
)
ALONE = f"""
import sys
class Shut:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({FORBIDDEN!r}):
            raise ImportError(name + " is not on this laptop")
sys.meta_path.insert(0, Shut())
from coalition.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def day(house: House, address: str) -> Day:
    """Trade, signed; and certificates of those who speak."""
    for path in ("op/admin", "aud/firm", "t/cafe/main/till-1"):
        house.certificate(path)
    record_key_ring(house.settings, house.ring, house.dsn())
    day = trade(house, address)
    sign_log(house)
    return day


def alone(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The tool in a process that can load neither SQL nor gRPC, without a house."""
    command = [sys.executable, "-c", ALONE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def trust(house: House, day: Day, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from coalition.bootstrap.trusting import trust_file

    path = tmp_path_factory.mktemp("auditor") / "trust.txt"
    path.write_text(trust_file(house.settings))
    return path


def test_headquarters_hands_out_the_trust_file(coalition: Run, trust: Path, tmp_path: Path) -> None:
    assert trust.read_text() == coalition("audit", "trust").out
    out = tmp_path / "again.txt"
    assert 0 == coalition("audit", "trust", "--out", str(out)).code
    assert trust.read_text() == out.read_text()
    assert ["log", "batches", "terminals", "quorum"] == [line.split()[0] for line in out.read_text().splitlines()]


def test_headquarters_compares_its_tree_with_the_journal(
    coalition: Run, house: House, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COALITION_DATABASE_URL", house.dsn())
    monkeypatch.setenv("COALITION_KEYDB_URL", house.keydb_dsn())
    same = coalition("audit", "compare")
    assert (0, True) == (same.code, "is the journal's, byte for byte" in same.out)
    change = "UPDATE entries SET leaf = decode(%s, 'hex') WHERE entry_id = %s"
    entry, leaf = house.query("SELECT entry_id, encode(leaf, 'hex') FROM entries ORDER BY entry_id LIMIT 1")[0]
    with connect(house.dsn("owner")) as connection:
        connection.execute(change, ("00" * 32, entry))
        other = coalition("audit", "compare")
        connection.execute(change, (leaf, entry))
    assert (2, True) == (other.code, "do not have the root that was signed" in other.err)


def test_an_auditor_makes_a_bundle_and_verifies_it_without_a_house(
    coalition: Run, trust: Path, day: Day, tmp_path: Path
) -> None:
    bundle, kept, page = tmp_path / "bundle", tmp_path / "checkpoint", tmp_path / "report.html"
    made = coalition("audit", "bundle", str(bundle), "--as", "aud/firm")
    assert 0 == made.code, made.err
    assert "holds the entries 0 to" in made.out
    assert 0 == coalition("audit", "checkpoint", "--out", str(kept), *TILL).code

    told = alone(
        "audit", "verify", str(bundle), "--trust", str(trust), "--previous", str(kept), "--report", str(page), "--json"
    )
    assert 0 == told.returncode, told.stdout + told.stderr
    report: dict[str, Any] = json.loads(told.stdout)
    assert ("ok", 0) == (report["verdict"], report["exit_code"])
    assert ["V1", "V2", "V3"] == [check["check"] for check in report["checks"]][:3]
    assert "Audit report: ok" in page.read_text()

    leaves = bundle / "leaves"
    leaves.write_bytes(leaves.read_bytes()[:-144])
    damaged = alone("audit", "verify", str(bundle), "--trust", str(trust))
    assert 2 == damaged.returncode
    assert "cannot decide: leaves is not what was written" in damaged.stdout


def test_a_breach_is_said_with_its_place_and_ends_with_one(
    coalition: Run, house: House, trust: Path, day: Day, tmp_path: Path
) -> None:
    entry = day.purchase.entry_id
    change = "UPDATE entries SET amount_minor = amount_minor + %s WHERE entry_id = %s"
    with connect(house.dsn("owner")) as connection:
        connection.execute(change, (5, entry))
        assert 0 == coalition("audit", "bundle", str(tmp_path / "bundle"), "--as", "aud/firm").code
        connection.execute(change, (-5, entry))

    told = alone("audit", "verify", str(tmp_path / "bundle"), "--trust", str(trust))
    assert 1 == told.returncode
    assert "verdict: breach" in told.stdout
    assert f"entry {entry}" in told.stdout
    assert "V8  breach" in told.stdout


def test_a_till_keeps_receipts_that_it_can_show(coalition: Run, trust: Path, day: Day, tmp_path: Path) -> None:
    accepted, declined, proof = (tmp_path / name for name in ("accepted.json", "declined.json", "proof"))
    entry = str(day.purchase.entry_id)
    assert 0 == coalition("audit", "receipt", entry, "--out", str(accepted), *TILL).code
    assert 0 == coalition("audit", "receipt", "--request-id", day.declined, "--out", str(declined), *TILL).code
    assert 0 == coalition("audit", "proof", entry, "--out", str(proof), *TILL).code

    told = alone("audit", "check-receipt", str(accepted), "--trust", str(trust), "--proof", str(proof), "--json")
    assert 0 == told.returncode, told.stderr
    said = json.loads(told.stdout)
    assert (day.purchase.entry_id, 1_200, True) == (said["entry_id"], said["amount_minor"], said["accepted"])
    assert said["log_size"] > 0
    refusal = alone("audit", "check-receipt", str(declined), "--trust", str(trust))
    assert (0, True) == (refusal.returncode, "declined" in refusal.stdout)
    assert 1 == alone("audit", "check-receipt", str(declined), "--trust", str(trust), "--proof", str(proof)).returncode

    facts = json.loads(accepted.read_text())
    accepted.write_text(json.dumps({**facts, "actor": "/t/garage/main/till-1"}))
    forged = alone("audit", "check-receipt", str(accepted), "--trust", str(trust))
    assert (1, True) == (forged.returncode, "not genuine: the actor is not the one" in forged.stderr)
    accepted.write_text("{}")
    assert 2 == alone("audit", "check-receipt", str(accepted), "--trust", str(trust)).returncode


def test_a_proof_has_the_form_of_tlog_proof(coalition: Run, day: Day) -> None:
    lines = coalition("audit", "proof", str(day.purchase.entry_id), *TILL).out.split("\n")

    assert "c2sp.org/tlog-proof@v1" == lines[0]
    assert lines[1].startswith("index ")
    blank = lines.index("")
    assert lines[blank + 1].startswith("coalition.example/")
    size = int(lines[blank + 2])
    grown = coalition("audit", "proof", "--since", str(size), "--json", *TILL)
    assert (0, []) == (grown.code, json.loads(grown.out)["proof"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("audit", "proof"), 2, "name an entry, or --since SIZE"),
        (("audit", "receipt"), 2, "name an entry, or --request-id"),
        (("audit", "proof", "7", *TILL), 1, "ENTRY_UNKNOWN"),
        (("audit", "checkpoint", "--size", "3", *TILL), 1, "CHECKPOINT_UNKNOWN"),
        (("audit", "bundle", ".", "--as", "aud/firm"), 2, "is not empty"),
    ],
)
def test_what_cannot_be_done_is_said(
    coalition: Run, day: Day, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = coalition(*arguments)

    assert code == ran.code
    assert said in ran.err


def test_a_trust_file_that_says_too_little_decides_nothing(day: Day, trust: Path, tmp_path: Path) -> None:
    little = tmp_path / "little.txt"
    little.write_text("quorum none\n")
    told = alone("audit", "verify", str(tmp_path), "--trust", str(little))
    missing = alone("audit", "verify", str(tmp_path / "nothing"), "--trust", str(trust))

    assert (2, True) == (told.returncode, "pins one log" in told.stderr)
    assert (2, True) == (missing.returncode, "cannot decide" in missing.stdout)


def test_a_sample_is_drawn_on_the_laptop_and_its_disclosures_are_ready_to_ask(
    coalition: Run, house: House, trust: Path, day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people see the members drawn: what the sample prints is what headquarters types, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    bundle, out = tmp_path / "bundle", tmp_path / "sample.csv"
    assert 0 == coalition("audit", "bundle", str(bundle), "--as", "aud/firm").code
    told = alone("audit", "sample", str(bundle), "--size", "2", "--seed", "4-2-6", "--out", str(out))
    assert 0 == told.returncode, told.stderr
    again = alone("audit", "sample", str(bundle), "--size", "2", "--seed", "4-2-6", "--json")
    rows = list(csv.DictReader(out.open()))
    drawn = json.loads(again.stdout)
    assert [row["member_id"] for row in rows] == [row["member_id"] for row in drawn["rows"]]
    known = {str(row[0]) for row in house.query("SELECT member_id FROM members")}
    assert {row["member_id"] for row in rows} <= known

    command = next(line for line in told.stdout.splitlines() if line.startswith("coalition member ask"))
    asked = coalition(*shlex.split(command)[1:], "--json")
    assert 0 == asked.code, asked.err
    assert "DISCLOSED" not in asked.out

    units = alone("audit", "sample", str(bundle), "--size", "5", "--seed", "x", "--method", "monetary-unit", "--json")
    money = json.loads(units.stdout)
    assert 5 == sum(row["hits"] for row in money["rows"])
    assert 2 == alone("audit", "sample", str(bundle), "--size", "2", "--seed", "").returncode


@pytest.fixture
def till_receipts(coalition: Run, house: House, address: str, day: Day, tmp_path: Path) -> Path:
    """A till that runs on the SDK was answered twice, a sale and a decline; its receipts as files."""
    outbox, directory = tmp_path / "till-2.outbox", tmp_path / "receipts"
    with Terminal(address, house.certificate("t/store-a/main/till-2"), outbox=outbox) as till:
        card = house.new_card()
        till.top_up(card, 5_000)
        with pytest.raises(Declined):
            till.purchase(card, 9_999_999)
        assert (2, ()) == (till.keep_receipts().fetched, till.keep_receipts().lost)
        assert 0 == till.keep_receipts().fetched
        assert 2 == len(till.receipts())
    arguments = ("--at", "store-a/main/till-2", "--outbox", str(outbox), "--out", str(directory))
    written = coalition("till", "receipts", *arguments)
    assert (0, True) == (written.code, "2 kept" in written.out), written
    sign_log(house)
    return directory


def test_a_till_s_receipts_are_exchanged_for_proofs_and_found_in_the_log(
    coalition: Run, house: House, trust: Path, day: Day, till_receipts: Path, tmp_path: Path
) -> None:
    """One command ends with a file that anybody can check without the coalition."""
    till, proof = ("--as", "t/store-a/main/till-2"), tmp_path / "proof"
    for receipt in sorted(till_receipts.iterdir()):
        done = coalition("audit", "exchange", str(receipt), "--trust", str(trust), "--out", str(proof), *till)
        assert (0, True) == (done.code, "is among the first" in done.out), done
        checked = alone("audit", "check-receipt", str(receipt), "--trust", str(trust), "--proof", str(proof), "--json")
        assert (0, True) == (checked.returncode, json.loads(checked.stdout)["log_size"] > 0)

    bundle = tmp_path / "bundle"
    assert 0 == coalition("audit", "bundle", str(bundle), "--as", "aud/firm").code
    told = alone("audit", "verify", str(bundle), "--trust", str(trust), "--receipts", str(till_receipts), "--json")
    checks = {check["check"]: check for check in json.loads(told.stdout)["checks"]}
    assert ("ok", 2) == (checks["V19"]["verdict"], checks["V19"]["looked_at"])


def test_an_operator_who_drops_a_sale_is_found_by_its_receipt(
    coalition: Run, house: House, trust: Path, day: Day, till_receipts: Path, tmp_path: Path
) -> None:
    till, proof = ("--as", "t/store-a/main/till-2"), tmp_path / "proof"
    receipt = min(till_receipts.iterdir(), key=lambda path: int(path.stem))
    tables = ("entries", "transfers")
    with connect(house.dsn("owner")) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE dropped_{table} AS SELECT * FROM {table} WHERE entry_id = {receipt.stem}")
            connection.execute(f"DELETE FROM {table} WHERE entry_id = {receipt.stem}")
        asked = coalition("audit", "exchange", str(receipt), "--trust", str(trust), "--out", str(proof), *till)
        connection.execute("INSERT INTO entries SELECT * FROM dropped_entries")
        connection.execute("UPDATE entries SET actor = '/t/garage/main/till-1' WHERE entry_id = %s", (receipt.stem,))
        bundle = tmp_path / "bundle"
        assert 0 == coalition("audit", "bundle", str(bundle), "--as", "aud/firm").code
        connection.execute("DELETE FROM entries WHERE entry_id = %s", (receipt.stem,))
        for table in tables:
            connection.execute(f"INSERT INTO {table} SELECT * FROM dropped_{table}")
            connection.execute(f"DROP TABLE dropped_{table}")
    assert (1, True) == (asked.code, "does not have it" in asked.err), asked
    assert not proof.exists()
    told = alone("audit", "verify", str(bundle), "--trust", str(trust), "--receipts", str(till_receipts))
    assert (1, True) == (told.returncode, "the log has other bytes than were acknowledged" in told.stdout)

    forged = tmp_path / "forged.json"
    forged.write_text(receipt.read_text().replace("till-2", "till-1"))
    said = coalition("audit", "exchange", str(forged), "--trust", str(trust), "--out", str(proof), *till)
    assert 2 == said.code
