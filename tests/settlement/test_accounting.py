"""What each participant books: golden G0 in double entry, and the books of a real window."""

import csv
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coalition.domain.accounts import WALLET, TransferCode, bonus_account, float_account
from coalition.domain.ids import entry_id
from coalition.domain.kinds import Kind
from settlement import netting, report
from settlement.accounting import Booking, Gross, bookings
from settlement.errors import BooksDiffer
from settlement.operator_papers import write_accounting
from tests.ledger_fixtures import NOTARY, Ledger, write_batch
from tests.settlement.test_papers import closed

H, A, C = 1, 3, 4


def balances(booked: list[Booking]) -> dict[tuple[int, str], int]:
    """Debits less credits by participant and account."""
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for each in booked:
        sums[each.participant_id, each.account] += each.debit_minor - each.credit_minor
    return {key: amount for key, amount in sums.items() if amount}


def claims(*rows: tuple[int, int, int, TransferCode]) -> list[Gross]:
    return [Gross(debtor, creditor, C, code, 1, amount, 1) for debtor, creditor, amount, code in rows]


def test_golden_g0_books_gross_amounts_sales_at_the_place_and_bonus_as_a_discount_of_its_bearer():
    """SUMS G0: A=>C 25000 and 5000 bonus borne by A, C=>H 180, C=>A 300; invoices follow these, never the nets."""
    booked = list(
        bookings(
            claims(
                (A, C, 25000, TransferCode.PRINCIPAL),
                (A, C, 5000, TransferCode.BONUS),
                (C, H, 180, TransferCode.OPERATOR_FEE),
                (C, A, 300, TransferCode.COMMISSION),
            ),
            {},
            1,
        )
    )

    assert {
        (C, "SALES"): -30000,
        (C, "RECEIVABLE"): 30000,
        (C, "PAYABLE"): -480,
        (C, "OPERATOR_FEE"): 180,
        (C, "COMMISSION"): 300,
        (A, "STORED_VALUE_REDEEMED"): 25000,
        (A, "BONUS_DISCOUNT"): 5000,
        (A, "PAYABLE"): -30000,
        (A, "RECEIVABLE"): 300,
        (A, "COMMISSION"): -300,
        (H, "RECEIVABLE"): 180,
        (H, "OPERATOR_FEE"): -180,
    } == balances(booked)


def test_a_full_refund_takes_every_account_but_what_is_owed_back_to_zero():
    there = claims((A, C, 25000, TransferCode.PRINCIPAL), (A, C, 5000, TransferCode.BONUS))
    back = claims((C, A, 25000, TransferCode.PRINCIPAL), (C, A, 5000, TransferCode.BONUS))

    assert {"RECEIVABLE", "PAYABLE"} == {account for _, account in balances(list(bookings([*there, *back], {}, 1)))}


def test_books_that_do_not_balance_are_refused(tmp_path: Path):
    contents: Any = SimpleNamespace(codes={A: "store-a"})
    with pytest.raises(BooksDiffer, match="store-a: 5 in unit 1"):
        write_accounting(tmp_path / "x.csv", contents, [Booking(A, "SALES", A, 1, 1, 1, 5, 0)])


@pytest.fixture
def traded(ledger: Ledger) -> Ledger:
    """A purchase of 300.00 of a 1000 + 200 lot at its own issuer, one of them refunded by a third, and one at C."""
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(A, C, 25000)])
        write_batch(connection, [(H, C, 100)], code=TransferCode.OPERATOR_FEE)
    with ledger.connect("coalition") as owner:
        legs = (
            (3, Kind.PURCHASE, WALLET, float_account(A, A), 25000, TransferCode.PRINCIPAL),
            (3, Kind.PURCHASE, WALLET, bonus_account(A), 5000, TransferCode.BONUS),
            (4, Kind.REFUND, float_account(A, A), WALLET, 8333, TransferCode.PRINCIPAL),
            (5, Kind.TOP_UP, float_account(A, A), WALLET, 100000, TransferCode.PRINCIPAL),
        )
        owner.execute("SELECT setval('journal_number', 5)")
        for number, kind, debit, credit, amount, code in legs:
            entry = entry_id(number, 0, 0)
            owner.execute(
                "INSERT INTO batches (number, time, count, root, signature) "
                "VALUES (%s, now(), 1, decode(repeat('00', 32), 'hex'), '') ON CONFLICT DO NOTHING",
                (number,),
            )
            owner.execute(
                "INSERT INTO entries (lane, entry_id, kind, reason, participant_id, request_id, amount_minor, "
                "business_date, actor, answer, leaf) VALUES (0, %s, %s, 0, %s, gen_random_uuid(), 1, now(), '/t/x', "
                "'', '') ON CONFLICT DO NOTHING",
                (entry, kind, A),
            )
            owner.execute(
                "INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit) "
                "VALUES (0, %s, 0, %s, %s, %s, %s, 1)",
                (entry, debit, credit, amount, code),
            )
    closed(ledger)
    with ledger.connect() as connection:
        netting.net(connection, ledger.follower(), "monthly", "2017-01", notary=NOTARY)
    return ledger


def test_on_us_revenue_is_principal_alone_less_what_was_given_back(traded: Ledger, tmp_path: Path):
    """SUMS 4: revenue of an on-us 300 of a 1000 + 200 lot is 250; a top-up is no sale."""
    with traded.connect() as connection:
        report.write(connection, "monthly", "2017-01", tmp_path / "out")
    with (tmp_path / "out" / "accounting.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [("SALES", "2", "0.00", "166.67"), ("STORED_VALUE_REDEEMED", "2", "166.67", "0.00")] == [
        (row["account"], row["entries"], row["debit"], row["credit"])
        for row in rows
        if row["participant"] == row["counterparty"] == "store-a"
    ]


def test_the_matrix_and_the_totals_by_code_tell_every_claim_once(traded: Ledger, tmp_path: Path):
    with traded.connect() as connection:
        report.write(connection, "monthly", "2017-01", tmp_path / "out")

    assert (
        "owes,hq,store-a,cafe-c\nhq,,,1.00\nstore-a,,,250.00\ncafe-c,,,\n"
        == (tmp_path / "out" / "matrix.csv").read_text()
    )
    assert ["PRINCIPAL,MONEY,1,1,25000,250.00", "OPERATOR_FEE,MONEY,1,1,100,1.00"] == (
        (tmp_path / "out" / "codes.csv").read_text().splitlines()[1:]
    )
