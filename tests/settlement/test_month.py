"""Closing, netting and reporting a month on a real ledger."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from coalition.domain.accounts import TransferCode, clearing_account, due_account
from coalition.domain.errors import Contention
from coalition.domain.kinds import Kind
from coalition.storage import settlement as store
from settlement import cli, closing, netting, paper_commands, report
from settlement.errors import NeedsHuman, NothingToDo
from tests.ledger_fixtures import NAMES, NOTARY, SIGNER, Ledger, write_batch

ROOT = Path(__file__).parents[2]
DURING_JANUARY = datetime(2017, 1, 31, 15, 59, tzinfo=UTC)  # still 23:59 of the 31st in Shanghai
AFTER_JANUARY = datetime(2017, 1, 31, 16, 0, tzinfo=UTC)


def close(ledger: Ledger, label: str | None = None, *, now: datetime = AFTER_JANUARY, following: str | None = None):
    with ledger.connect() as connection:
        return closing.close(
            connection,
            "monthly",
            label=label,
            following=following,
            clock=lambda: now,
            sleep=lambda seconds: None,
            notary=NOTARY,
        )


def net(ledger: Ledger, label: str = "2017-01") -> netting.Netted:
    with ledger.connect() as connection:
        return netting.net(connection, ledger.follower(), "monthly", label, notary=NOTARY)


def trade(ledger: Ledger) -> None:
    """The worked month of DESIGN section 2, and a little between others."""
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 25000)])
        write_batch(connection, [(3, 4, 5000)], code=TransferCode.BONUS)
        write_batch(connection, [(4, 1, 180)], code=TransferCode.OPERATOR_FEE)
        write_batch(connection, [(4, 3, 300), (5, 3, 4000)], code=TransferCode.COMMISSION)


def netted(ledger: Ledger) -> Ledger:
    trade(ledger)
    close(ledger)
    net(ledger)
    return ledger


def window(ledger: Ledger, label: str = "2017-01") -> store.Window:
    with ledger.connect() as connection:
        return next(window for window in store.windows(connection, "monthly") if window.label == label)


def test_an_empty_month_closes_and_nets_with_every_participant_at_zero(ledger: Ledger):
    closed = close(ledger)
    done = net(ledger)
    with ledger.connect() as connection:
        positions = store.net_positions(connection, window(ledger).window_id)

    assert (closed.cut_number, closed.next_label) == (0, "2017-02")
    assert (done.gross_minor, done.net_minor, done.saving_percent) == (0, 0, "0.00")
    assert [(position.participant_id, position.net_minor) for position in positions] == [
        (participant, 0) for participant in sorted(NAMES)
    ]


def test_a_close_is_an_entry_of_the_journal(ledger: Ledger):
    """Who closed what, when, at which batch: an act as every other, sealed, once a window."""
    closed = close(ledger)
    with ledger.connect() as connection:
        rows = connection.execute("SELECT actor, answer FROM entries WHERE kind = %s", (Kind.WINDOW_CLOSED,)).fetchall()

    assert [actor for actor, _ in rows] == ["/op/settlement"]
    assert json.loads(rows[0][1])["answer"] == closed.answer()
    with pytest.raises(NothingToDo):
        close(ledger, "2017-01")


def test_the_worked_month_nets_to_zero_with_known_figures(ledger: Ledger):
    netted(ledger)
    with ledger.connect() as connection:
        positions = store.net_positions(connection, window(ledger).window_id)

    assert [position.net_minor for position in positions] == [180, 0, -25700, 29520, -4000]


def test_netting_brings_every_clearing_account_of_the_window_to_zero(ledger: Ledger):
    """Debtor DUE->CLEARING, creditor CLEARING->DUE: what is left stands on DUE (SUMS section 4)."""
    netted(ledger)
    with ledger.connect() as connection:
        balances = dict(
            connection.execute(
                "SELECT account, sum(amount)::bigint FROM (SELECT debit AS account, -amount_minor AS amount, window_id "
                "FROM transfers UNION ALL SELECT credit, amount_minor, window_id FROM transfers) AS legs "
                "WHERE window_id = %s GROUP BY account",
                (window(ledger).window_id,),
            ).fetchall()
        )

    assert {balances.get(clearing_account(participant), 0) for participant in NAMES} == {0}
    assert [balances.get(due_account(participant), 0) for participant in sorted(NAMES)] == [
        180,
        0,
        -25700,
        29520,
        -4000,
    ]


def test_netting_again_changes_nothing(ledger: Ledger):
    netted(ledger)
    before = dump(ledger)
    with pytest.raises(NothingToDo):
        net(ledger)

    assert dump(ledger) == before


def dump(ledger: Ledger) -> str:
    with ledger.connect() as connection:
        rows = []
        for table in ("windows", "net_positions", "batches", "entries", "transfers", "requests", "window_claims"):
            rows += connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1").fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_an_open_window_is_not_netted(ledger: Ledger):
    with pytest.raises(NeedsHuman, match="close it first"):
        net(ledger)


def test_the_oldest_closed_window_is_netted_first(ledger: Ledger):
    """A run over January must not wait for, or depend on, what February looks like."""
    close(ledger, "2017-01")
    close(ledger, "2017-02")
    with pytest.raises(NeedsHuman, match="2017-01 of calendar monthly is older"):
        net(ledger, "2017-02")


def test_closing_a_closed_window_says_so_and_changes_nothing(ledger: Ledger):
    close(ledger, "2017-01")
    before = dump(ledger)
    with pytest.raises(NothingToDo, match="already CLOSED"):
        close(ledger, "2017-01")

    assert dump(ledger) == before


def test_without_a_label_a_period_that_is_not_over_stays_open(ledger: Ledger):
    """A timer may run every night: it closes January once, after midnight in the coalition's zone."""
    with pytest.raises(NothingToDo, match="runs until 2017-02-01"):
        close(ledger, now=DURING_JANUARY)
    closed = close(ledger, now=AFTER_JANUARY)
    with pytest.raises(NothingToDo, match="2017-02 of calendar monthly runs until"):
        close(ledger, now=AFTER_JANUARY)

    assert closed.label == "2017-01"


