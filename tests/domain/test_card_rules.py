"""Card rules of a top-up and of its return: each bound at one fen below, at it and above, each day at its edge."""

from datetime import date
from typing import Any

import pytest

from coalition.domain.commands import Funding
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines

CAP = 120_000


def shop(bonus: str = "0", named: bool = False, **rules: Any) -> House:
    house = House()
    house.terms("a", bonus)
    house.accept("a", "c")
    house.acquire("c")
    house.agree("rules", "CARD_RULES", **rules)
    house.wallet().is_named = named
    return house


def reason_of(call: Any, *arguments: Any, **named: Any) -> Reason:
    with pytest.raises(Refused) as refused:
        call(*arguments, **named)
    return refused.value.reason


@pytest.mark.parametrize(("named", "cap"), [(False, CAP), (True, CAP + 600)])
def test_a_wallet_holds_at_most_what_its_kind_may(named: bool, cap: int):
    """Principal and bonus together, what was there before included."""
    house = shop("1/5", named, bearer_balance_limit_minor=CAP, named_balance_limit_minor=CAP + 600)
    house.top_up("a", 5_000)
    left = (cap - 6_000) * 5 // 6

    assert Reason.BALANCE_ABOVE_LIMIT == reason_of(house.top_up, "a", left + 1)
    house.top_up("a", left - 5)
    house.top_up("a", 5)
    assert cap == house.wallet().balance_minor
    assert Reason.BALANCE_ABOVE_LIMIT == reason_of(house.top_up, "a", 1)


def test_a_bearer_buys_below_the_real_name_amount_only():
    house = shop(real_name_top_up_from_minor=1_000)

    house.top_up("a", 999)
    assert Reason.REAL_NAME_REQUIRED == reason_of(house.top_up, "a", 1_000)
    house.wallet().is_named = True
    house.top_up("a", 1_001)


def test_much_money_does_not_come_in_cash():
    house = shop(transfer_top_up_from_minor=1_000)

    house.top_up("a", 999)
    for amount in (1_000, 1_001):
        assert Reason.FUNDING_NOT_ALLOWED == reason_of(house.top_up, "a", amount)
    for funding in (Funding.BANK_TRANSFER, Funding.DEBIT_CARD, Funding.CREDIT_CARD):
        assert {"funding": funding.value} == house.top_up("a", 1_000, funding=funding).decision.facts


def test_value_is_not_bought_on_credit_where_that_is_forbidden():
    house = shop(credit_funding_allowed=False)

    assert Reason.FUNDING_NOT_ALLOWED == reason_of(house.top_up, "a", 1, funding=Funding.CREDIT_CARD)
    house.top_up("a", 1, funding=Funding.DEBIT_CARD)


@pytest.mark.parametrize(("months", "sold"), [(35, False), (36, True), (37, True), (None, True)])
def test_a_bearer_is_not_sold_what_expires_too_soon(months: int | None, sold: bool):
    """Nobody can tell a bearer that the bonus ends; a named member can be told."""
    house = shop("1/5", bearer_bonus_months_min=36)
    house.agree("terms-a", "TERMS", issuer="a", bonus_months=months)

    if not sold:
        assert Reason.REAL_NAME_REQUIRED == reason_of(house.top_up, "a", 100)
        house.wallet().is_named = True
    house.top_up("a", 100)


def test_a_top_up_in_cash_is_the_request_it_always_was():
    """Its body hash is stored by earlier releases: a till that repeats itself over an upgrade must be recognised."""
    house = shop()
    cash, transfer = house.top_up("a", 1), house.top_up("a", 1, funding=Funding.BANK_TRANSFER)

    assert b"|3|" == cash.command._particulars()[1:]
    assert b"|3||BANK_TRANSFER" == transfer.command._particulars()[1:]
    assert cash.decision.facts is None


def test_a_top_up_is_returned_whole_within_its_days():
    """Seven days after the day of payment are seven days: the seventh is the last."""
    house = shop("1/5", return_days=7)
    first, second = house.top_up("a", 10_000), house.top_up("a", 20_000)

    house.on(date(2026, 1, 17))
    back = house.return_top_up("a", first)
    assert lines("WALLET->FLOAT(A) 10000, WALLET->BONUS(A) 2000") == back.legs
    assert (10_000, 10_000, 2_000) == (
        back.decision.amount_minor,
        back.decision.principal_minor,
        back.decision.bonus_minor,
    )
    assert 24_000 == house.wallet().balance_minor
    house.later(1)
    assert Reason.RETURN_TOO_LATE == reason_of(house.return_top_up, "a", second)


def test_the_days_are_those_that_held_when_it_was_sold():
    """What the member was promised at the counter is not shortened by a later version."""
    house = shop(return_days=7)
    sold = house.top_up("a", 100)
    house.agree("rules", "CARD_RULES", "2026-01-11", return_days=1)
    house.later(1)
    later = house.top_up("a", 100)
    house.on(date(2026, 1, 13))

    assert Reason.RETURN_TOO_LATE == reason_of(house.return_top_up, "a", later)
    house.return_top_up("a", sold)


def test_custody_pays_the_seller_who_pays_the_member_and_the_commission_returns():
    """Sold by s for a in custody: every claim of the sale is mirrored (SUMS section 3)."""
    house = House()
    house.terms("a", "1/5", custody="OPERATOR_HELD", sellers=["s"], seller_commission="1/100")
    sold = house.top_up("s", 10_000, issuer="a")
    house.next_window()

    back = house.return_top_up("s", sold)
    assert lines("WALLET->FLOAT(T,A) 10000, WALLET->BONUS(A) 2000, T=>S 10000, S=>A 100") == back.legs
    assert {} == house.accounts()
    assert {} == house.nets()


def test_a_touched_lot_is_not_returned():
    """One fen spent or held is enough; refunded in full it is whole again, for a refund is the exact inverse."""
    house = shop("1/5", return_days=7)
    sold = house.top_up("a", 10_000)
    bought = house.purchase("c", 1)
    assert Reason.LOT_TOUCHED == reason_of(house.return_top_up, "a", sold)
    house.refund("c", 1, bought)
    hold = house.hold("c", 1)
    assert Reason.LOT_TOUCHED == reason_of(house.return_top_up, "a", sold)
    house.void("c", hold)

    house.return_top_up("a", sold)
    assert Reason.LOT_NOT_OPEN == reason_of(house.return_top_up, "a", sold)
    assert 0 == house.wallet().balance_minor


def test_only_the_seller_returns_and_only_a_top_up():
    house = shop()
    house.acquire("a")
    sold, bought = house.top_up("a", 10_000), house.purchase("c", 10)

    assert Reason.ORIGINAL_UNKNOWN == reason_of(house.return_top_up, "c", sold)
    assert Reason.ORIGINAL_NOT_REFUNDABLE == reason_of(house.return_top_up, "c", bought)


def test_a_returned_top_up_is_gone_for_its_reversal_too():
    """A late reversal of a top-up that was paid back finds nothing left: the money is not taken twice."""
    house = shop()
    sold = house.top_up("a", 10_000)
    house.return_top_up("a", sold)

    assert 0 == house.reverse("a", sold).decision.amount_minor
    assert Reason.LOT_NOT_OPEN == reason_of(house.reverse_top_up, "a", sold)
