"""A participant leaves, worked by hand: its value lives on with its successor, to the fen, in every later operation."""

import pytest

from coalition.domain.reasons import Reason
from tests.domain.house import House, lines
from tests.domain.test_decisions import declined

FEES = {"operator_fee": "6/1000", "commission": "1/100"}


@pytest.fixture
def house() -> House:
    """A issues 100000 + 20000, issuer-held, taken at C; G (here B) is to stand for it."""
    house = House()
    house.terms("a")
    house.accept("a", "c", interchange="1/100")
    house.acquire("c", **FEES)
    house.acquire("b")
    house.top_up("a", 100000)
    return house


def test_what_the_lots_owe_is_handed_over_and_the_cash_is_claimed(house: House):
    """30000 were spent: 75000 of principal and 15000 of bonus are left; the bonus is sold for 9000."""
    purchase = house.purchase("c", 30000)
    house.next_window()
    legs = house.hand_over("a", "b", bonus_price=9000)

    assert lines("FLOAT(B)->FLOAT(A) 75000, BONUS(B)->BONUS(A) 15000, A=>B 84000") == legs
    assert {"WALLET": 90000, "FLOAT(B)": 75000, "BONUS(B)": 15000} == house.accounts()
    assert {"A": -84000, "B": 84000} == house.nets(2)
    back = house.refund("c", 10000, purchase)
    mirrored = "FLOAT(B)->WALLET 8333, BONUS(B)->WALLET 1667, C=>B 8333, C=>B 1667, H=>C 60"
    assert lines(f"{mirrored}, B=>C 100, B=>C 100") == back.legs  # commission and interchange: A earned, B gives back


def test_its_value_is_spent_where_it_was_accepted_and_at_the_successor_as_its_own(house: House):
    house.hand_over("a", "b")

    assert (120000, 120000, 0) == (house.here("c"), house.here("b"), house.here("d"))
    assert lines("WALLET->FLOAT(B) 25000, WALLET->BONUS(B) 5000") == house.purchase("b", 30000).legs
    assert {"B=>C 25000", "B=>C 5000", "C=>B 300"} <= set(house.purchase("c", 30000).legs)
    house.terms("b")
    house.accept("b", "d")
    house.acquire("d")
    assert 60000 == house.here("d")  # nothing was agreed with A: the successor's word does
    house.stop("b")
    assert (0, 60000) == (house.here("c"), house.here("b"))


def test_sales_of_who_has_left_are_given_back_by_its_successor(house: House):
    house.acquire("a")
    purchase = house.purchase("a", 30000)
    house.hand_over("a", "b")

    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.refund_of, "c", 10000, purchase)
    assert 10000 == house.refund_of("b", 10000, purchase).decision.amount_minor


def test_principal_in_custody_stays_there_and_only_the_bonus_is_handed_over():
    house = House()
    house.terms("a", custody="OPERATOR_HELD")
    house.top_up("a", 100000)

    assert lines("FLOAT(T,B)->FLOAT(T,A) 100000, BONUS(B)->BONUS(A) 20000") == house.hand_over("a", "b")
    assert 100000 == house.cash_out("d").decision.amount_minor
    assert {} == house.accounts()
    assert {"D": 100000, "T": 0, "A": -100000} == house.nets() | {"T": house.nets().get("T", 0)}


def test_a_successor_may_leave_itself_and_hands_all_of_it_over(house: House):
    house.terms("b", "0")
    house.top_up("b", 5000)
    house.hand_over("a", "b")
    legs = house.hand_over("b", "s")

    assert lines("FLOAT(S)->FLOAT(B) 105000, BONUS(S)->BONUS(B) 20000, B=>S 105000") == legs
    assert {"WALLET": 125000, "FLOAT(S)": 105000, "BONUS(S)": 20000} == house.accounts()
    assert {"S=>C 25000", "S=>C 5000"} <= set(house.purchase("c", 30000).legs)


@pytest.mark.parametrize(
    ("leaving", "successor", "reason"),
    [
        ("h", "b", Reason.FIELD_INVALID),
        ("t", "b", Reason.FIELD_INVALID),
        ("a", "t", Reason.FIELD_INVALID),
        ("a", "a", Reason.FIELD_INVALID),
        ("x", "b", Reason.PARTICIPANT_UNKNOWN),
        ("a", "x", Reason.PARTICIPANT_UNKNOWN),
    ],
)
def test_operator_and_custody_neither_leave_nor_does_anybody_leave_to_itself(
    house: House, leaving: str, successor: str, reason: Reason
):
    declined(reason, house.hand_over, leaving, successor)


def test_nobody_leaves_twice_or_to_one_that_has_left(house: House):
    house.hand_over("a", "b")

    declined(Reason.FIELD_INVALID, house.hand_over, "a", "c")
    declined(Reason.FIELD_INVALID, house.hand_over, "c", "a")
