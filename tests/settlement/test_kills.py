"""A settlement that is killed at any step resumes to the same bytes and pays nothing twice (DESIGN promise 14).

Every command of a month is started again and again, and each time sends itself SIGKILL one step later; what is due is
held against the journal after each command, and the end against what an undisturbed month comes to.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalition.storage import runs
from settlement.instructions import makers, read_content
from tests.ledger_fixtures import Ledger, new_ledger, write_batch
from tests.postgres import SharedPostgres
from tests.settlement.runs_month import (
    WORKED,
    bank_says,
    close_and_net,
    dues,
    furnish,
    parties,
    prepare,
    state,
    windows,
)

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("serial")


@pytest.fixture
def month(postgres: SharedPostgres) -> Iterator[Ledger]:
    """January with claims, still open."""
    ledger = new_ledger(postgres)
    furnish(ledger)
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, WORKED)
    yield ledger
    postgres.drop(ledger.database)


def killed(ledger: Ledger, *command: str) -> int:
    """Kill it at every step until it comes through; how often it was killed. Done, or done by a killed one: 0 or 2."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.settlement.killing", ledger.dsn(), *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == ended.returncode, ended.stderr
    outcome = json.loads(ended.stdout.splitlines()[-1])
    assert outcome["code"] in {0, 2}, ended.stderr
    dues(ledger)  # holds BANK, DUE and COLLATERAL against each other and what is due against the journal
    return int(outcome["killed"])


def count(ledger: Ledger, statement: str) -> int:
    with ledger.connect() as connection:
        return int(connection.execute(statement).fetchall()[0][0])


def test_a_month_killed_at_every_step_is_paid_once_and_its_files_are_the_same(month: Ledger, tmp_path: Path):
    out = tmp_path / "out"
    kills = [killed(month, command, "2017-01") for command in ("close", "net")]
    assert {"2017-01": "NETTED", "2017-02": "OPEN"} == windows(month)
    kills += [killed(month, "prepare")]
    assert ("PREPARED", 1) == (state(month), count(month, "SELECT count(*) FROM runs"))
    kills += [killed(month, "decide", "/ap/liu")]
    assert ("APPROVED", 1) == (state(month), count(month, "SELECT count(*) FROM approval_steps"))
    kills += [killed(month, "export", str(out))]
    given, result = parties(month), tmp_path / "result.csv"
    result.write_bytes(bank_says(("b1", given[3], "BOOKED")))
    kills += [killed(month, "confirm", str(result))]
    kills += [killed(month, "export", str(out))]
    result.write_bytes(bank_says(("b2", given[1], "BOOKED"), ("b3", given[4], "BOOKED")))
    kills += [killed(month, "confirm", str(result))]
    print(f"killed {sum(kills)} times: {kills}")

    assert all(each >= 8 for each in kills), kills
    assert ({}, "DONE", "SETTLED") == (dues(month), state(month), windows(month)["2017-01"])
    assert 3 == count(month, "SELECT count(*) FROM entries WHERE kind = 22")
    for kind in (20, 120, 130, 131):
        assert 1 == count(month, f"SELECT count(*) FROM entries WHERE kind = {kind}")
    with month.connect() as connection:
        content = read_content(runs.run_content(connection, 1))
        recorded = runs.run_files(connection, 1)
    files = {path.name.removeprefix("run-1-"): path.read_bytes() for path in out.iterdir() if path.name[0] != "."}
    assert {name: make(content) for name, (_, make) in makers().items()} == files
    assert sorted(files) == sorted(recorded)


def test_an_abort_killed_at_every_step_reverses_the_netting_once(month: Ledger):
    close_and_net(month, "2017-01")
    prepare(month)
    assert killed(month, "abort") >= 8

    assert ({}, "ABORTED", "CLOSED") == (dues(month), state(month), windows(month)["2017-01"])
    assert 1 == count(month, "SELECT count(*) FROM entries WHERE kind = 24")
