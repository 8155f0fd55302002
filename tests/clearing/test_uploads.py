"""Sales approved offline on a real ledger: what the wallet has, and the rest as a debt that comes back first."""

import threading
from dataclasses import replace

import pytest

from coalition.clearing.batch import Answer, run_batch
from coalition.domain.reasons import Reason
from coalition.domain.sale_details import SaleDetails
from tests.clearing.house import House, accepted, reasons
from tests.faults.books import RULES


def debts(house: House) -> list[tuple[int, int]]:
    """(shortfall, what of it is owed still) of each upload that is owed for."""
    return house.query("SELECT shortfall_minor, owed_minor FROM member_debts ORDER BY entry_id")


def check(house: House) -> None:
    house.check_books()
    for rule, query in RULES.items():
        assert [] == house.query(query), f"broken: {rule}"


def test_an_upload_takes_what_is_there_and_its_refunds_give_the_shortfall_back_first(house: House) -> None:
    """A read by SQL finds what the domain decided: the row without a lot counts among the original's."""
    token = house.new_card()
    house.run(house.top_up("a", token, 100))
    upload = house.upload("cafe", token, 30_100, sequence_number=7)
    told = accepted(house.run(upload)[0])

    assert (30_100, 100, 0, 0) == (told.amount_minor, told.principal_minor, told.bonus_minor, told.balance_minor)
    assert {"shortfall_minor": "30000", "shortfall_bearer": "a", "shortfall_reason": "INSUFFICIENT_FUNDS"} == told.facts
    assert [(30_000, 30_000)] == debts(house)
    assert [(b'{"sequence_number":7}',)] == house.query("SELECT details FROM entries WHERE kind = 13")
    a, cafe = house.terminals["a"][0], house.terminals["cafe"][0]
    claims = house.query("SELECT debit, credit, amount_minor FROM journal_lines WHERE code = 11")
    assert [(f"CLEARING({a})", f"CLEARING({cafe})", 30_000)] == claims
    check(house)

    assert [told.again()] == house.run(upload)
    other = replace(upload, details=SaleDetails(sequence_number=8).canonical())
    assert [Reason.REQUEST_ID_REUSED] == reasons(house.run(other))

    first = accepted(house.run(house.refund("cafe", upload.request_id, 10_000))[0])
    assert (10_000, 0, 0) == (first.amount_minor, first.principal_minor, first.balance_change_minor)
    assert {"shortfall_minor": "10000", "shortfall_bearer": "a"} == first.facts
    assert [(30_000, 20_000)] == debts(house)
    check(house)

    second = accepted(house.run(house.refund("cafe", upload.request_id, 20_050))[0])
    assert ({"shortfall_minor": "20000", "shortfall_bearer": "a"}, 50) == (second.facts, second.balance_change_minor)
    assert [] == debts(house)
    assert [50] == [accepted(house.run(house.reverse("cafe", upload.request_id))[0]).amount_minor]
    assert [(0,)] == house.query(
        "SELECT sum(CASE WHEN credit >> 24 & 16777215 = %s THEN amount_minor ELSE -amount_minor END)::bigint"
        " FROM transfers WHERE debit >> 48 = 4 AND %s IN (debit >> 24 & 16777215, credit >> 24 & 16777215)",
        cafe,
        cafe,
    )
    check(house)


def test_an_upload_and_its_return_may_share_a_batch(house: House) -> None:
    token = house.new_card()
    upload = house.upload("cafe", token, 5_000)
    answers = house.run(
        upload, house.refund("cafe", upload.request_id, 2_000), house.reverse("cafe", upload.request_id)
    )

    assert [5_000, 2_000, 3_000] == [accepted(answer).amount_minor for answer in answers]
    assert [{"shortfall_minor": "3000", "shortfall_bearer": "a"}] == [accepted(answers[2]).facts]
    assert [] == debts(house)
    check(house)


def test_a_frozen_card_and_a_closed_wallet_are_left_alone(house: House) -> None:
    token, closed = house.funded_card(), house.funded_card()
    house.execute("UPDATE cards SET state = 'FROZEN' WHERE card_id = 1")
    house.execute("UPDATE wallets SET state = 'CLOSED' WHERE wallet_id = 1014")
    answers = house.run(
        house.upload("cafe", token, 500), house.upload("cafe", closed, 500), house.upload("cafe", b"?", 1)
    )

    assert [Reason.ACCEPTED, Reason.ACCEPTED, Reason.CARD_UNKNOWN] == reasons(answers)
    assert ["CARD_FROZEN", "WALLET_CLOSED"] == [accepted(each).facts["shortfall_reason"] for each in answers[:2]]
    assert [(500, 500)] * 2 == debts(house)
    check(house)


@pytest.mark.xdist_group("serial")
def test_uploads_and_purchases_of_the_last_yuan_never_take_a_wallet_below_zero(house: House) -> None:
    """Eight desks with their own connections: what was drawn is what was there, to the fen."""
    token = house.new_card()
    house.run(house.top_up("a", token, 1_000))
    answers: list[Answer] = []
    start = threading.Barrier(8)

    def spend(number: int) -> None:
        store = house.store()
        start.wait()
        for _ in range(6):
            sale = house.upload("cafe", token, 70) if number % 2 else house.purchase("cafe", token, 70)
            answers.extend(run_batch(store, [sale]))
        store.close()

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    paid = [accepted(answer) for answer in answers if answer.reason is Reason.ACCEPTED]
    short = sum(int(each.facts.get("shortfall_minor", 0)) for each in paid)
    assert 1_000 == sum(each.principal_minor for each in paid)
    assert sum(each.amount_minor for each in paid) - 1_000 == short > 0
    assert [(0,)] == house.query("SELECT balance_minor FROM wallets")
    assert [(short,)] == house.query("SELECT sum(owed_minor)::bigint FROM member_debts")
    check(house)
