"""Opening lots (docs/decisions/0019): the worked example, to the fen; then they are lots like all others."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from coalition.domain.commands import OpenLot
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from tests.domain.house import Done, House, lines


def house_of(**terms: Any) -> House:
    house = House()
    house.terms("a", **terms)
    house.accept("a", "c")
    house.acquire("c")
    return house


def open_lot(house: House, paid: int, bonus: int = 0, expiry: date | None = None, **more: Any) -> Done:
    command = OpenLot(
        **house._asks_of_house(),
        wallet_id=house.wallet().wallet_id,
        issuer_id=house.participants["a"].participant_id,
        amount_minor=paid,
        bonus_minor=bonus,
        bonus_expiry=expiry,
        **more,
    )
    return house._run(command)


def refusal(work: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as raised:
        work()
    return raised.value.reason


def test_what_is_held_by_the_issuer_is_owed_by_it_and_nobody_owes_it_anything():
    house = house_of(seller_commission="1/10", minimum_minor=10**9, balance_limit_minor=1)
    opened = open_lot(house, 62500, 12500, date(2026, 12, 31))
    assert lines("FLOAT(A)->WALLET 62500, BONUS(A)->WALLET 12500") == opened.legs
    (lot,) = house.wallet().open_lots()
    assert (75000, 62500, date(2026, 12, 31)) == (lot.face_sold, lot.principal_sold, lot.bonus_expiry)
    assert lines("WALLET->FLOAT(A) 25000, WALLET->BONUS(A) 5000, A=>C 25000, A=>C 5000") == (
        house.purchase("c", 30000).legs
    )
    assert {"A": -30000, "C": 30000} == house.nets(1)


def test_what_custody_holds_the_issuer_pays_in_as_who_took_the_cash():
    house = house_of(custody="OPERATOR_HELD")
    opened = open_lot(house, 62500, 12500)
    assert lines("FLOAT(T,A)->WALLET 62500, BONUS(A)->WALLET 12500, A=>T 62500") == opened.legs
    house.purchase("c", 30000)
    assert {"A": -67500, "C": 30000, "T": 37500} == house.nets(1)
    house.next_window()
    assert lines("WALLET->FLOAT(T,A) 37500, WALLET->BONUS(A) 7500, T=>A 37500") == house.cash_out("a").legs
    assert {} == house.accounts()


def test_a_line_may_say_another_custody_than_the_terms():
    house = house_of()
    assert lines("FLOAT(T,A)->WALLET 100, A=>T 100") == open_lot(house, 100, custody="OPERATOR_HELD").legs
    house = house_of(custody="OPERATOR_HELD")
    assert lines("FLOAT(A)->WALLET 100") == open_lot(house, 100, custody="ISSUER_HELD").legs


def test_bonus_alone_is_a_lot_and_expires_on_its_day():
    house = house_of()
    opened = open_lot(house, 0, 500, date(2026, 1, 10))
    house.later(1)
    assert ["WALLET->BONUS(A) 500"] == house.expire(opened).legs


def test_what_cannot_be_opened_is_refused_with_the_reason():
    house = house_of()
    assert Reason.LOT_NOT_OPEN == refusal(lambda: open_lot(house, 1, 1, date(2026, 1, 9)))
    assert Reason.TERMS_UNKNOWN == refusal(lambda: open_lot(house, 1, terms_code="others"))
    house.wallet().state = "CLOSED"
    assert Reason.WALLET_CLOSED == refusal(lambda: open_lot(house, 1))
