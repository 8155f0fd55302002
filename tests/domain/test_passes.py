"""Passes: prepaid visits, worked by hand. `PASS(A)->PASS 10 visits` are visits, all other legs fen."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.passes import Pass, principal_of_visits
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines
from tests.domain.test_decisions import declined

FEES = {"operator_fee": "6/1000", "commission": "1/100"}


def pass_house(**content: Any) -> House:
    """A sells ten baths for 100.00, issuer-held, for three months; C takes them at 0.5 % and pays 0.6 % and 1 %."""
    house = House()
    told: dict[str, Any] = {
        "issuer": "a",
        "price_minor": 10000,
        "visits": 10,
        "months": 3,
        "seller_commission": "1/100",
    }
    house.agree("bath", "PASSES", **(told | content))
    house.accept("a", "c", interchange="1/200")
    house.acquire("c", **FEES)
    house.acquire("a")
    return house


@pytest.fixture
def house() -> House:
    return pass_house()


def test_a_pass_is_prepaid_money_and_a_visit_is_a_sale_of_its_part(house: House):
    """A visit of 1000: A owes C 1000, C owes 5 interchange to A, 6 to H and 10 commission to A."""
    sold = house.sell_pass("a", 10000)
    assert lines("FLOAT(A)->PASS 10000, PASS(A)->PASS 10 visits") == sold.legs
    assert 0 == house.wallet().balance_minor == house.here("c")

    visit = house.visit("c")
    assert (1000, 1000, 0) == (
        visit.decision.amount_minor,
        visit.decision.principal_minor,
        visit.decision.balance_change,
    )
    assert lines("PASS->FLOAT(A) 1000, PASS->PASS(A) 1 visits, A=>C 1000, C=>A 5, C=>H 6, C=>A 10") == visit.legs
    assert {"A": -985, "C": 979, "H": 6} == house.nets()
    assert {"FLOAT(A)": 9000, "PASS": 9000, "PASS(A)": 9, "VISITS": 9} == house.accounts()
    told = {
        "pass": str(sold.entry_id),
        "visits": "1",
        "visits_left": "9",
        "pass_last_day": "2026-04-10",
        "acceptance": "2/1",
    }
    assert told == visit.decision.facts


def test_visits_take_the_cumulative_floor_and_the_last_takes_the_rest():
    """100.00 for three: 3333, 3333, 3334. In one go the first two take 6666."""
    house = pass_house(visits=3)
    house.sell_pass("a", 10000)
    assert [3333, 3333, 3334] == [house.visit("a").decision.amount_minor for _ in range(3)]
    assert {} == house.accounts()

    house.sell_pass("a", 10000)
    assert [6666, 3334] == [house.visit("a", count).decision.amount_minor for count in (2, 1)]


def test_a_visit_is_a_floor_over_all_that_were_taken_not_over_what_is_left():
    """0.10 for four: 2, 3, 2, 3. A floor of what is left would give 2, 2, 3, 3 and drift with the number of visits."""
    house = pass_house(price_minor=10, visits=4)
    house.sell_pass("a", 10)
    assert [2, 3, 2, 3] == [house.visit("a").decision.amount_minor for _ in range(4)]


@given(st.integers(1, 400), st.integers(1, 40), st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60))
def test_whatever_order_visits_are_taken_and_returned_in_the_price_is_used_up_exactly(price, visits, steps):
    """Every slice stays within a fen a visit of the exact ratio, and all visits together take the price."""
    held = Pass(1, 1, 1, 3, 3, 3, 1, 1, None, visits, price, visits, price)
    taken: list[tuple[int, int]] = []
    for count, is_return in steps:
        if is_return and taken:
            back = taken.pop(0)
            held.visits += back[0]
            held.principal += back[1]
        elif count <= held.visits:
            part = (count, principal_of_visits(held, count))
            taken.append(part)
            held.visits -= part[0]
            held.principal -= part[1]
        assert 0 <= held.principal <= price
        assert held.visits or not held.principal
    held.principal -= principal_of_visits(held, held.visits)
    assert 0 == held.principal


def test_a_purchase_never_draws_on_a_pass(house: House):
    house.sell_pass("a", 10000)
    declined(Reason.INSUFFICIENT_FUNDS, lambda: house.purchase("c", 1))


def test_a_visit_that_is_returned_is_the_exact_inverse_once(house: House):
    house.sell_pass("a", 10000)
    visit = house.visit("c")
    house.next_window()
    back = house.return_visit("c", visit)
    assert lines("FLOAT(A)->PASS 1000, PASS(A)->PASS 1 visits, C=>A 1000, A=>C 5, H=>C 6, A=>C 10") == back.legs
    assert {"A": 985, "C": -979, "H": -6} == house.nets(2)
    assert {"FLOAT(A)": 10000, "PASS": 10000, "PASS(A)": 10, "VISITS": 10} == house.accounts()
    declined(Reason.REFUND_EXCEEDS_ORIGINAL, lambda: house.return_visit("c", visit))
    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, lambda: house.return_visit("a", visit))


def test_fees_of_a_visit_stay_where_the_agreements_on_it_say_so_and_a_reversal_returns_them_always():
    house = pass_house()
    house.acquire("c", **FEES, fees_return=False)
    house.accept("a", "c", interchange="1/200", fees_return=False)
    house.sell_pass("a", 10000)
    visit = house.visit("c")
    assert lines("FLOAT(A)->PASS 1000, PASS(A)->PASS 1 visits, C=>A 1000") == house.return_visit("c", visit).legs
    other = house.visit("c")
    undone = house.reverse("c", other)
    assert lines("FLOAT(A)->PASS 1000, PASS(A)->PASS 1 visits, C=>A 1000, A=>C 5, H=>C 6, A=>C 10") == undone.legs
    assert 0 == house.reverse("c", other).decision.amount_minor


def test_an_untouched_pass_is_undone_with_its_commission_and_a_used_one_pays_out_what_is_left():
    """S sells for A: A owes S 100 commission; custody holds the money. Of a used pass S keeps its commission."""
    house = pass_house(sellers=["s"], custody="OPERATOR_HELD")
    sold = house.sell_pass("s", 10000)
    assert lines("FLOAT(T,A)->PASS 10000, PASS(A)->PASS 10 visits, S=>T 10000, A=>S 100") == sold.legs
    back = house.return_pass("s", sold)
    assert lines("PASS->FLOAT(T,A) 10000, PASS->PASS(A) 10 visits, T=>S 10000, S=>A 100") == back.legs
    assert {} == house.nets() == house.accounts()
    declined(Reason.LOT_NOT_OPEN, lambda: house.return_pass("s", sold))

    used = house.sell_pass("s", 10000)
    house.visit("c", 3)
    left = house.return_pass("a", used)
    assert lines("PASS->FLOAT(T,A) 7000, PASS->PASS(A) 7 visits, T=>A 7000") == left.legs
    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, lambda: house.return_pass("c", used))
    assert {} == house.accounts()


def test_after_the_days_of_the_card_rules_the_commission_stays():
    house = pass_house(sellers=["s"])
    house.agree("rules", "CARD_RULES", return_days=7)
    sold = house.sell_pass("s", 10000)
    house.later(8)
    assert lines("PASS->FLOAT(A) 10000, PASS->PASS(A) 10 visits, A=>S 10000") == house.return_pass("s", sold).legs


def test_an_ended_pass_takes_no_visit_and_its_money_is_still_the_members(house: House):
    sold = house.sell_pass("a", 10000)
    visit = house.visit("c")
    house.later(90)
    house.visit("c")  # 2026-04-10 is its last day
    house.later(1)
    assert "2026-04-10" == declined(Reason.PASS_EXPIRED, lambda: house.visit("c")).metadata["last_day"]
    house.return_visit("c", visit)
    assert 9000 == house.return_pass("a", sold).decision.amount_minor


def test_a_visit_is_declined_for_what_stands_in_its_way():
    house = pass_house(honoured_at=["chain:baths", "c"])
    house.accept("a", "b")
    house.acquire("b")
    declined(Reason.PASS_UNKNOWN, lambda: house.visit("c"))
    declined(Reason.PASS_UNKNOWN, lambda: house.sell_pass("a", 10000, name="swim"))
    declined(Reason.TERMS_NOT_SOLD_HERE, lambda: house.sell_pass("b", 10000))
    assert "10000" == declined(Reason.PASS_PRICE_DIFFERS, lambda: house.sell_pass("a", 9999)).metadata["price_minor"]
    house.sell_pass("a", 10000)
    declined(Reason.PASS_UNKNOWN, lambda: house.visit("c", name="swim"))
    declined(Reason.NOT_ACCEPTED_HERE, lambda: house.visit("b"))  # B takes A's value, not this pass
    declined(Reason.NOT_ACCEPTED_HERE, lambda: house.visit("d"))  # D takes nothing of A's
    assert "10" == declined(Reason.VISITS_TOO_FEW, lambda: house.visit("c", 11)).metadata["visits_left"]
    lent = house.books.cards[b"w"]
    house.books.cards[b"w"] = replace(lent, operation_limit_minor=5000)
    declined(Reason.CARD_LIMIT_EXCEEDED, lambda: house.visit("c"))
    house.books.cards[b"w"] = lent
    house.stop("a")
    declined(Reason.NOT_ACCEPTED_HERE, lambda: house.visit("c"))  # A has reached its net debit cap


def test_the_pass_that_ends_first_is_used_first(house: House):
    house.agree("swim", "PASSES", issuer="a", price_minor=500, visits=5, months=1)
    house.sell_pass("a", 10000, name="bath")
    house.sell_pass("a", 500, name="swim")
    assert [100, 1000] == [house.visit("c", name=name).decision.amount_minor for name in (None, "bath")]


def test_a_wallet_with_a_pass_is_not_closed(house: House):
    house.terms("a")
    sold = house.sell_pass("a", 10000)
    house.top_up("a", 1000)
    left = declined(Reason.WALLET_HAS_PASSES, lambda: house.cash_out("a", closes=True))
    assert "10000" == left.metadata["principal_minor"]
    assert 1000 == house.cash_out("a").decision.amount_minor, "its stored value is paid out all the same"
    house.return_pass("a", sold)
    house.cash_out("a", closes=True)


def test_a_sale_whose_answer_never_came_is_undone(house: House):
    sold = house.sell_pass("a", 10000)
    assert lines("PASS->FLOAT(A) 10000, PASS->PASS(A) 10 visits") == house.reverse("a", sold).legs
    assert 0 == house.reverse("a", sold).decision.amount_minor
    declined(Reason.PASS_UNKNOWN, lambda: house.visit("c"))


def test_who_leaves_hands_its_passes_over_and_they_are_honoured_as_before(house: House):
    """A owes 9000 for nine baths: B takes both, and A pays it. What C sells then, and gives back, is B's."""
    sold = house.sell_pass("a", 10000)
    visit = house.visit("c")
    house.next_window()
    legs = house.hand_over("a", "b")
    assert lines("FLOAT(B)->FLOAT(A) 9000, PASS(B)->PASS(A) 9 visits, A=>B 9000") == legs
    assert {"FLOAT(B)": 9000, "PASS": 9000, "PASS(B)": 9, "VISITS": 9} == house.accounts()
    assert lines("PASS->FLOAT(B) 1000, PASS->PASS(B) 1 visits, B=>C 1000, C=>B 5, C=>H 6, C=>B 10") == (
        house.visit("c").legs
    )
    back = house.return_visit("c", visit)
    assert lines("FLOAT(B)->PASS 1000, PASS(B)->PASS 1 visits, C=>B 1000, B=>C 5, H=>C 6, B=>C 10") == back.legs
    assert lines("PASS->FLOAT(B) 9000, PASS->PASS(B) 9 visits") == house.return_pass("b", sold).legs
