"""Points that end, worked by hand: a month after the sale, that day included; the soonest to end are spent first."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.points_programme import PointsProgramme
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from tests.domain.house import Done, House, lines
from tests.domain.test_decisions import declined
from tests.domain.test_points import PROGRAMME


def opened() -> House:
    """A sells stored value without a bonus; a sale at C of 100.00 or more earns a point a yuan, for a month."""
    house = House()
    house.terms("a", "0")
    for acquirer in "cd":
        house.accept("a", acquirer)
        house.acquire(acquirer)
    house.agree("points", "POINTS", **PROGRAMME | {"months": 1})
    house.top_up("a", 10_000_000)
    return house


@pytest.fixture
def house() -> House:
    return opened()


def there(house: House, sale: Done) -> int:
    """What the member still has of a sale's points."""
    return house.books.points_book().moves[sale.entry_id].there


@pytest.mark.parametrize(
    ("earned", "months", "last"),
    [("2026-01-10", 1, "2026-02-10"), ("2026-01-31", 1, "2026-02-28"), ("2024-02-29", 12, "2025-02-28")],
)
def test_the_last_day_is_the_same_day_months_later_or_that_months_last(earned: str, months: int, last: str):
    rule = PointsProgramme("b", ("c",), (), Rate.of(1), "DEBTOR", (), "monthly", months=months)
    assert date.fromisoformat(last) == rule.last_day(date.fromisoformat(earned))


def test_points_end_behind_their_last_day_once_and_their_debtor_owes_them_no_more(house: House):
    sale = house.purchase("c", 30000)
    assert "2026-02-10" == (sale.decision.facts or {})["points_last_day"]
    house.later(31)
    declined(Reason.LOT_NOT_OPEN, lambda: house.expire_points(sale))
    house.spend_points("d", 100)
    house.later(1)
    assert lines("POINTS->POINTS(B) 200 points") == house.expire_points(sale).legs
    assert 0 == house.points()
    declined(Reason.LOT_NOT_OPEN, lambda: house.expire_points(sale))


def test_what_has_ended_is_not_spent_though_it_is_still_there(house: House):
    """The sweep may be late; the last day is not. 300 ended, 200 of a later sale have not."""
    gone = house.purchase("c", 30000)
    house.later(20)
    left = house.purchase("c", 20000)
    house.later(12)
    assert 500 == house.points()
    assert "200" == declined(Reason.POINTS_TOO_FEW, lambda: house.spend_points("d", 201)).metadata["points"]
    house.spend_points("d", 200)
    assert (300, 0, 300) == (there(house, gone), there(house, left), house.points())


def test_the_soonest_to_end_are_spent_first_and_what_never_ends_is_spent_last(house: House):
    house.agree("points", "POINTS", **PROGRAMME)
    house.purchase("c", 10000)
    house.agree("points", "POINTS", **PROGRAMME | {"months": 2})
    late = house.purchase("c", 20000)
    house.agree("points", "POINTS", **PROGRAMME | {"months": 1})
    soon = house.purchase("c", 30000)
    house.spend_points("d", 400)
    assert (0, 100, 200) == (there(house, soon), there(house, late), house.points())
    house.later(80)
    house.expire_points(late)
    assert 100 == house.points()
    house.spend_points("d", 100)


def test_a_refund_takes_the_sales_own_points_first(house: House):
    """M1 300 (10 Jan), M2 200 (11 Jan), 250 spent: M1 has 50. A refund of M2 takes its own 200, of M1 its 50."""
    first = house.purchase("c", 30000)
    house.later(1)
    second = house.purchase("c", 20000)
    house.spend_points("d", 250)
    house.refund("c", 20000, second)
    assert (50, 0, 50) == (there(house, first), there(house, second), house.points())
    house.refund("c", 30000, first)
    assert (0, -250) == (there(house, first), house.points())


def test_what_a_refund_takes_of_points_that_were_spent_others_have_paid_for(house: House):
    """M1 was spent. Without it the spend would have taken M2's, the next to end; so these are used now."""
    first = house.purchase("c", 30000)
    house.later(1)
    second = house.purchase("c", 40000)
    house.spend_points("d", 300)
    house.refund("c", 30000, first)
    assert (100, 100) == (there(house, second), house.points())


def test_points_that_come_when_some_are_owed_have_paid_for_these(house: House):
    first = house.purchase("c", 30000)
    house.spend_points("d", 300)
    house.refund("c", 30000, first)
    second = house.purchase("c", 40000)
    assert (100, 100) == (there(house, second), house.points())
    house.later(40)
    assert lines("POINTS->POINTS(B) 100 points") == house.expire_points(second).legs


def test_of_points_that_have_ended_a_refund_takes_none_from_the_member(house: House):
    """300 earned, 200 spent, 100 ended. Of the 150 that go with half the sale, 100 are gone; C is paid back for 150."""
    sale = house.purchase("c", 30000)
    house.spend_points("d", 200)
    house.later(32)
    house.expire_points(sale)
    back = house.refund("c", 15000, sale)
    assert lines("FLOAT(A)->WALLET 15000, C=>A 15000, POINTS->POINTS(B) 50 points, B=>C 150 points v1") == back.legs
    assert -50 == house.points()


