"""What will not be paid is given up: approved by its amount, borne by the operator, known to the auditor."""

import json
from collections.abc import Iterator

import pytest

from coalition.domain.approvals import Office
from coalition.domain.kinds import Kind
from coalition.storage import approvals
from settlement import cli, default_commands, writing_off
from settlement.errors import AmountWrong, NeedsHuman, NothingToDo, PartyUnknown
from settlement.proposing import Result
from tests.ledger_fixtures import NOTARY, Ledger, new_ledger
from tests.postgres import SharedPostgres
from tests.settlement.default_month import CAFE, HQ, STORE, declare, done, move, posted
from tests.settlement.runs_month import abort, approve, dues, furnish, prepare, trade_and_net
from tests.settlement.test_defaults import audited

OWED = [(STORE, CAFE, 60_000)]


@pytest.fixture
def month(postgres: SharedPostgres) -> Iterator[Ledger]:
    """store-a owes cafe-c 600.00, netted and not paid."""
    ledger = new_ledger(postgres)
    furnish(ledger)
    trade_and_net(ledger, OWED)
    yield ledger
    postgres.drop(ledger.database)


def give_up(ledger: Ledger, amount: int, code: str = "store-a") -> Result:
    with ledger.connect() as connection:
        return writing_off.give_up(connection, code, amount, notary=NOTARY)


def test_what_is_written_off_is_the_operators_loss_and_nobody_elses(month: Ledger) -> None:
    """By hand: of 600.00 owed 0.50 are given up; the cafe is due 600.00 as before, and the operator pays the 0.50."""
    result = done(month, lambda: give_up(month, 50))

    assert [[("DUE", HQ, "DUE", STORE, 50)]] == posted(month, Kind.WRITE_OFF)
    assert {HQ: -50, STORE: -59_950, CAFE: 60_000} == dues(month)
    assert 50 == result.body["written_off_minor"]
    assert [] == audited(month, OWED)
    again = give_up(month, 50)
    assert again.approval_id is not None  # the books moved: it is asked anew
    with pytest.raises(NothingToDo, match="waits for FINANCE"):
        give_up(month, 50)


def test_half_a_million_takes_three_offices(month: Ledger) -> None:
    trade_and_net(month, [(STORE, CAFE, 60_000_000)], "2017-02")
    asked = give_up(month, 50_000_000)
    with month.connect() as connection:
        waiting = {each.approval_id: each for each in approvals.inbox(connection, None, 0, 10)}

    assert asked.approval_id is not None
    assert (Office.FINANCE, Office.RATIFIER, Office.CHAIRMAN) == waiting[asked.approval_id].offices
    assert "write-off of 500,000.00 that store-a owes, borne by the operator" == waiting[asked.approval_id].summary


def test_what_collateral_covers_is_not_given_up(month: Ledger) -> None:
    done(month, lambda: move(month, "store-a", 59_000, "K1"))
    with pytest.raises(AmountWrong, match=r"owes 600\.00, of which its collateral covers 590\.00.* at most 10\.00"):
        give_up(month, 1_001)
    done(month, lambda: give_up(month, 1_000))

    assert {HQ: -1_000, STORE: -59_000, CAFE: 60_000} == dues(month)
    assert [] == audited(month, OWED)


def test_nothing_is_written_off_while_a_run_stands_on_it(month: Ledger) -> None:
    prepare(month)
    with pytest.raises(NeedsHuman, match="run 1 is PREPARED"):
        give_up(month, 50)
    abort(month)
    with pytest.raises(NothingToDo, match="owes nothing"):
        give_up(month, 50, "cafe-c")


@pytest.mark.parametrize("code", ["hq", "trust", "nobody"])
def test_operator_and_custody_owe_nothing_that_is_written_off(month: Ledger, code: str) -> None:
    with pytest.raises(PartyUnknown, match=code):
        give_up(month, 50, code)


@pytest.mark.parametrize("amount", [0, -1, 60_001])
def test_no_more_than_is_owed(month: Ledger, amount: int) -> None:
    with pytest.raises(AmountWrong, match=r"at most 600\.00"):
        give_up(month, amount)


def test_a_default_after_a_write_off_covers_what_is_left(month: Ledger) -> None:
    done(month, lambda: give_up(month, 50))
    result = done(month, lambda: declare(month))

    assert [[CAFE, 59_950]] == result.body["shares"]
    assert {HQ: -50, CAFE: 50} == dues(month)
    assert [] == audited(month, OWED)


def test_a_treasurer_types_it(
    month: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_commands, "notary", lambda: NOTARY)

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.main(["write-off", *arguments, "--database-url", month.dsn()])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    code, said = run("store-a", "--amount", "0.50")
    assert (0, True) == (code, "It waits for approval 1; approved, run the same command again" in said)
    assert 2 == run("store-a", "--amount", "0.50")[0]
    approve(month)
    code, said = run("store-a", "--amount", "0.50", "--json")
    assert (0, None, 50) == (code, (told := json.loads(said))["approval_id"], told["written_off_minor"])
    assert 1 == run("store-a", "--amount", "601")[0]
