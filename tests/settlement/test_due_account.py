"""What is due of a participant on its statement: from one netting to the next, to the fen, the same for ever."""

import csv
from pathlib import Path

import openpyxl
import pytest

from settlement import report, writing_off
from settlement.contents import gather
from settlement.due_account import DueAccount, due_accounts
from settlement.due_table import table
from settlement.errors import BooksDiffer
from tests.ledger_fixtures import NOTARY, Ledger
from tests.settlement.default_month import declare, done, move, recover
from tests.settlement.runs_month import (
    WORKED,
    abort,
    approve,
    bank_says,
    confirm,
    dues,
    export,
    furnish,
    net,
    parties,
    prepare,
    trade_and_net,
)
from tests.settlement.test_runs import settle

HQ, TRUST, STORE_A, CAFE_C, GARAGE_D = 1, 2, 3, 4, 5
Told = list[tuple[str, str, int | None, int]]


def accounts(ledger: Ledger, label: str = "2017-01") -> dict[int, DueAccount]:
    with ledger.connect() as connection:
        return due_accounts(connection, gather(connection, "monthly", label))


def told(account: DueAccount) -> Told:
    return [(row.item, row.about, row.amount_minor, row.balance_minor) for row in table(account)]


@pytest.fixture
def worked(ledger: Ledger) -> Ledger:
    """The worked month netted: store-a owes 297.00, cafe-c is owed 295.20, hq 1.80."""
    furnish(ledger)
    trade_and_net(ledger, WORKED)
    return ledger


def test_an_account_opens_where_the_one_before_closed_and_tells_every_payment_by_its_run(worked: Ledger):
    """A payment that came back is due again, and is carried forward to the next window's net."""
    prepare(worked)
    settle(worked)
    confirm(worked, bank_says(("back", parties(worked)[CAFE_C], "RETURNED")))
    trade_and_net(worked, [(4, 3, 520)], "2017-02")

    assert [
        ("OPENING", "", None, 0),
        ("CARRIED_FORWARD", "", None, 0),
        ("NETTING", "monthly/2017-01", -29_700, -29_700),
        ("CLOSING", "", None, -29_700),
    ] == told(accounts(worked)[STORE_A])
    second = accounts(worked, "2017-02")
    assert [
        ("OPENING", "", None, 29_520),
        ("PAID_OUT", "run 1, 1-o4, told", -29_520, 0),
        ("RETURNED", "run 1, back, told", 29_520, 29_520),
        ("CARRIED_FORWARD", "", None, 29_520),
        ("NETTING", "monthly/2017-02", -520, 29_000),
        ("CLOSING", "", None, 29_000),
    ] == told(second[CAFE_C])
    assert [("OPENING", -29_700), ("PAID_IN", 0), ("CARRIED_FORWARD", 0), ("NETTING", 520), ("CLOSING", 520)] == [
        (item, balance) for item, _, _, balance in told(second[STORE_A])
    ]
    assert {each: account.closing_minor for each, account in second.items() if account.closing_minor} == dues(worked)


def test_what_happens_after_a_netting_does_not_change_its_account(worked: Ledger):
    """Else a sealed report could not be made again."""
    before = accounts(worked)
    prepare(worked)
    settle(worked)
    trade_and_net(worked, [(4, 3, 520)], "2017-02")

    assert before == accounts(worked)


def test_a_window_that_is_netted_anew_behind_the_next_changes_no_account_that_was_told(worked: Ledger):
    """Run 1 holds January and is taken back when February is netted already: February opens where it opened."""
    prepare(worked)
    trade_and_net(worked, [(4, 3, 520)], "2017-02")
    february = accounts(worked, "2017-02")
    abort(worked)
    assert february == accounts(worked, "2017-02")
    net(worked, "2017-01")

    assert february == accounts(worked, "2017-02")
    assert [
        ("OPENING", "", None, -29_180),
        ("NETTING_REVERSAL", "monthly/2017-01, run 1 aborted", 29_700, 520),
        ("CARRIED_FORWARD", "", None, 520),
        ("NETTING", "monthly/2017-01", -29_700, -29_180),
        ("CLOSING", "", None, -29_180),
    ] == told(accounts(worked)[STORE_A])


