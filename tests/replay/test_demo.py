"""The demo as a person runs it, small: real server process, real data, settlement's own commands, exit code."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coalition.replay.comparison import judge
from coalition.replay.demo import DirectoryInUse, cleared
from coalition.replay.export import write_table
from coalition.replay.facts import Facts
from tests.places import passable_directory

pytestmark = [pytest.mark.xdist_group("serial"), pytest.mark.timeout(300)]

OLIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "olist"


def coalition(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with `settings` and nothing else of our environment's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COALITION_")}
    return subprocess.run(
        [sys.executable, "-m", "coalition", *arguments],
        env=environment | settings | {"COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def january():
    """One demo of fifty households, for every test that only looks."""
    with passable_directory() as directory:
        var = directory / "var"
        yield var, coalition("demo", "--members", "50", "--var", str(var))


def test_the_demo_ends_equal_for_every_participant(january):
    _, run = january

    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    for told in ("PURCHASE", "TOP_UP", "REFUND", "operations/s", "p99", "netting saved", "net debit caps", "EQUAL"):
        assert told in run.stdout
    for told in ("POINTS_SPEND", "PASS_VISIT", "PASS_RETURN", "Invented, points", "Invented, passes"):
        assert told in run.stdout
    assert "points: 24,706 earned, 315 taken back, 3,900 spent" in " ".join(run.stdout.replace("│", " ").split())
    assert "passes: 9 sold, 4 visits" in run.stdout
    assert "still due of anybody: 0.00" in " ".join(run.stdout.replace("│", " ").split())


def test_the_demos_month_has_both_custodies_daily_windows_fees_refunds_and_a_run(january):
    """What the recomputation was equal about: none of it was left out."""
    var, _ = january
    facts = Facts(var / "export")
    count = dict(facts.rows("SELECT code, count(*) FROM transfers GROUP BY 1"))
    kinds = dict(facts.rows("SELECT kind, count(*) FROM entries WHERE reason = 'ACCEPTED' GROUP BY 1"))
    floats = facts.rows("SELECT DISTINCT credit FROM transfers WHERE credit LIKE 'FLOAT(%'")
    custodians = {account.removeprefix("FLOAT(").split(",")[0] for (account,) in floats}

    assert 32 == len(facts.rows("SELECT calendar, label FROM windows"))
    assert facts.custody in custodians
    assert any(custodian.startswith("store-") for custodian in custodians)
    assert kinds["REFUND"] > 0
    assert count["WINDOW_FEE"] > 0
    assert count["SETTLEMENT_PAYMENT"] > 0
    assert count["COLLATERAL"] == 2
    assert {path.name for path in (var / "payments" / "2017-01").iterdir()} >= {
        "run-1-collections.xml",
        "run-1-payments.csv",
        "bank-in.csv",
        "bank-out.csv",
    }


def test_the_demos_month_has_points_of_two_versions_valued_once_and_passes_bought_used_and_paid_out(january):
    """A point is worth something else from the 16th on: a window that has both values them apart."""
    var, _ = january
    facts = Facts(var / "export")
    claims = "SELECT DISTINCT unit FROM transfers WHERE code = 'POINTS' AND debit LIKE 'CLEARING(%' ORDER BY 1"
    left = """
    SELECT unit, account, sum(amount)::BIGINT FROM (
        SELECT unit, unnest([debit, credit]) AS account, unnest([amount_minor, -amount_minor]) AS amount FROM transfers)
    WHERE unit >= 100 AND account LIKE 'CLEARING(%' GROUP BY ALL HAVING sum(amount) <> 0
    """
    kinds = dict(facts.rows("SELECT kind, count(*) FROM entries WHERE reason = 'ACCEPTED' GROUP BY 1"))

    assert [(100,), (101,)] == facts.rows(claims)
    assert [] == facts.rows(left)
    assert (1, 9, 4, 1) == tuple(kinds[kind] for kind in ("VALUATION", "PASS_SALE", "PASS_VISIT", "PASS_RETURN"))
    assert [("drugstore-points", 1), ("drugstore-points", 2)] == facts.rows(
        "SELECT code, version FROM agreements WHERE kind = 'POINTS' ORDER BY 2"
    )


def test_the_demo_leaves_a_report_whose_positions_add_up_to_zero(january):
    var, _ = january
    report = var / "reports" / "2017-01"
    with (report / "positions.csv").open(encoding="utf-8", newline="") as file:
        nets = [int(row["net_minor"]) for row in csv.DictReader(file)]

    assert sum(nets) == 0
    assert any(nets)
    assert (report / "report.svg").is_file()
    assert json.loads((report / "summary.json").read_text())["gross_minor"] > 0


def test_no_card_number_and_no_name_is_in_what_the_demo_leaves(january):
    """Cards and profiles are made by the demo, and told once: neither log nor report nor export repeats them."""
    var, run = january
    left = [path for part in ("reports", "export", "server.log") for path in (var / part, *(var / part).rglob("*"))]
    text = run.stdout.encode() + b"".join(path.read_bytes() for path in left if path.is_file())

    assert b"+1555" not in text
    assert b"Member household" not in text


def test_one_altered_fen_in_the_demos_export_is_found(january, tmp_path):
    var, _ = january
    export = tmp_path / "export"
    export.mkdir()
    for path in (var / "export").glob("*.parquet"):
        (export / path.name).write_bytes(path.read_bytes())
    transfers = Facts(export).rows("SELECT * FROM transfers ORDER BY entry_id, leg")
    reports = {("monthly", "2017-01"): var / "reports" / "2017-01"}
    assert judge(export, reports).equal

    for code in ("PRINCIPAL", "OPERATOR_FEE", "POINTS", "POINTS_VALUE", "PASS"):
        places = [place for place, row in enumerate(transfers) if row[5] == code]
        place = places[len(places) // 2]
        entry, leg, debit, credit, amount, *rest = transfers[place]
        altered = (entry, leg, debit, credit, amount + 1, *rest)
        write_table(export, "transfers", [*transfers[:place], altered, *transfers[place + 1 :]])

        assert any(f"entry {entry}: {debit}" in sentence for sentence in judge(export, reports).differences)


@pytest.mark.skipif(not OLIST.is_dir(), reason="the Olist CSV files are not beside the project (../shared/data/olist)")
def test_the_marketplace_replays_refunds_and_custody():
    with passable_directory() as directory:
        run = coalition(
            *("replay", "olist", str(OLIST), "--months", "2016-10", "--members", "12"),
            *("--var", str(directory / "var")),
        )

    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert "REFUND" in run.stdout
    assert "EQUAL" in run.stdout


def test_a_demo_never_touches_a_database_of_the_users(tmp_path):
    run = coalition(
        "demo", "--var", str(tmp_path / "var"), COALITION_DATABASE_URL="postgresql://nobody@localhost/books"
    )

    assert run.returncode != 0
    assert "COALITION_DATABASE_URL" in run.stdout + run.stderr


def test_a_second_run_starts_clean(tmp_path):
    with cleared(tmp_path / "var"):
        (tmp_path / "var" / "left-over").touch()
    with cleared(tmp_path / "var"):
        assert not (tmp_path / "var" / "left-over").exists()


def test_a_directory_that_is_no_demos_is_left_alone(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "ledger").write_text("precious")

    with pytest.raises(DirectoryInUse, match="not a demo's"), cleared(tmp_path / "var"):
        pass
    assert (tmp_path / "var" / "ledger").read_text() == "precious"


def test_two_demos_do_not_share_a_directory(tmp_path):
    with (
        cleared(tmp_path / "var"),
        pytest.raises(DirectoryInUse, match="another demo"),
        cleared(tmp_path / "var"),
    ):
        pass
