"""`python -m settlement reconcile` on a real ledger: a merchant's CSV against two windows."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coalition.domain.kinds import FIRST_ACT, Kind
from coalition.storage.reconciliation import LEFT_OUT
from settlement import cli, closing, reconciling
from settlement.errors import NeedsHuman
from tests.ledger_fixtures import NOTARY, Ledger, write_batch

NOW = datetime(2017, 1, 31, 16, tzinfo=UTC)


@pytest.fixture
def traded(ledger: Ledger) -> Ledger:
    """Three sales of cafe-c in January, one declined, one in February; and a sale of another merchant."""
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 1000), (3, 4, 2000), (3, 4, 3000), (3, 4, 4000), (3, 5, 7000)])
    with ledger.connect() as connection:
        closing.close(
            connection,
            "monthly",
            label="2017-01",
            following=None,
            clock=lambda: NOW,
            sleep=lambda seconds: None,
            notary=NOTARY,
        )
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 5000)])
    with ledger.connect("coalition") as owner:
        owner.execute("UPDATE entries SET sale_reference = 'R-' || amount_minor")
        owner.execute("UPDATE entries SET reason = 6 WHERE amount_minor = 4000")
    return ledger


def file(directory: Path, *lines: str, heading: str = "sale_reference,amount") -> str:
    path = directory / "mine.csv"
    path.write_text("\n".join([heading, *lines, ""]), encoding="utf-8")
    return str(path)


def run(ledger: Ledger, path: str, *more: str) -> int:
    return cli.main(["reconcile", "2017-01", path, "--participant", "cafe-c", *more, "--database-url", ledger.dsn()])


def test_a_merchants_file_has_what_its_tills_did_and_nothing_else():
    """Every kind below 100 is one or the other: what settlement posts, merges and opened lots are no sales."""
    tills = {
        *(Kind.TOP_UP, Kind.PURCHASE, Kind.REFUND, Kind.TOP_UP_REVERSAL, Kind.CASH_OUT, Kind.CAPTURE),
        *(Kind.REVERSAL, Kind.UPLOAD, Kind.TOP_UP_RETURN),
        *(Kind.PASS_SALE, Kind.PASS_VISIT, Kind.VISIT_RETURN, Kind.PASS_RETURN),
    }

    assert {kind for kind in Kind if kind < FIRST_ACT} - tills == set(LEFT_OUT)


def test_a_file_that_says_the_same_ends_with_0(traded: Ledger, tmp_path: Path, capsys):
    path = file(tmp_path, "R-1000,10.00", "R-2000,20", "R-3000,30.0")

    assert 0 == run(traded, path, "--json")
    assert {"calendar": "monthly", "label": "2017-01", "participant": "cafe-c", "matched": 3, "different": 0} | {
        "missing_here": 0,
        "missing_there": 0,
    } == json.loads(capsys.readouterr().out)


def test_every_difference_is_told_with_its_reason_and_ends_with_1(traded: Ledger, tmp_path: Path):
    """A wrong amount, a decline taken for a sale, a sale of the next month, a stranger's, one not in the file."""
    out = tmp_path / "out.csv"
    path = file(tmp_path, "R-1000,10.00", "R-2000,20.01", "R-4000,40.00", "R-5000,50.00", "R-7000,70.00")

    assert 1 == run(traded, path, "--out", str(out))
    with out.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [
        ("DIFFERENT", "AMOUNT", "", "20.01", "20.00"),
        ("MISSING_HERE", "DECLINED", "INSUFFICIENT_FUNDS", "40.00", ""),
        ("MISSING_HERE", "OTHER_WINDOW", "2017-02", "50.00", ""),
        ("MISSING_HERE", "UNKNOWN", "", "70.00", ""),
        ("MISSING_THERE", "NOT_IN_FILE", "", "", "30.00"),
    ] == [(row["finding"], row["why"], row["note"], row["their_amount"], row["our_amount"]) for row in rows]


def test_entries_are_named_by_their_ids_too(traded: Ledger, tmp_path: Path):
    with traded.connect() as connection:
        ids = connection.execute(
            "SELECT entry_id, request_id, amount_minor FROM entries WHERE participant_id = 4 ORDER BY entry_id"
        ).fetchall()
    lines = [f"{entry},,{amount}" for entry, _, amount in ids[:2]]
    lines += [f",{request},{amount}" for _, request, amount in ids[2:]]
    with traded.connect() as connection:
        done = reconciling.reconcile_window(
            connection,
            "monthly",
            "2017-01",
            "cafe-c",
            reconciling.read_file(Path(file(tmp_path, *lines, heading="entry_id,request_id,amount_minor"))),
        )

    assert ["MATCHED", "MATCHED", "MATCHED", "DECLINED", "OTHER_WINDOW"] == [
        (each.why or each.finding).value for each in done.results
    ]


@pytest.mark.parametrize(
    ("heading", "line", "words"),
    [
        ("reference,amount", "R-1,1", "its first line must name entry_id"),
        ("sale_reference,amount", "R-1,1.234", r"line 2, column amount: 1\.234 is no amount"),
        ("sale_reference,amount", "R-1,", "column amount: nothing"),
        ("entry_id,amount", "12x,1", "column entry_id: 12x is no entry id"),
        ("request_id,amount", "12,1", "column request_id: 12 is no UUID"),
        ("sale_reference,amount", ",1", "none of entry_id"),
        ("sale_reference,amount_minor", "R-1,1.5", "column amount_minor"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line_and_the_column(tmp_path: Path, heading, line, words):
    with pytest.raises(NeedsHuman, match=words):
        reconciling.read_file(Path(file(tmp_path, line, heading=heading)))


def test_a_participant_or_a_window_that_is_not_there_is_told(traded: Ledger, tmp_path: Path, capsys):
    path, database = file(tmp_path, "R-1000,10.00"), ["--database-url", traded.dsn()]

    assert 1 == cli.main(["reconcile", "2017-01", path, "--participant", "nobody", *database])
    assert 1 == cli.main(["reconcile", "2016-01", path, "--participant", "cafe-c", *database])
    assert "no participant has this code" in capsys.readouterr().err