def test_after_an_empty_window_the_next_account_opens_where_it_closed(worked: Ledger):
    """Its netting changed nothing that is due, and is a statement all the same."""
    prepare(worked)
    settle(worked)
    trade_and_net(worked, [], "2017-02")
    trade_and_net(worked, [(4, 3, 520)], "2017-03")

    assert [("OPENING", "", None, 29_520), ("PAID_OUT", "run 1, 1-o4, told", -29_520, 0)] == told(
        accounts(worked, "2017-02")[CAFE_C]
    )[:2]
    assert [("OPENING", "", None, 0), ("CARRIED_FORWARD", "", None, 0)] == told(accounts(worked, "2017-03")[CAFE_C])[:2]


def test_collateral_losses_recoveries_and_what_is_held_back_are_told_to_each_of_their_sides(worked: Ledger):
    """store-a owes 297.00; 100.00 collateral, cafe-c bears 197.00; 50.00 come in; then 20.00 become due to store-a."""
    done(worked, lambda: move(worked, "store-a", 10_000, "c1"))
    done(worked, lambda: declare(worked))
    done(worked, lambda: recover(worked, 5_000, "r1"))
    trade_and_net(worked, [(4, 3, 2_000)], "2017-02")
    second = accounts(worked, "2017-02")

    assert [
        ("OPENING", "", None, -29_700),
        ("COLLATERAL", "covers what was not paid", 10_000, -19_700),
        ("LOSS_SHARE", "borne by others", 19_700, 0),
        ("PAID_IN", "r1", 5_000, 5_000),
        ("HANDED_ON", "to those who bore it", -5_000, 0),
        ("CARRIED_FORWARD", "", None, 0),
        ("NETTING", "monthly/2017-02", 2_000, 2_000),
        ("CLOSING", "", None, 2_000),
        ("HELD_BACK", "", None, 2_000),
    ] == told(second[STORE_A])
    assert [
        ("OPENING", "", None, 29_520),
        ("LOSS_SHARE", "of store-a", -19_700, 9_820),
        ("RECOVERY", "of store-a", 5_000, 14_820),
        ("CARRIED_FORWARD", "", None, 14_820),
        ("NETTING", "monthly/2017-02", -2_000, 12_820),
        ("CLOSING", "", None, 12_820),
    ] == told(second[CAFE_C])


def test_what_is_written_off_stands_on_both_accounts(worked: Ledger):
    def give_up():
        with worked.connect() as connection:
            return writing_off.give_up(connection, "store-a", 700, notary=NOTARY)

    done(worked, give_up)
    trade_and_net(worked, [], "2017-02")
    second = accounts(worked, "2017-02")

    assert ("WRITE_OFF", "borne by the operator", 700, -29_000) in told(second[STORE_A])
    assert ("WRITE_OFF", "of store-a", -700, -520) in told(second[HQ])


def test_csv_and_workbook_have_the_table(worked: Ledger, tmp_path: Path):
    prepare(worked, minimum=1_000, limit=1_000)
    settle(worked)
    trade_and_net(worked, [(4, 3, 520)], "2017-02")
    with worked.connect() as connection:
        report.write(connection, "monthly", "2017-02", tmp_path / "out")
    with (tmp_path / "out" / "statements" / "hq.due.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["item"], row["amount"], row["balance"]) for row in csv.DictReader(file)]
    sheet = list(openpyxl.load_workbook(tmp_path / "out" / "statements" / "cafe-c.xlsx")["Due"].values)

    assert [("OPENING", "", "1.80"), ("CARRIED_FORWARD", "", "1.80"), ("CLOSING", "", "1.80")] == rows
    assert ("entry_id", "business_date", "item", "about", "amount", "balance") == sheet[0]
    assert [("OPENING", None, 295.2), ("PAID_OUT", -295.2, 0), ("CARRIED_FORWARD", None, 0)] == [
        (row[2], row[4], row[5]) for row in sheet[1:4]
    ]


def test_what_is_kept_of_what_is_due_and_the_journal_part_company(worked: Ledger):
    prepare(worked)
    approve(worked)
    export(worked)
    trade_and_net(worked, [(4, 3, 520)], "2017-02")
    with worked.connect("coalition") as owner:
        owner.execute("UPDATE due_lines SET amount_minor = amount_minor + 1 WHERE participant_id = 3 AND entry_id = "
                      "(SELECT max(entry_id) FROM due_lines)")  # fmt: skip

    with pytest.raises(BooksDiffer, match="store-a: opening -29700 \\+ lines 520 is not closing -29179"):
        accounts(worked, "2017-02")