def test_a_named_window_is_closed_early(ledger: Ledger):
    assert close(ledger, "2017-01", now=DURING_JANUARY, following="2017-01b").next_label == "2017-01b"


@pytest.mark.parametrize(
    ("label", "following", "words"),
    [("2016-12", None, "open is 2017-01"), ("2017-01", "2017-01", "already has a window")],
)
def test_a_close_that_cannot_be_meant_is_refused(ledger: Ledger, label, following, words):
    with pytest.raises(NeedsHuman, match=words):
        close(ledger, label, following=following)


def test_closing_lets_every_desk_know_by_the_config_epoch(ledger: Ledger):
    with ledger.connect() as connection:
        before = connection.execute("SELECT epoch + 1 FROM config_epoch").fetchone()
        close(ledger)
        after = connection.execute("SELECT epoch FROM config_epoch").fetchone()

    assert after == before


def test_a_close_gives_way_to_a_transaction_that_hangs(ledger: Ledger, monkeypatch):
    """Behind a waiting table lock every till waits; better to fail, and say why."""
    monkeypatch.setattr(store, "LOCK_PATIENCE", "50ms")
    with ledger.connect("coalition_app") as hanging, hanging.transaction():
        hanging.execute("SELECT window_id FROM windows FOR SHARE")
        with pytest.raises(Contention, match="has held the open windows"):
            close(ledger)

    assert window(ledger).state == "OPEN"


