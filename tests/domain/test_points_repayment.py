"""Points owed of one programme, repaid with another's, worked by hand: C owes "moons", B "points", 3 of these for 2."""

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

POINTS: dict[str, Any] = PROGRAMME | {
    "earned_at": ["a"],
    "spent_at": ["c", "d"],
    "repays": [{"programme": "moons", "rate": "3/2"}],
}
MOONS: dict[str, Any] = PROGRAMME | {
    "debtor": "c",
    "earned_at": ["c"],
    "spent_at": ["s"],
    "repaid_with": [{"programme": "points", "rate": "3/2"}],
}


def opened(points: dict[str, Any] = POINTS, moons: dict[str, Any] = MOONS) -> House:
    """200 moons were spent before their sale was given back: they are owed. 1,000 points are there."""
    house = House()
    house.terms("a", "0")
    for acquirer in "acd":
        house.acquire(acquirer)
    house.accept("a", "c")
    house.agree("points", "POINTS", **points)
    house.agree("moons", "POINTS", **moons)
    house.top_up("a", 1000000)
    sale = house.purchase("c", 20000)
    house.spend_points("s", 200)
    house.refund("c", 20000, sale)
    house.purchase("a", 50000)
    assert (1000, -200) == (house.points(), house.points("moons"))
    return house


def test_what_is_owed_of_one_is_repaid_with_points_of_the_other():
    """200 moons are 300 points; B owes C what these are worth, as if they had been spent there."""
    house = opened()
    done = house.repay_points("d", "moons")
    assert lines("POINTS->POINTS(B) 300 points, POINTS(C)->POINTS 200 points, B=>C 300 points v1") == done.legs
    facts = done.decision.facts or {}
    assert ("-300", "700", "150") == (facts["points"], facts["points_balance"], facts["points_worth_minor"])
    assert ("200", "0", "moons") == tuple(
        facts[name] for name in ("repaid_points", "repaid_points_balance", "repaid_points_programme")
    )
    assert (700, 0) == (house.points(), house.points("moons"))
    refused = declined(Reason.POINTS_NOT_REPAYABLE, lambda: house.repay_points("d", "moons"))
    assert {"owed_points": "0"} == refused.metadata


def test_a_part_is_repaid_rounded_up_and_no_more_than_is_owed():
    """One moon is a point and a half: two. Were it one, 200 moons would be had for 200 points."""
    house = opened()
    assert "B=>C 2 points v1" in house.repay_points("d", "moons", 1).legs
    assert (998, -199) == (house.points(), house.points("moons"))
    refused = declined(Reason.POINTS_NOT_REPAYABLE, lambda: house.repay_points("d", "moons", 200))
    assert {"owed_points": "199"} == refused.metadata


def test_who_has_too_few_repays_a_part():
    house = opened()
    house.spend_points("d", 800)
    assert "200" == declined(Reason.POINTS_TOO_FEW, lambda: house.repay_points("d", "moons")).metadata["points"]
    house.repay_points("d", "moons", 133)
    assert (0, -67) == (house.points(), house.points("moons"))


OTHER_RATE = [{"programme": "points", "rate": "2"}]


@pytest.mark.parametrize(
    ("points", "moons"),
    [
        (POINTS | {"repays": []}, MOONS),
        (POINTS, MOONS | {"repaid_with": []}),
        (POINTS, MOONS | {"repaid_with": OTHER_RATE}),
    ],
)
def test_it_takes_two_to_agree_on_a_rate(points: dict[str, Any], moons: dict[str, Any]):
    house = opened(points, moons)
    declined(Reason.POINTS_NOT_REPAYABLE, lambda: house.repay_points("d", "moons"))


def test_where_the_points_are_not_taken_and_what_nobody_knows():
    house = opened()
    declined(Reason.POINTS_PROGRAMME_UNKNOWN, lambda: house.repay_points("a", "moons"))
    declined(Reason.POINTS_PROGRAMME_UNKNOWN, lambda: house.repay_points("d", "suns"))
    house.stop("b")
    declined(Reason.PARTICIPANT_CAPPED, lambda: house.repay_points("d", "moons"))


def test_between_two_programmes_of_one_debtor_nothing_is_owed():
    house = opened(POINTS | {"debtor": "c"})
    done = house.repay_points("d", "moons")
    assert lines("POINTS->POINTS(C) 300 points, POINTS(C)->POINTS 200 points") == done.legs


def test_a_repayment_is_neither_returned_nor_undone():
    """Both sides are settled by it; what was wrong is made good by what is earned next."""
    house = opened()
    done = house.repay_points("d", "moons")
    declined(Reason.ORIGINAL_NOT_REFUNDABLE, lambda: house.return_points("d", done))
    declined(Reason.ORIGINAL_NOT_REVERSIBLE, lambda: house.reverse("d", done))


def test_the_soonest_to_end_repay_first():
    house = opened(POINTS | {"months": 1})
    sale = house.journal[-1]
    house.later(10)
    house.purchase("a", 50000)
    house.repay_points("d", "moons")
    assert 700 == house.books.points_book().moves[sale.entry_id].there


@given(st.lists(st.integers(1, 60), max_size=8), st.sampled_from(["3/2", "1/3", "2", "7/5"]))
def test_no_slices_repay_for_less_than_all_at_once(slices: list[int], rate: str):
    agreed = {"rate": rate}
    house = opened(
        POINTS | {"repays": [{"programme": "moons"} | agreed]},
        MOONS | {"repaid_with": [{"programme": "points"} | agreed]},
    )
    for points in slices:
        if points <= -house.points("moons"):
            house.repay_points("d", "moons", points)
    repaid, cost = 200 + house.points("moons"), 1000 - house.points()
    _, content = house.books.programme.points_called("points", house.day)
    exact = content.repays[0].rate
    assert exact.ceiling(repaid) <= cost <= exact.ceiling(repaid) + len(slices)


@pytest.mark.parametrize(
    ("field", "rows"),
    [
        ("content.repays[0].rate", [{"programme": "moons"}]),
        ("content.repays[1].programme", [{"programme": "moons", "rate": "1"}] * 2),
        ("content.repays[0].programme", [{"rate": "1"}]),
        ("content.repays", "moons"),
    ],
)
def test_a_repayment_that_makes_no_sense_names_its_field(field: str, rows: Any):
    with pytest.raises(Refused) as caught:
        parse_content("POINTS", PROGRAMME | {"repays": rows})
    assert field == caught.value.field
