"""Points, worked by hand: B owes them, C and D sell. Claims in points are told with their version."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.points_programme import EarnStep, PointsProgramme
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines
from tests.domain.test_decisions import declined

PROGRAMME: dict[str, Any] = {
    "debtor": "b",
    "earned_at": ["c", "a"],
    "steps": [{"from_minor": 10000, "rate": "1/100"}, {"from_minor": 50000, "rate": "2/100"}],
    "value": "1/2",
    "borne_by": "ACQUIRER",
    "spent_at": ["c", "d"],
}


@pytest.fixture
def house() -> House:
    """A sells stored value without a bonus, taken at C and D; of 100.00 on a purchase earns a point a yuan, of 500.00
    on two. B owes the points, a point is worth half a fen, who sold pays for them.
    """
    house = House()
    house.terms("a", "0")
    for acquirer in "cd":
        house.accept("a", acquirer)
        house.acquire(acquirer)
    house.acquire("a")
    house.agree("points", "POINTS", **PROGRAMME)
    house.top_up("a", 1000000)
    return house


@pytest.mark.parametrize(("amount", "points"), [(9999, 0), (10000, 100), (10099, 100), (49999, 499), (50000, 1000)])
def test_a_purchase_earns_by_the_highest_step_it_reaches_rounded_down(amount: int, points: int):
    steps = (EarnStep(10000, Rate.of(1, 100)), EarnStep(50000, Rate.of(2, 100)))
    assert points == PointsProgramme("b", ("c",), steps, Rate.of(1), "DEBTOR", (), "monthly").earned(amount)


def test_points_are_earned_in_the_purchases_own_entry_and_who_sold_pays_for_them(house: House):
    """300.00 at C: 300 points; C owes B what they are worth, told in points."""
    sale = house.purchase("c", 30000)
    assert lines("WALLET->FLOAT(A) 30000, A=>C 30000, POINTS(B)->POINTS 300 points, C=>B 300 points v1") == sale.legs
    told = {"points": "300", "points_balance": "300", "points_programme": "points"}
    assert told == {name: fact for name, fact in (sale.decision.facts or {}).items() if name in told}
    assert 300 == house.points()
    unit = house.versions[-1].unit
    assert {"B": 300, "C": -300} == house.nets(unit=unit or 0)
    assert {"A": -30000, "C": 30000} == house.nets()


def test_a_sale_below_the_threshold_or_elsewhere_earns_nothing(house: House):
    assert lines("WALLET->FLOAT(A) 9999, A=>C 9999") == house.purchase("c", 9999).legs
    assert lines("WALLET->FLOAT(A) 30000, A=>D 30000") == house.purchase("d", 30000).legs


def test_the_debtor_may_bear_its_points_itself(house: House):
    house.agree("points", "POINTS", **PROGRAMME | {"borne_by": "DEBTOR"})
    assert lines("WALLET->FLOAT(A) 30000, A=>C 30000, POINTS(B)->POINTS 300 points") == house.purchase("c", 30000).legs


def test_a_refund_takes_back_what_the_rule_gives_no_more_for_what_is_left(house: House):
    """600.00 earned 1200. 100.01 go back: 499.99 earn 499, 701 go. 400.00 more: below the threshold, all goes."""
    sale = house.purchase("c", 60000)
    assert 1200 == house.points()
    first = house.refund("c", 10001, sale)
    assert lines("FLOAT(A)->WALLET 10001, C=>A 10001, POINTS->POINTS(B) 701 points, B=>C 701 points v1") == first.legs
    assert 499 == house.points()
    house.refund("c", 40000, sale)
    assert 0 == house.points()
    assert lines("FLOAT(A)->WALLET 9999, C=>A 9999") == house.refund("c", 9999, sale).legs
    assert {} == house.nets(unit=house.versions[-1].unit or 0)


def test_a_refund_follows_the_version_the_purchase_was_made_under(house: House):
    """Today's version gives five a yuan at a fen a point; the purchase of yesterday is taken back by yesterday's."""
    sale = house.purchase("c", 30000)
    house.later(1)
    dear = {"steps": [{"from_minor": 1, "rate": "5/100"}], "value": "1"}
    house.agree("points", "POINTS", since="2026-01-11", **PROGRAMME | dear)
    back = house.refund("c", 30000, sale)
    assert lines("FLOAT(A)->WALLET 30000, C=>A 30000, POINTS->POINTS(B) 300 points, B=>C 300 points v1") == back.legs
    new = house.purchase("c", 30000)
    assert lines("WALLET->FLOAT(A) 30000, A=>C 30000, POINTS(B)->POINTS 1500 points, C=>B 1500 points v2") == new.legs


@given(st.lists(st.integers(1, 30000), max_size=8))
def test_points_of_any_slices_of_a_full_refund_are_the_exact_inverse(slices: list[int]):
    """Promise 10: after each slice the member keeps what the rule gives for what is left, and nothing in the end."""
    house = House()
    house.terms("a", "0")
    house.accept("a", "c")
    house.acquire("c")
    house.agree("points", "POINTS", **PROGRAMME)
    house.top_up("a", 100000)
    sale, left = house.purchase("c", 60000), 60000
    _, content = house.books.programme.points_version(house.versions[-1].agreement_id, 1)
    for wanted in [*slices, 60000]:
        amount = min(wanted, left)
        if amount:
            left -= amount
            house.refund("c", amount, sale)
            assert content.earned(left) == house.points()
    assert {} == house.nets(unit=house.versions[-1].unit or 0)


def test_a_reversal_takes_the_points_back_and_one_of_a_capture_does_too(house: House):
    sale = house.purchase("c", 60000)
    house.reverse("c", sale)
    assert 0 == house.points()
    hold = house.hold("c", 30000)
    assert 0 == house.points(), "a hold is no sale"
    capture = house.capture("c", 20000, hold)
    assert 200 == house.points()
    house.reverse("c", capture)
    assert 0 == house.points()


def test_points_are_spent_where_they_are_honoured_and_earn_none(house: House):
    """D takes 200 of B's: B owes D what they are worth, 1.00 yuan at half a fen a point."""
    house.purchase("c", 30000)
    spent = house.spend_points("d", 200)
    assert lines("POINTS->POINTS(B) 200 points, B=>D 200 points v1") == spent.legs
    assert (0, 0, "100") == (
        *(spent.decision.amount_minor, spent.decision.balance_change),
        (spent.decision.facts or {})["points_worth_minor"],
    )
    assert 100 == house.points()
    assert "100" == declined(Reason.POINTS_TOO_FEW, lambda: house.spend_points("d", 101)).metadata["points"]
    declined(Reason.POINTS_PROGRAMME_UNKNOWN, lambda: house.spend_points("a", 1))  # A earns, and takes none
    declined(Reason.POINTS_PROGRAMME_UNKNOWN, lambda: house.spend_points("d", 1, "others"))
    house.stop("b")
    declined(Reason.PARTICIPANT_CAPPED, lambda: house.spend_points("d", 1))