def test_a_report_has_the_matrix_the_positions_the_lines_and_the_picture(ledger: Ledger, tmp_path: Path):
    netted(ledger)
    out = tmp_path / "january"
    with ledger.connect() as connection:
        written = report.write(connection, "monthly", "2017-01", out)
    positions = read(out / "positions.csv")
    lines = {code: read(out / "statements" / f"{code}.csv") for code in NAMES.values()}

    assert [(row["participant"], row["net"], row["position"]) for row in positions] == [
        ("hq", "1.80", "NET_RECEIVER"),
        ("trust", "0.00", "EVEN"),
        ("store-a", "-257.00", "NET_PAYER"),
        ("cafe-c", "295.20", "NET_RECEIVER"),
        ("garage-d", "-40.00", "NET_PAYER"),
    ]
    assert [
        (row["debtor"], row["creditor"], row["code"], row["amount"], row["count"])
        for row in read(out / "bilateral.csv")
    ] == [
        ("store-a", "cafe-c", "PRINCIPAL", "250.00", "1"),
        ("store-a", "cafe-c", "BONUS", "50.00", "1"),
        ("cafe-c", "hq", "OPERATOR_FEE", "1.80", "1"),
        ("cafe-c", "store-a", "COMMISSION", "3.00", "1"),
        ("garage-d", "store-a", "COMMISSION", "40.00", "1"),
    ]
    for row in positions:
        last = lines[row["participant"]][-1:] or [{"balance_minor": "0"}]
        assert last[0]["balance_minor"] == row["net_minor"]
    assert written.files == 8 + 4 * len(NAMES)
    ET.parse(out / "report.svg")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_manifest_covers_every_other_file(ledger: Ledger, tmp_path: Path):
    netted(ledger)
    out = tmp_path / "january"
    with ledger.connect() as connection:
        written = report.write(connection, "monthly", "2017-01", out)
    manifest = json.loads((out / "manifest.json").read_text())
    listed = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    found = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }

    assert listed == found
    assert written.manifest_sha256 == hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()


REPORT_ELSEWHERE = """
import pathlib, sys
from coalition.storage.connect import connect
from settlement import report
with connect(sys.argv[1]) as connection:
    connection.execute("SET TimeZone = 'America/Caracas'")
    print(report.write(connection, "monthly", "2017-01", pathlib.Path(sys.argv[2])).manifest_sha256)
"""


