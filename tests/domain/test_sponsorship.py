"""Beyond its sponsor's limit the issuer bears the bonus, to the fen, in the order in which lots are sold."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.agreements import Terms, parse_content
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.sponsorship import part_of_sponsor
from tests.domain.house import Done, House, lines
from tests.domain.test_points_conversion import VOUCHER, opened

TERMS: dict[str, Any] = {
    "sponsor": "s",
    "sponsor_share": "1/2",
    "sponsor_limit_minor": 15_000,
    "when_used_up": "ISSUER",
}


@pytest.fixture
def house() -> House:
    """A sells 1000 + 200, of which S bears half and at most 150.00 in all; all of it is taken at C."""
    house = House()
    house.terms("a", **TERMS)
    house.accept("a", "c")
    house.acquire("c")
    return house


def sponsored(sold: Done) -> int | None:
    lot = sold.decision.opens
    assert lot is not None
    return lot.sponsored


def test_the_lot_that_crosses_the_limit_is_shared_at_it_and_later_ones_are_the_issuers(house: House) -> None:
    """By hand: of three bonuses of 200.00 the sponsor takes on 100.00, then the 50.00 that are left, then nothing."""
    sold = [house.top_up("a", 100_000) for _ in range(3)]

    assert [None, 5_000, 0] == [sponsored(each) for each in sold]
    assert [None, {"sponsored_minor": "5000"}, {"sponsored_minor": "0"}] == [each.decision.facts for each in sold]
    assert [20_000] * 3 == [each.decision.bonus_minor for each in sold]
    first, second, third = (house.purchase("c", 120_000) for _ in range(3))
    assert (
        lines("""
        WALLET->FLOAT(A) 100000, WALLET->BONUS(A) 20000
        A=>C 100000, A=>C 10000, S=>C 10000
    """)
        == first.legs
    )
    assert (
        lines("""
        WALLET->FLOAT(A) 100000, WALLET->BONUS(A) 20000
        A=>C 100000, A=>C 15000, S=>C 5000
    """)
        == second.legs
    )
    assert (
        lines("""
        WALLET->FLOAT(A) 100000, WALLET->BONUS(A) 20000
        A=>C 100000, A=>C 20000
    """)
        == third.legs
    )


def test_a_refund_of_the_crossing_lot_is_the_exact_inverse_in_any_slices(house: House) -> None:
    house.top_up("a", 100_000)
    house.top_up("a", 100_000)
    house.purchase("c", 120_000)
    bought = house.purchase("c", 60_000)
    assert (
        lines("""
        WALLET->FLOAT(A) 50000, WALLET->BONUS(A) 10000
        A=>C 50000, A=>C 7500, S=>C 2500
    """)
        == bought.legs
    )
    back = [house.refund("c", amount, bought) for amount in (1, 19_999, 40_000)]

    told = [leg for each in back for leg in each.legs if leg.startswith("C=>S")]
    assert 2_500 == sum(int(leg.split()[1]) for leg in told)


def test_a_lot_that_is_merged_away_keeps_its_sponsors_part_in_proportion(house: House) -> None:
    house.member("v")
    house.top_up("a", 100_000)
    crossing = house.top_up("a", 100_000)
    house.purchase("c", 180_000)
    assert 5_000 == sponsored(crossing)
    house.merge("w", "v")
    arrived = house.arrive(house.send("w", crossing.entry_id)).decision.opens

    assert arrived is not None
    assert (60_000, 10_000, 2_500) == (arrived.face, arrived.bonus, arrived.sponsored)


def test_a_raised_limit_lets_the_sponsor_take_on_more_and_a_lowered_one_nothing(house: House) -> None:
    house.top_up("a", 100_000)
    house.top_up("a", 100_000)
    house.terms("a", **TERMS | {"sponsor_limit_minor": 18_000})
    assert 3_000 == sponsored(house.top_up("a", 100_000))
    house.terms("a", **TERMS | {"sponsor_limit_minor": 1})

    assert 0 == sponsored(house.top_up("a", 100_000))


def test_a_lot_without_a_bonus_takes_nothing_of_the_limit(house: House) -> None:
    house.terms("a", "0", **TERMS)
    assert None is sponsored(house.top_up("a", 100_000))
    assert {0} == set(house.books.taken_on.values())


def test_a_voucher_for_points_uses_the_limit_as_any_bonus_does() -> None:
    """B owes the points and the voucher; of its 400 and 300 fen, half of each the sponsor's, 250 at most."""
    house = opened(VOUCHER)
    house.terms("b", "0", **TERMS | {"sponsor_limit_minor": 250})
    first, second = house.convert_points("c", 400), house.convert_points("c", 300)

    assert [None, 50] == [sponsored(each) for each in (first, second)]
    assert {"sponsored_minor": "50"}.items() <= dict(second.decision.facts or {}).items()
    spent = house.purchase("c", 700)
    assert lines("WALLET->BONUS(B) 700, B=>C 450, S=>C 250") == spent.legs


def test_nobody_sells_under_such_terms_without_holding_what_was_taken_on(house: House) -> None:
    house.books.taken_on.clear()
    with pytest.raises(LedgerBroken, match="is not held"):
        house.top_up("a", 100_000)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"when_used_up": "ISSUER"}, "content.sponsor_limit_minor"),
        ({"when_used_up": "ISSUER", "sponsor": "s", "sponsor_share": "1/2"}, "content.sponsor_limit_minor"),
        ({**TERMS, "when_used_up": "ACQUIRER"}, "content.when_used_up"),
    ],
)
def test_who_bears_the_rest_needs_a_limit(content: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_content("TERMS", {"issuer": "a", **content})
    assert field == refused.value.field


@given(
    st.lists(st.integers(1, 50_000), max_size=30),
    st.fractions(Fraction(1, 97), 1, max_denominator=97),
    st.integers(1, 100_000),
)
def test_the_sponsor_never_bears_more_than_its_limit_nor_less_while_any_is_left(
    bonuses: list[int], share: Fraction, limit: int
) -> None:
    content = {"issuer": "a", **TERMS, "sponsor_share": str(share), "sponsor_limit_minor": limit}
    terms = parse_content("TERMS", content)
    assert isinstance(terms, Terms)
    taken_on = wanted = 0
    for bonus in bonuses:
        taken_on += part_of_sponsor(terms, bonus, taken_on)
        wanted += terms.sponsored_part(bonus)
        assert min(wanted, limit) == taken_on
