"""What the points of a window are worth, worked by hand: by debtor, creditor and version, half-even, once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.accounts import TransferCode, Unit, clearing_account, parties_of
from coalition.domain.errors import LedgerBroken
from coalition.domain.rates import Rate
from coalition.domain.valuation import Worth, valuation_transfers, value_points

B, C, D = 3, 4, 5
HALF, CENT = Worth(7, 1, Rate.of(1, 2)), Worth(7, 2, Rate.of(1))
WORTHS = {100: HALF, 101: CENT}


def test_points_of_a_pair_are_added_up_before_they_are_rounded():
    """At half a fen 101 and 101 points are 101 fen, not twice 50; 100 of the new version are 100 fen by themselves."""
    claims = [(C, B, 100, 101), (C, B, 100, 101), (C, B, 101, 100), (B, D, 100, 1), (C, B, Unit.MONEY, 999)]
    told = [
        (each.debtor_id, each.creditor_id, each.unit, each.points, each.amount_minor)
        for each in value_points(claims, WORTHS)
    ]
    assert [(B, D, 100, 1, 0), (C, B, 100, 202, 101), (C, B, 101, 100, 100)] == told


@pytest.mark.parametrize(("points", "amount"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_half_a_fen_is_rounded_to_even(points: int, amount: int):
    assert amount == value_points([(C, B, 100, points)], WORTHS)[0].amount_minor


def test_money_is_claimed_and_the_points_are_settled_by_it():
    legs = valuation_transfers(value_points([(C, B, 100, 202), (B, D, 100, 1)], WORTHS), 9)
    clearing = clearing_account
    assert [
        (clearing(D), clearing(B), 1, TransferCode.POINTS_VALUE, 9, 100),
        (clearing(C), clearing(B), 101, TransferCode.POINTS_VALUE, 9, Unit.MONEY),
        (clearing(B), clearing(C), 202, TransferCode.POINTS_VALUE, 9, 100),
    ] == [tuple(leg) for leg in legs]


def test_points_of_no_version_are_no_claim_that_could_be_valued():
    with pytest.raises(LedgerBroken, match="unit 102"):
        value_points([(C, B, 102, 1)], WORTHS)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([B, C, D]), st.sampled_from([B, C, D]), st.sampled_from([100, 101]), st.integers(1, 10**9)
        )
    )
)
def test_a_window_has_no_points_left_and_its_money_adds_up_to_zero(claims: list[tuple[int, int, int, int]]):
    nets: dict[tuple[int, int], int] = {}
    for debtor, creditor, unit, points in claims:
        nets[unit, debtor] = nets.get((unit, debtor), 0) - points
        nets[unit, creditor] = nets.get((unit, creditor), 0) + points
    for leg in valuation_transfers(value_points(claims, WORTHS), 1):
        for account, sign in ((leg.debit, -1), (leg.credit, 1)):
            party = parties_of(account)[0]
            nets[leg.unit, party] = nets.get((leg.unit, party), 0) + sign * leg.amount_minor
    assert all(net == 0 for (unit, _), net in nets.items() if unit != Unit.MONEY)
    assert 0 == sum(nets.values())