def test_points_that_were_spent_come_back_in_slices_and_no_more_than_were_spent(house: House):
    house.purchase("c", 30000)
    spent = house.spend_points("d", 200)
    assert lines("POINTS(B)->POINTS 50 points, D=>B 50 points v1") == house.return_points("d", spent, 50).legs
    refused = declined(Reason.REFUND_EXCEEDS_ORIGINAL, lambda: house.return_points("d", spent, 151))
    assert "150" == refused.metadata["points"]
    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, lambda: house.return_points("c", spent))
    house.return_points("d", spent)
    assert 300 == house.points()
    declined(Reason.REFUND_EXCEEDS_ORIGINAL, lambda: house.return_points("d", spent))
    again = house.spend_points("d", 300)
    house.return_points("d", again, 100)
    assert lines("POINTS(B)->POINTS 200 points, D=>B 200 points v1") == house.reverse("d", again).legs
    assert lines("") == house.reverse("d", again).legs


def test_points_that_were_spent_before_the_refund_fall_below_zero_and_fill_up_again(house: House):
    """The farm: buy, spend the points, give the goods back. The next purchase pays for it; nothing can be spent."""
    sale = house.purchase("c", 30000)
    house.spend_points("d", 300)
    house.refund("c", 30000, sale)
    assert -300 == house.points()
    declined(Reason.POINTS_TOO_FEW, lambda: house.spend_points("d", 1))
    house.purchase("c", 40000)
    assert 100 == house.points()


def test_at_its_own_debtors_nothing_is_owed_for_points(house: House):
    house.agree("points", "POINTS", **PROGRAMME | {"earned_at": ["b"], "spent_at": ["b"]})
    house.accept("a", "b")
    house.acquire("b")
    assert lines("WALLET->FLOAT(A) 30000, A=>B 30000, POINTS(B)->POINTS 300 points") == house.purchase("b", 30000).legs
    assert lines("POINTS->POINTS(B) 300 points") == house.spend_points("b", 300).legs


def test_who_leaves_hands_its_points_over_and_pays_for_what_they_are_worth_today(house: House):
    """B owes 300 points, and D takes its place: B pays what they are worth by the newest version, D owes them then."""
    sale = house.purchase("c", 30000)
    house.agree("points", "POINTS", **PROGRAMME | {"value": "1"})
    legs = house.hand_over("b", "d")
    assert lines("POINTS(D)->POINTS(B) 300 points, B=>D 300 points v2") == legs
    assert lines("POINTS->POINTS(D) 100 points, D=>C 100 points v2") == house.spend_points("c", 100).legs
    assert lines("POINTS->POINTS(D) 50 points") == house.spend_points("d", 50).legs
    back = house.refund("c", 30000, sale)
    assert lines("FLOAT(A)->WALLET 30000, C=>A 30000, POINTS->POINTS(D) 300 points, D=>C 300 points v1") == back.legs
    assert -150 == house.points()
    legs = house.hand_over("d", "c")
    assert lines("POINTS(D)->POINTS(C) 150 points, C=>D 150 points v2") == legs
