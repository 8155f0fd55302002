"""Points that become value, worked by hand: B owes them; they become value of A in custody, or a voucher of B's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.agreements import parse_content
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines
from tests.domain.test_decisions import declined
from tests.domain.test_points import PROGRAMME

STORED: dict[str, Any] = {"issuer": "a", "rate": "1/3", "minimum_points": 100, "step_points": 10}
VOUCHER: dict[str, Any] = {"rate": "1", "voucher_months": 1}


def opened(conversion: dict[str, Any], **terms: Any) -> House:
    """A sells stored value without a bonus, also through B; taken at C and D. 1,000 points of B's are in the wallet."""
    house = House()
    house.terms("a", "0", **{"sellers": ["a", "b"]} | terms)
    house.terms("b", "0")
    for acquirer in "cd":
        house.accept("a", acquirer)
        house.accept("b", acquirer)
        house.acquire(acquirer)
    house.acquire("a")
    house.agree("points", "POINTS", **PROGRAMME | {"conversion": conversion})
    house.top_up("a", 50000)
    house.purchase("c", 50000)
    assert 1000 == house.points()
    return house


def test_points_become_stored_value_that_their_debtor_pays_for():
    """310 points at a third of a fen are 103 fen and a third, which stays with B: steps of 30 would leave nothing."""
    house = opened(STORED)
    done = house.convert_points("d", 310)
    assert lines("POINTS->POINTS(B) 310 points, FLOAT(A)->WALLET 103, B=>A 103") == done.legs
    assert (103, 103, 0) == (done.decision.amount_minor, done.decision.principal_minor, done.decision.bonus_minor)
    assert (690, 103) == (house.points(), house.wallet().balance_minor)


def test_who_holds_the_principal_is_paid_for_it():
    house = opened(STORED, custody="OPERATOR_HELD")
    done = house.convert_points("d", 300)
    assert lines("POINTS->POINTS(B) 300 points, FLOAT(T,A)->WALLET 100, B=>T 100") == done.legs


def test_a_voucher_is_all_bonus_of_the_debtors_and_ends():
    """Nothing is owed for it before it is spent; then B owes C, as it does for any bonus of its own."""
    house = opened(VOUCHER)
    done = house.convert_points("c", 400)
    assert lines("POINTS->POINTS(B) 400 points, BONUS(B)->WALLET 400") == done.legs
    spent = house.purchase("c", 300)
    assert lines("WALLET->BONUS(B) 300, B=>C 300") == spent.legs
    assert lines("BONUS(B)->WALLET 100, C=>B 100") == house.refund("c", 100, spent).legs
    lot = house.wallet().lots[done.entry_id]
    assert "2026-02-10" == str(lot.bonus_expiry)
    declined(Reason.LOT_NOT_OPEN, lambda: house.expire(done))
    house.later(32)
    assert lines("WALLET->BONUS(B) 200") == house.expire(done).legs
    assert 0 == house.wallet().balance_minor


def test_a_voucher_that_is_cashed_out_is_lost_because_nothing_was_paid_for_it():
    house = opened(VOUCHER)
    house.convert_points("c", 400)
    assert 0 == house.cash_out("b").decision.amount_minor


def test_what_is_not_agreed_is_refused_and_says_what_would_do():
    house = opened(STORED)
    for points in (99, 109, 90):
        refused = declined(Reason.POINTS_NOT_CONVERTIBLE, lambda points=points: house.convert_points("d", points))
        assert {"minimum_points": "100", "step_points": "10"} == refused.metadata
    assert "1000" == declined(Reason.POINTS_TOO_FEW, lambda: house.convert_points("d", 1010)).metadata["points"]
    declined(Reason.POINTS_PROGRAMME_UNKNOWN, lambda: house.convert_points("a", 300))
    house.stop("b")
    declined(Reason.PARTICIPANT_CAPPED, lambda: house.convert_points("d", 300))


def test_a_debtor_at_its_cap_sells_no_value_that_others_hold_not_even_at_home():
    """At its own till nothing is owed for points that are spent; for stored value of A's the money is."""
    house = opened(STORED)
    house.agree("points", "POINTS", **PROGRAMME | {"spent_at": ["b"], "conversion": STORED})
    house.stop("b")
    declined(Reason.PARTICIPANT_CAPPED, lambda: house.convert_points("b", 300))
    house.agree("points", "POINTS", **PROGRAMME | {"spent_at": ["b"], "conversion": VOUCHER})
    house.convert_points("b", 300)