def test_a_report_has_the_same_bytes_in_another_zone_locale_and_hash_seed(ledger: Ledger, tmp_path: Path):
    """A closed window recomputes to the same bytes on any machine (promise 13)."""
    netted(ledger)
    digests = set()
    for zone, locale, seed in (
        ("Asia/Shanghai", "zh_CN.UTF-8", "1"),
        ("America/New_York", "C", "77"),
        ("UTC", "", "0"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", REPORT_ELSEWHERE, ledger.dsn(), str(tmp_path / seed)],
            env={**os.environ, "TZ": zone, "LC_ALL": locale, "LANG": locale, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())

    assert len(digests) == 1


def test_a_second_report_replaces_the_first_with_the_same_bytes(ledger: Ledger, tmp_path: Path):
    netted(ledger)
    out = tmp_path / "january"
    with ledger.connect() as connection:
        first = report.write(connection, "monthly", "2017-01", out)
        (out / "statements" / "stale.csv").write_text("left over")
        second = report.write(connection, "monthly", "2017-01", out)

    assert second == first
    assert not (out / "statements" / "stale.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["january"]


def test_a_report_does_not_overwrite_what_is_no_report(ledger: Ledger, tmp_path: Path):
    netted(ledger)
    (tmp_path / "thesis.txt").write_text("three years of work")
    with ledger.connect() as connection, pytest.raises(NeedsHuman, match="holds no report"):
        report.write(connection, "monthly", "2017-01", tmp_path)

    assert (tmp_path / "thesis.txt").exists()


def test_who_joins_later_does_not_change_an_old_report(ledger: Ledger, tmp_path: Path):
    netted(ledger)
    with ledger.connect() as connection:
        first = report.write(connection, "monthly", "2017-01", tmp_path / "first")
        with ledger.connect("coalition_app") as office:
            office.execute(
                "INSERT INTO participants (participant_id, code, display_name, role, create_time) "
                "VALUES (9, 'newcomer', 'Newcomer', 'ALLIANCE', now())"
            )
        second = report.write(connection, "monthly", "2017-01", tmp_path / "second")

    assert second.manifest_sha256 == first.manifest_sha256


def test_a_name_that_looks_like_a_formula_is_disarmed(ledger: Ledger, tmp_path: Path):
    """Head office opens positions.csv in a spreadsheet; a merchant chooses its own display name."""
    with ledger.connect("coalition") as office:
        office.execute("UPDATE participants SET display_name = '=HYPERLINK(\"x\")' WHERE participant_id = 4")
    netted(ledger)
    with ledger.connect() as connection:
        report.write(connection, "monthly", "2017-01", tmp_path / "out")

    assert read(tmp_path / "out" / "positions.csv")[3]["display_name"] == '\'=HYPERLINK("x")'


def test_commands_end_with_0_done_2_nothing_to_do_1_human_needed(ledger: Ledger, tmp_path: Path, monkeypatch, capsys):
    """Timers and scripts read the exit code; people read the sentence."""
    monkeypatch.setattr(cli, "notary", lambda: NOTARY)
    monkeypatch.setattr(paper_commands, "notary", lambda: NOTARY)
    monkeypatch.setattr(paper_commands, "signer", lambda: SIGNER)
    database = ["--database-url", ledger.dsn()]
    out = str(tmp_path / "january")
    trade(ledger)
    codes = [
        cli.main(["net", "2017-01", *database]),
        cli.main(["close", "2017-01", *database]),
        cli.main(["close", "2017-01", "--json", *database]),
        cli.main(["net", "2017-01", "--json", *database]),
        cli.main(["net", "2017-01", *database]),
        cli.main(["report", "2017-01", "--out", out, *database]),
        cli.main(["status", "--json", *database]),
        cli.main(["close", "--no-such-option"]),
        cli.main(["status", "--database-url", "host=/nowhere"]),
    ]
    printed = capsys.readouterr()
    objects = [json.loads(line) for line in printed.out.splitlines() if line.startswith("{")]

    assert codes == [1, 0, 2, 0, 2, 0, 0, 1, 1]
    assert objects[0] == {"calendar": "monthly", "cut_number": 4, "label": "2017-01", "state": "CLOSED"}
    assert objects[1]["gross_minor"] == 34480
    assert [row["state"] for row in objects[2]["windows"]] == ["NETTED", "OPEN"]
    assert "host=" not in printed.err


def test_a_window_may_be_named_as_receipts_name_it_and_a_bad_directory_is_told(ledger: Ledger, tmp_path: Path, capsys):
    """A person copies monthly/2017-01 from a screen, and errs about files; neither ends in a traceback."""
    netted(ledger)
    database = ["--database-url", ledger.dsn()]
    file = tmp_path / "file"
    file.touch()

    assert 0 == cli.main(["report", "monthly/2017-01", "--unsealed", "--out", str(tmp_path / "january"), *database])
    assert 1 == cli.main(["report", "2017-01", "--out", str(file), *database])
    assert f"--out {file} cannot be written: Not a directory" in capsys.readouterr().err


def test_help_names_the_three_commands_of_a_month():
    done = subprocess.run(
        [sys.executable, "-m", "settlement", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert all(f"settlement {command} 2017-01" in done.stdout for command in ("close", "net", "report"))


def test_a_report_of_thousands_of_claims_takes_seconds(ledger: Ledger, tmp_path: Path):
    """Lines are streamed by ranges of numbers; a generous bound, the figure is what matters."""
    with ledger.connect("coalition_app") as connection:
        for turn in range(20):
            write_batch(connection, [(3 + (turn + n) % 3, 1 + n % 2, 100 + n) for n in range(500)])
    close(ledger)
    net(ledger)
    started = time.monotonic()
    with ledger.connect() as connection:
        report.write(connection, "monthly", "2017-01", tmp_path / "out")
    seconds = time.monotonic() - started
    print(f"report of 10,000 claims: {seconds:.2f} s")

    assert seconds < 30
