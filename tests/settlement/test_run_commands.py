"""The commands of a run as timers and treasurers use them: exit codes, JSON, sentences, files."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement import accounts, cli, run_commands
from settlement.errors import NeedsHuman
from tests.ledger_fixtures import NAMES, NOTARY, Ledger, new_ledger, write_batch
from tests.postgres import SharedPostgres
from tests.settlement.runs_month import (
    WORKED,
    approve,
    bank_says,
    dues,
    furnish,
    parties,
    state,
    trade_and_net,
    windows,
)

ACCOUNTS = "participant,account,bank,holder,mandate_id,mandate_date\n" + "".join(
    f"{code},6217{number:012},102100000030,{code} 有限公司,M-{number},2016-12-01\n" for number, code in NAMES.items()
)


@pytest.fixture
def month(postgres: SharedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(cli, "notary", lambda: NOTARY)
    monkeypatch.setattr(run_commands, "notary", lambda: NOTARY)
    ledger = new_ledger(postgres)
    yield ledger
    postgres.drop(ledger.database)


class Commands:
    """Runs commands on one ledger and keeps what they printed."""

    def __init__(self, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
        self._ledger = ledger
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = cli.main([*arguments, "--database-url", self._ledger.dsn()])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def json(self, *arguments: str) -> tuple[int, dict[str, object]]:
        code, out, _ = self(*arguments, "--json")
        return code, json.loads(out)


def test_a_month_is_paid_by_commands(month: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What the runbook types, in its order; every command again is 2 and changes nothing."""
    run = Commands(month, capsys)
    furnish(month, without=list(NAMES))
    trade_and_net(month, WORKED)
    code, _, err = run("prepare")
    assert (1, True) == (code, "no bank account is known of hq, store-a, cafe-c" in err)
    file = tmp_path / "accounts.csv"
    file.write_text(ACCOUNTS, encoding="utf-8")
    assert (0, "5 bank accounts set\n") == run("accounts", str(file))[:2]
    assert 2 == run("accounts", str(file))[0]

    code, out, _ = run("prepare", "--execution-date", "2017-02-03")
    assert (0, True) == (code, "run 1 over monthly/2017-01 is prepared: collect 297.00, pay 297.00" in out)
    assert (2, {"run_id": 1, "state": "PREPARED"}) == run.json("prepare")
    assert 1 == run("export", "1", "--out", str(tmp_path / "out"))[0]
    approve(month)
    code, out, _ = run("export", "1", "--out", str(tmp_path / "out"))
    assert (0, True) == (code, "payments wait until 297.00 more has come in" in out)
    assert ["run-1-collections.csv", "run-1-collections.xml"] == sorted(
        each.name for each in (tmp_path / "out").iterdir()
    )

    given = parties(month)
    result = tmp_path / "result.csv"
    result.write_bytes(bank_says(("b1", given[3], "BOOKED")))
    assert (0, "1 lines posted, 0 known before\n") == run("confirm", str(result))[:2]
    assert 2 == run("confirm", str(result))[0]
    code, facts = run.json("export", "1", "--out", str(tmp_path / "out"))
    assert (0, 4, 0) == (code, len(facts["files"]), facts["uncovered_minor"])  # type: ignore[arg-type]
    result.write_bytes(bank_says(("b2", given[1], "BOOKED"), ("b3", given[4], "BOOKED")))
    code, facts = run.json("confirm", str(result))
    assert (0, 2, [1], []) == (code, facts["posted"], facts["finished"], facts["adjusted"])
    assert (2, 1) == (run("prepare")[0], run("abort", "1")[0])
    assert ({}, "DONE", "SETTLED") == (dues(month), state(month), windows(month)["2017-01"])