def test_without_a_conversion_points_become_nothing():
    house = opened(STORED)
    house.agree("points", "POINTS", **PROGRAMME)
    assert {} == declined(Reason.POINTS_NOT_CONVERTIBLE, lambda: house.convert_points("d", 300)).metadata


def test_an_issuer_that_lets_the_debtor_sell_nothing_owes_nothing():
    house = opened(STORED, sellers=["a"])
    declined(Reason.TERMS_NOT_SOLD_HERE, lambda: house.convert_points("d", 300))


def test_the_limits_of_balances_hold_for_what_points_become():
    house = opened(STORED)
    house.agree("rules", "CARD_RULES", bearer_balance_limit_minor=99)
    declined(Reason.BALANCE_ABOVE_LIMIT, lambda: house.convert_points("d", 300))
    house = opened(STORED, balance_limit_minor=60000)
    house.top_up("a", 59901)
    declined(Reason.BALANCE_ABOVE_LIMIT, lambda: house.convert_points("d", 300))


@pytest.mark.parametrize("conversion", [STORED, VOUCHER])
def test_a_reversal_is_the_mirror_while_the_lot_is_untouched(conversion: dict[str, Any]):
    house = opened(conversion)
    before = house.nets()
    done = house.convert_points("d", 300)
    house.reverse("d", done)
    assert (1000, 0) == (house.points(), house.wallet().balance_minor)
    assert before == house.nets()
    assert [] == house.reverse("d", done).legs, "a second finds nothing left"


def test_a_conversion_whose_lot_is_touched_is_not_reversed():
    """Undone, the merchant that was paid with it would have been paid with nothing. Refunded in full, it is."""
    house = opened(STORED)
    done = house.convert_points("d", 300)
    sale = house.purchase("c", 1)
    declined(Reason.LOT_TOUCHED, lambda: house.reverse("d", done))
    house.refund("c", 1, sale)
    assert lines("POINTS(B)->POINTS 300 points, WALLET->FLOAT(A) 100, A=>B 100") == house.reverse("d", done).legs


def test_a_successor_pays_for_who_owes_the_points():
    house = opened(STORED)
    house.hand_over("b", "s")
    house.agree("terms-a", "TERMS", **TERMS_OF_S)
    done = house.convert_points("d", 300)
    assert lines("POINTS->POINTS(S) 300 points, FLOAT(A)->WALLET 100, S=>A 100") == done.legs


TERMS_OF_S: dict[str, Any] = {"issuer": "a", "sellers": ["a", "s"]}


@given(st.lists(st.integers(1, 400), max_size=6), st.sampled_from(["1/3", "2/7", "1", "5/2"]))
def test_no_slicing_brings_more_than_all_at_once(slices: list[int], rate: str):
    """The floor is the debtor's: every conversion loses less than a fen, and none gains."""
    house = opened({"issuer": "a", "rate": rate, "minimum_points": 4})
    _, content = house.books.programme.points_version(house.versions[-1].agreement_id, 1)
    assert content.conversion is not None
    converted = got = taken = 0
    for points in slices:
        if content.conversion.takes(points) and points <= house.points():
            got += house.convert_points("d", points).decision.amount_minor
            converted, taken = converted + points, taken + 1
    assert content.conversion.worth(converted) - taken <= got <= content.conversion.worth(converted)
    assert got == house.wallet().balance_minor


@pytest.mark.parametrize(
    ("field", "conversion"),
    [
        ("content.conversion.rate", {"rate": "1/101", "minimum_points": 100}),
        ("content.conversion.rate", {}),
        ("content.conversion.issuer", {"rate": "1", "issuer": "a", "voucher_months": 12}),
        ("content.conversion.minimum_points", {"rate": "1", "minimum_points": 0}),
        ("content.conversion.step", {"rate": "1", "step": 3}),
        ("content.conversion", "1/3"),
    ],
)
def test_a_conversion_that_makes_no_sense_names_its_field(field: str, conversion: Any):
    with pytest.raises(Refused) as caught:
        parse_content("POINTS", PROGRAMME | {"conversion": conversion})
    assert field == caught.value.field
