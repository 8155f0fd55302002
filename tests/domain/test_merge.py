"""Merged wallets: what lay in the one lies in the other, to the fen, however often the halves are cut apart."""

import random
from collections.abc import Callable
from datetime import date

import pytest

from coalition.domain.books import Transit
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from tests.domain.house import Done, House, lines

SEEDS = range(40)


def house_of_two() -> House:
    """`w` and `v`, lots of A (expiring bonus) and of B, taken at C."""
    house = House()
    house.member("v")
    house.terms("a", bonus_months=12)
    house.terms("b", bonus="1/10")
    for issuer in "ab":
        house.accept(issuer, "c")
    house.acquire("c", operator_fee="6/1000", commission="1/100")
    return house


def refusal(work: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as raised:
        work()
    return raised.value.reason


def sweep(house: House, card: str = "w") -> list[Done]:
    """Everything that lies in a merged wallet, sent and arrived."""
    lots = [lot.lot_id for lot in house.wallet(card).open_lots()]
    return [house.arrive(house.send(card, lot_id)) for lot_id in lots]


def test_each_lot_goes_through_transit_of_its_issuer_and_stays_what_it_was():
    house = house_of_two()
    top_up = house.top_up("a", 100000)
    house.purchase("c", 30000)
    before = house.accounts()
    house.merge("w", into="v")

    sent = house.send("w", top_up.entry_id)
    assert ["WALLET->TRANSIT(A) 90000"] == sent.legs
    assert {"FLOAT(A)": 75000, "BONUS(A)": 15000, "TRANSIT(A)": 90000} == house.accounts()
    assert (0, 0) == (house.wallet("w").balance_minor, house.wallet("v").balance_minor)

    arrived = house.arrive(sent)
    assert ["TRANSIT(A)->WALLET 90000"] == arrived.legs
    assert before == house.accounts()
    (lot,) = house.wallet("v").open_lots()
    assert (90000, 75000, date(2027, 1, 10)) == (lot.face, lot.principal, lot.bonus_expiry)
    assert (arrived.entry_id, house.wallet("v").wallet_id) == (lot.lot_id, lot.wallet_id)
    sold = house.wallet("w").lots[top_up.entry_id]
    assert (sold.issuer_id, sold.custodian_id, sold.seller_id, sold.terms_id, sold.terms_version) == (
        lot.issuer_id,
        lot.custodian_id,
        lot.seller_id,
        lot.terms_id,
        lot.terms_version,
    )


def test_what_is_refunded_later_follows():
    """The purchase was the old wallet's: its refund is decided there as ever, and sent on."""
    house = house_of_two()
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)
    house.merge("w", into="v")
    sweep(house)
    refund = house.refund("c", 10000, purchase)
    assert lines("FLOAT(A)->WALLET 8333, BONUS(A)->WALLET 1667, C=>A 8333, C=>A 1667, H=>C 60, A=>C 100") == refund.legs
    assert 10000 == house.wallet("w").balance_minor
    sweep(house)
    assert (0, 100000) == (house.wallet("w").balance_minor, house.wallet("v").balance_minor)
    assert {"WALLET": 100000, "FLOAT(A)": 83333, "BONUS(A)": 16667} == house.accounts()


def test_what_is_merged_can_be_spent_and_cashed_out_by_the_other():
    house = house_of_two()
    house.top_up("a", 100000)
    house.top_up("b", 10000)
    house.top_up("b", 5000, card="v")
    house.merge("w", into="v")
    sweep(house)
    assert lines("WALLET->FLOAT(A) 100000, WALLET->BONUS(A) 20000, A=>C 100000, A=>C 20000, C=>H 720, C=>A 1200") == (
        house.purchase("c", 120000, card="v").legs
    )
    house.cash_out("b", card="v")
    assert {} == house.accounts()


def test_only_a_merged_wallet_is_emptied_and_each_lot_once():
    house = house_of_two()
    top_up = house.top_up("a", 100)
    assert Reason.MERGE_CONFLICT == refusal(lambda: house.send("w", top_up.entry_id))
    house.merge("w", into="v")
    house.send("w", top_up.entry_id)
    assert Reason.LOT_NOT_OPEN == refusal(lambda: house.send("w", top_up.entry_id))
    assert Reason.LOT_NOT_OPEN == refusal(lambda: house.send("w", 999))


def test_only_what_was_sent_arrives():
    house = house_of_two()
    top_up = house.top_up("a", 100)
    house.books.transits[top_up.entry_id] = Transit(5, top_up.entry_id, house.wallet("v").wallet_id, is_open=False)
    assert Reason.ORIGINAL_UNKNOWN == refusal(lambda: house.arrive(top_up))


def test_a_lot_that_a_hold_keeps_waits():
    house = house_of_two()
    top_up = house.top_up("a", 100)
    house.hold("c", 50)
    house.merge("w", into="v")
    assert Reason.WALLET_HAS_HOLDS == refusal(lambda: house.send("w", top_up.entry_id))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fen_is_lost_whatever_happens_between_the_halves(seed: int):
    """Spending, refunds and chains of merges in any order; `House.check` holds the accounts of SUMS 2 each time."""
    draw = random.Random(seed)
    house = house_of_two()
    house.member("u")
    for card in "wvu":
        for _ in range(draw.randrange(1, 4)):
            house.top_up(draw.choice("ab"), draw.randrange(1, 100_000), card=card)
    purchases = []
    for _ in range(draw.randrange(1, 8)):
        card = draw.choice("wvu")
        balance = house.wallet(card).balance_minor
        if balance:
            purchases.append(house.purchase("c", draw.randrange(1, balance + 1), card=card))
    worth = house.accounts().get("WALLET", 0)
    house.merge("w", into="v")
    merged = ["w"]
    sent: list[Done] = []
    for _ in range(60):
        act = draw.randrange(5)
        if act == 0 and "v" not in merged:
            house.merge("v", into="u")
            merged.append("v")
        elif act == 1 and purchases:
            purchase = draw.choice(purchases)
            left = purchase.decision.amount_minor - house.books.originals_by_entry[purchase.entry_id].returned
            if left:
                amount = draw.randrange(1, left + 1)
                house.refund("c", amount, purchase)
                worth += amount
        elif act == 2 and sent:
            house.arrive(sent.pop(draw.randrange(len(sent))))
        else:
            card = draw.choice(merged)
            lots = house.wallet(card).open_lots()
            if lots:
                sent.append(house.send(card, draw.choice(lots).lot_id))
        assert worth == sum(house.accounts().get(name, 0) for name in ("WALLET", "TRANSIT(A)", "TRANSIT(B)"))
    while sent or any(house.wallet(card).open_lots() for card in merged):
        for done in sent:
            house.arrive(done)
        sent = [house.send(card, lot.lot_id) for card in merged for lot in house.wallet(card).open_lots()]
    last = "u" if "v" in merged else "v"
    others = sum(house.wallet(card).balance_minor for card in "wvu" if card not in merged and card != last)
    assert worth == house.wallet(last).balance_minor + others