def test_what_is_due_is_shown_with_its_age_and_a_run_with_its_parties(month: Ledger, capsys):
    run = Commands(month, capsys)
    furnish(month)
    trade_and_net(month, WORKED)
    _, facts = run.json("status")
    assert [("hq", 180), ("store-a", -29_700), ("cafe-c", 29_520)] == [
        (row["participant"], row["due_minor"])
        for row in facts["due"]  # type: ignore[attr-defined]
    ]
    code, out, _ = run("status")
    assert (0, True, True) == (code, "due and not paid, CNY" in out, "-297.00" in out)
    run("prepare", "--minimum", "10")
    code, facts = run.json("runs", "1")
    assert (0, "PREPARED", ["monthly/2017-01"]) == (code, facts["state"], facts["windows"])
    assert ["CARRIED", "CARRIED", "WAITING", "WAITING", "CARRIED"] == [
        row["state"]
        for row in facts["parties"]  # type: ignore[attr-defined]
    ]
    assert (0, 1) == (run("runs")[0], len(run.json("runs")[1]["runs"]))  # type: ignore[arg-type]
    assert 1 == run("runs", "7")[0]
    assert (0, {"run_id": 1, "windows": ["monthly/2017-01"]}) == run.json("abort", "1")
    assert 2 == run("abort", "1")[0]


def test_a_window_is_cut_early_when_somebody_owes_too_much(month: Ledger, capsys):
    """Interim settlement: over the open window and what is due; the rest of January goes on as 2017-01.2."""
    run = Commands(month, capsys)
    with month.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 100_000)])
    assert (2, {"calendar": "monthly", "owed_minor": 100_000}) == run.json("interim", "--threshold", "1000.01")
    code, facts = run.json("interim", "--threshold", "1000.00")
    assert (0, "2017-01", "2017-01.2", "store-a", 100_000) == (
        code, facts["label"], facts["next_label"], facts["participant"], facts["owed_minor"]
    )  # fmt: skip
    assert 2 == run("interim", "--threshold", "1000.00")[0]  # nothing of it lies in the window that is open now
    assert 0 == run("net", "2017-01")[0]
    with month.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 1)])
    code, facts = run.json("interim", "--threshold", "1000.00")
    assert (0, "2017-01.3", 100_001) == (code, facts["next_label"], facts["owed_minor"])
    assert {"2017-01": "NETTED", "2017-01.2": "CLOSED", "2017-01.3": "OPEN"} == windows(month)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("prepare", "--minimum", "1.234"), "--minimum: write an amount like 300.00"),
        (("prepare", "--execution-date", "tomorrow"), "--execution-date: 'tomorrow' is no day"),
        (("interim", "--threshold", "-5"), "--threshold"),
        (("export", "9", "--out", "x"), "there is no run 9"),
        (("abort", "9"), "there is no run 9"),
        (("abort", "9", "--rest"), "there is no run 9"),
    ],
)
def test_wrong_usage_is_1_and_says_what_to_write(month: Ledger, capsys, options, words):
    code, _, err = Commands(month, capsys)(*options)

    assert (1, True) == (code, words in err), err


CODES = {code: number for number, code in NAMES.items()}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hq,", "hx,", "line 2 of the file of accounts: participant is the code of one"),
        ("000000000001,", "00 00,", "line 2 of the file of accounts: account is 1 to 34 letters and digits"),
        ("102100000030,trust", "bank!,trust", "line 3 of the file of accounts: bank is a BIC"),
        ("2016-12-01\ntrust", "2016-13-01\ntrust", "mandate_date is a day"),
        ("trust,", "hq,", "names hq more than once"),
        ("participant,", "who,", "lacks the columns participant"),
        (ACCOUNTS.partition("\n")[2], "", "has no line below its header"),
    ],
)
def test_a_file_of_accounts_is_refused_as_a_whole_without_repeating_what_it_says(old: str, new: str, words: str):
    with pytest.raises(NeedsHuman, match=words) as refused:
        accounts.read_accounts(ACCOUNTS.replace(old, new, 1).encode(), CODES)

    assert "6217" not in str(refused.value)


def test_a_changed_account_is_told_to_those_who_approve(month: Ledger, tmp_path: Path, capsys):
    """How payments are stolen: the summary that an approver reads names whose account is another one."""
    run = Commands(month, capsys)
    furnish(month)
    trade_and_net(month, WORKED)
    run("prepare")
    run("abort", "1")
    file = tmp_path / "accounts.csv"
    file.write_text("participant,account,bank,holder\ncafe-c,999,102100000030,Thief\n", encoding="utf-8")
    assert 0 == run("accounts", str(file))[0]
    run("net", "2017-01")
    run("prepare")
    with month.connect() as connection:
        summaries = connection.execute("SELECT summary FROM approvals ORDER BY approval_id").fetchall()

    assert ("bank accounts changed" in summaries[0][0], True) == (
        False,
        summaries[1][0].endswith("since run 1: cafe-c"),
    )
