"""The everyday cases that the goldens do not show: returns elsewhere, closing a wallet, who may reverse a top-up."""

from dataclasses import replace

import pytest

from coalition.domain.commands import Goods
from coalition.domain.pins import HeldPin
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines
from tests.domain.test_decisions import declined

FEES = {"operator_fee": "6/1000", "commission": "1/100"}


@pytest.fixture
def house() -> House:
    """Terms "2.4" of the goldens, issuer-held by A, taken at C; what C sold may be returned at D."""
    house = House()
    house.terms("a")
    house.accept("a", "c")
    house.acquire("c", **FEES, returns_at=["d"])
    house.acquire("d", **FEES)
    house.top_up("a", 100000)
    return house


def test_a_return_elsewhere_mirrors_the_sale_and_who_keeps_the_goods_pays_their_price(house: House):
    """C gives 10000 back and gets 160 of fees: 9840 short, which is what D pays it; so C stands as after the sale."""
    purchase = house.purchase("c", 30000)
    house.next_window()
    back = house.return_elsewhere("d", 10000, purchase)

    mirrored = "FLOAT(A)->WALLET 8333, BONUS(A)->WALLET 1667, C=>A 8333, C=>A 1667, H=>C 60, A=>C 100"
    assert lines(f"{mirrored}, D=>C 9840") == back.legs
    assert {"A": 9900, "D": -9840, "H": -60} == house.nets(2)


def test_goods_that_go_back_to_their_seller_cost_who_took_them_nothing(house: House):
    purchase = house.purchase("c", 30000)
    house.next_window()
    house.return_elsewhere("d", 10000, purchase, Goods.PASSED_ON)

    assert {"A": 9900, "C": -9840, "H": -60} == house.nets(2)


def test_goods_whose_bonus_the_seller_bore_cost_what_the_seller_had_earned():
    """C bore 5000 of the 30000 and got 25000 less 480 of fees: that is the price, in whatever slices."""
    house = House()
    house.terms("a")
    house.accept("a", "c", issuer_bonus_share="0")
    house.acquire("c", **FEES, returns_at=["chain:mall"])
    house.top_up("a", 100000)
    elsewhere = House("abcds", {"d": "mall"})
    house.participants = elsewhere.participants
    house.books.programme = house._programme()
    purchase = house.purchase("c", 30000)
    house.next_window()
    for slice_ in (1, 9999, 20000):
        house.return_elsewhere("d", slice_, purchase)

    assert {"A": 25000 - 300, "D": -24520, "H": -180} == house.nets(2)
    assert {"WALLET": 120000, "FLOAT(A)": 100000, "BONUS(A)": 20000} == house.accounts()


def test_a_return_elsewhere_needs_the_sellers_consent_of_the_day_of_the_sale(house: House):
    purchase = house.purchase("c", 30000)

    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.return_elsewhere, "b", 10000, purchase)
    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.return_elsewhere, "d", 10000, purchase, Goods.OWN)
    house.acquire("c", **FEES)
    house.return_elsewhere("d", 10000, purchase)
    later = house.purchase("c", 1000)
    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.return_elsewhere, "d", 1000, later)
    declined(Reason.REFUND_EXCEEDS_ORIGINAL, house.return_elsewhere, "d", 20001, purchase)


def test_who_says_so_of_an_own_purchase_pays_itself_nothing(house: House):
    purchase = house.purchase("c", 30000)

    assert house.refund("c", 10000, purchase).legs == house.return_elsewhere("c", 10000, purchase).legs


def test_a_closed_wallet_takes_refunds_which_are_paid_out_and_nothing_else(house: House):
    purchase = house.purchase("c", 30000)
    closing = house.cash_out("a", closes=True)

    assert lines("WALLET->FLOAT(A) 75000, WALLET->BONUS(A) 15000") == closing.legs
    assert (75000, {"wallet_state": "CLOSED"}) == (closing.decision.amount_minor, closing.decision.facts)
    declined(Reason.WALLET_CLOSED, house.top_up, "a", 1000)
    declined(Reason.WALLET_CLOSED, house.purchase, "c", 1)
    declined(Reason.WALLET_CLOSED, house.hold, "c", 1)
    declined(Reason.INSUFFICIENT_FUNDS, house.cash_out, "d", closes=True)
    house.refund("c", 30000, purchase)
    again = house.cash_out("d")
    assert lines("WALLET->FLOAT(A) 25000, WALLET->BONUS(A) 5000, A=>D 25000") == again.legs
    assert {"wallet_state": "CLOSED"} == again.decision.facts
    assert {} == house.accounts()


def test_an_empty_wallet_is_closed_for_nothing_and_a_plain_cash_out_closes_none(house: House):
    assert house.cash_out("a").decision.facts is None
    declined(Reason.INSUFFICIENT_FUNDS, house.cash_out, "a")
    assert 0 == house.cash_out("a", closes=True).decision.amount_minor
    assert "CLOSED" == house.wallet().state


def test_cash_needs_the_pin_above_the_limit_and_a_card_that_is_not_lent(house: House):
    """What leaves is the principal: 100000 of 120000."""
    house.agree("rules", "CARD_RULES", no_pin_limit_minor=100000)
    house.books.pins = {1: HeldPin(5, 1, 2, 0)}
    card = house.books.cards[b"w"]
    for limit in ("operation_limit_minor", "day_limit_minor", "month_limit_minor"):
        house.books.cards[b"w"] = replace(card, **{limit: 10**9})  # type: ignore[arg-type]  # each is an amount
        declined(Reason.CARD_LIMIT_EXCEEDED, house.cash_out, "a")
    house.books.cards[b"w"] = card
    house.agree("rules", "CARD_RULES", no_pin_limit_minor=99999)
    declined(Reason.PIN_REQUIRED, house.cash_out, "a")
    house.agree("rules", "CARD_RULES", no_pin_limit_minor=100000)
    house.books.cards[b"w"] = replace(card, kind="PHONE")
    declined(Reason.PIN_REQUIRED, house.cash_out, "a")
    house.books.cards[b"w"] = card
    assert 100000 == house.cash_out("a").decision.amount_minor


@pytest.mark.parametrize("who", "sah")
def test_a_bounced_top_up_is_reversed_by_seller_issuer_or_operator(who: str):
    house = House()
    house.terms("a", sellers=["s"])
    top_up = house.top_up("s", 100000, issuer="a")

    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.reverse_top_up, "b", top_up)
    assert lines("WALLET->FLOAT(A) 100000, WALLET->BONUS(A) 20000, A=>S 100000") == (
        house.reverse_top_up(who, top_up).legs
    )
    declined(Reason.LOT_NOT_OPEN, house.reverse_top_up, who, top_up)


def test_claims_of_principal_in_custody_go_by_the_calendar_of_the_terms():
    """Daily, while bonus and fees are settled by the month; a refund's go the same two ways."""
    house = House(calendars=("monthly", "daily"))
    house.books.windows = {house.calendars["monthly"]: 1, house.calendars["daily"]: 9}
    house.terms("a", custody="OPERATOR_HELD", calendar="daily")
    house.accept("a", "c")
    house.acquire("c", **FEES)
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)
    house.refund("c", 30000, purchase)

    windows = {(house.leg(leg).split()[0], leg.window_id) for leg in house.transfers() if leg.window_id}
    by_day = {("A=>T", 9), ("T=>C", 9), ("C=>T", 9)}
    assert by_day | {("A=>C", 1), ("C=>A", 1), ("C=>H", 1), ("H=>C", 1)} == windows
