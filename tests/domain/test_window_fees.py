"""Fees on whole windows, each worked by hand: bands, minimum and maximum, members; exact, rounded once."""

from datetime import date
from typing import Any

import pytest

from coalition.domain.agreements import parse_content
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.domain.window_fees import WindowBase, WindowFees, assess
from tests.domain.house import House

BANDS = [
    {"rate": "6/1000"},
    {"from_volume": 100_000, "rate": "4/1000"},
    {"from_volume": 1_000_000, "rate": "1/1000"},
]


def fees(**content: Any) -> WindowFees:
    parsed = parse_content("FEES", {"payer": "c", **content})
    assert isinstance(parsed, WindowFees)
    return parsed


@pytest.mark.parametrize(
    ("volume", "fee"),
    [
        (0, 0),
        (50_000, 300),
        (100_000, 600),
        (100_125, 600),  # 600 + 0.5: half to even
        (100_375, 602),  # 600 + 1.5
        (1_000_000, 4_200),  # 600 + 3600
        (1_500_000, 4_700),
        (-20_000, 0),
    ],
)
def test_marginal_bands_take_each_part_of_the_volume_at_its_own_rate(volume: int, fee: int):
    assert fee == fees(bands=BANDS).fee(volume)


@pytest.mark.parametrize(("volume", "fee"), [(99_999, 600), (100_000, 400), (999_999, 4_000), (1_000_000, 1_000)])
def test_whole_bands_take_all_of_the_volume_at_the_rate_it_has_reached(volume: int, fee: int):
    """So that a little more may cost less: which is why somebody has to say WHOLE."""
    assert fee == fees(bands=BANDS, banding="WHOLE").fee(volume)


def test_bands_are_added_up_before_they_are_rounded():
    """3 x 1/6 = 1/2 + 3 x 1/6 = 1: rounded once it is 1, rounded a band it were 0."""
    bands = [{"rate": "1/6"}, {"from_volume": 3, "rate": "1/6"}]

    assert (0, 1, 1) == (fees(bands=bands).fee(3), fees(bands=bands).fee(6), fees(bands=bands).fee(8))


def test_flat_part_minimum_and_maximum():
    asked = fees(flat_minor=1_000, minimum_minor=1_500, maximum_minor=5_000, bands=[{"rate": "1/100"}])

    assert [1_500, 1_500, 1_501, 5_000, 5_000] == [asked.fee(v) for v in (0, 50_000, 50_100, 400_000, 10**9)]
    assert (9_900, 9_900) == (fees(flat_minor=9_900).fee(0), fees(flat_minor=9_900).fee(10**9))
    first_step_later = fees(bands=[{"from_volume": 100, "rate": "1/10"}])
    assert (0, 1) == (first_step_later.fee(100), first_step_later.fee(110))


def test_members_cost_so_much_each_cheaper_from_the_hundredth():
    asked = fees(base="NEW_MEMBERS", bands=[{"rate": "500"}, {"from_volume": 100, "rate": "300"}])

    assert (0, 500, 50_000, 50_300) == (asked.fee(0), asked.fee(1), asked.fee(100), asked.fee(101))


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"bands": [{"rate": "11/10"}]}, "content.bands[0].rate"),
        ({"bands": [{"rate": "0"}, {"rate": "0"}]}, "content.bands[1].from_volume"),
        ({"bands": [{"rate": "0", "to": 1}]}, "content.bands[0].to"),
        ({"bands": 3}, "content.bands"),
        ({"bands": [3]}, "content.bands[0]"),
        ({"bands": [{"from_volume": n, "rate": "0"} for n in range(1, 102)]}, "content.bands"),
        ({"base": "TURNOVER"}, "content.base"),
        ({"payee": "everybody!"}, "content.payee"),
        ({"minimum_minor": 2, "maximum_minor": 1}, "content.maximum_minor"),
        ({"flat_minor": 0}, "content.flat_minor"),
    ],
)
def test_a_wrong_field_is_named(content: dict[str, Any], field: str):
    with pytest.raises(Refused) as refused:
        fees(**content)
    assert (Reason.AGREEMENT_INVALID, field) == (refused.value.reason, refused.value.field)


def test_every_payer_is_assessed_by_its_own_schedule_before_its_chains():
    """A and B are of chain x; B has a schedule of its own; C pays the sponsor for its members besides."""
    house = House("abcds", {"a": "x", "b": "x"})
    house.agree("chain-fees", "FEES", payer="chain:x", bands=[{"rate": "1/100"}])
    house.agree("b-fees", "FEES", payer="b", bands=[{"rate": "1/50"}], minimum_minor=10)
    house.agree("c-fees", "FEES", payer="c", payee="s", base="NEW_MEMBERS", bands=[{"rate": "500"}])
    house.agree("weekly", "FEES", payer="c", flat_minor=7, calendar="weekly")
    house.agree("from-july", "FEES", "2026-07-01", payer="d", flat_minor=7)
    number = {code: participant.participant_id for code, participant in house.participants.items()}
    sold = {(number[code], WindowBase.PURCHASES): 1_000 for code in "abcd"}
    agreed = house.books.programme.window_fees("monthly", date(2026, 1, 31))

    asked = assess(agreed, sold | {(number["c"], WindowBase.NEW_MEMBERS): 3})

    assert [("A", "H", 1_000, 10), ("B", "H", 1_000, 20), ("C", "S", 3, 1_500)] == [
        (house.letter[each.agreed.payer_id], house.letter[each.agreed.payee_id], each.volume, each.fee_minor)
        for each in asked
    ]
    assert 4 == len(house.books.programme.window_fees("monthly", date(2026, 7, 1)))