def test_of_points_that_have_ended_all_a_refund_takes_nothing_and_says_so(house: House):
    sale = house.purchase("c", 30000)
    house.later(32)
    house.expire_points(sale)
    back = house.refund("c", 30000, sale)
    assert lines("FLOAT(A)->WALLET 30000, C=>A 30000, B=>C 300 points v1") == back.legs
    assert "0" == (back.decision.facts or {})["points"]
    assert 0 == house.points()


def test_spent_points_come_back_to_end_when_they_would_have_and_perhaps_have_by_now(house: House):
    """Last drawn first: M2's 100, then M1's. M1 ended meanwhile: its points come back, are not spent, and end."""
    first = house.purchase("c", 30000)
    house.later(20)
    second = house.purchase("c", 40000)
    spent = house.spend_points("d", 400)
    house.return_points("d", spent, 150)
    assert (50, 400) == (there(house, first), there(house, second))
    house.later(12)
    house.return_points("d", spent)
    assert (300, 400, 700) == (there(house, first), there(house, second), house.points())
    declined(Reason.POINTS_TOO_FEW, lambda: house.spend_points("d", 401))
    house.expire_points(first)
    assert 400 == house.points()


def test_what_never_ends_comes_back_first(house: House):
    house.agree("points", "POINTS", **PROGRAMME)
    house.purchase("c", 10000)
    house.agree("points", "POINTS", **PROGRAMME | {"months": 1})
    sale = house.purchase("c", 10000)
    spent = house.spend_points("d", 200)
    house.return_points("d", spent, 100)
    assert (0, 100) == (there(house, sale), house.points())
    house.return_points("d", spent)
    assert (100, 200) == (there(house, sale), house.points())


def test_what_cannot_go_back_to_its_sale_ends_when_that_would_have(house: House):
    """The sale was given back meanwhile, another's points paid for it. Returned, they have the last day they had."""
    first = house.purchase("c", 30000)
    house.later(1)
    second = house.purchase("c", 30000)
    spent = house.spend_points("d", 300)
    house.refund("c", 30000, first)
    assert (0, 0) == (there(house, second), house.points())
    back = house.return_points("d", spent)
    assert (300, 300) == (there(house, back), house.points())
    assert date(2026, 2, 10) == house.books.points_book().moves[back.entry_id].last_day
    house.later(32)
    assert lines("POINTS->POINTS(B) 300 points") == house.expire_points(back).legs


def test_points_that_are_made_value_of_and_undone_come_back_to_where_they_were(house: House):
    house.terms("b", "0")
    house.agree("points", "POINTS", **PROGRAMME | {"months": 1, "conversion": {"rate": "1"}})
    sale = house.purchase("c", 30000)
    made = house.convert_points("d", 120)
    assert 180 == there(house, sale)
    house.reverse("d", made)
    assert 300 == there(house, sale)
    house.later(32)
    declined(Reason.POINTS_TOO_FEW, lambda: house.convert_points("d", 1))


steps = st.lists(
    st.tuples(st.sampled_from(["earn", "spend", "return", "refund", "later", "sweep"]), st.integers(1, 400)),
    max_size=14,
)


@given(steps)
def test_whatever_happens_a_wallet_has_what_was_earned_less_spent_less_ended(steps: list[tuple[str, int]]):
    """Beside the house's own checks: in the end nothing is left that has ended, and no more ended than was earned."""
    house = opened()
    sales, spends, earned = list[Done](), list[Done](), 0

    def sweep() -> None:
        for move in list(house.books.points_book().moves.values()):
            if move.there and move.has_ended(house.day):
                house.expire_points(next(done for done in house.journal if done.entry_id == move.entry_id))

    for what, number in steps:
        book = house.books.points_book()
        if what == "earn":
            sales.append(house.purchase("c", 10000 + number * 50))
            earned += int((sales[-1].decision.facts or {})["points"])
        elif what == "spend" and 0 < number <= book.spendable(1, house.versions[-1].agreement_id, house.day):
            spends.append(house.spend_points("d", number))
        elif what == "return" and spends:
            spend = spends[number % len(spends)]
            if left := book.moves[spend.entry_id].left:
                house.return_points("d", spend, min(number, left))
        elif what == "refund" and sales:
            sale = sales[number % len(sales)]
            if left := sale.decision.amount_minor - house.books.originals_by_entry[sale.entry_id].returned:
                house.refund("c", min(left, number * 60), sale)
        elif what == "later":
            house.later(number % 20)
        elif what == "sweep":
            sweep()
    house.later(60)
    sweep()
    book = house.books.points_book()
    assert house.points() <= 0, "all that was earned has ended"
    earnings = [book.moves[sale.entry_id] for sale in sales]
    assert earned == sum(each.points for each in earnings)
    assert all(each.points == each.given_back + each.used + each.ended for each in earnings)
