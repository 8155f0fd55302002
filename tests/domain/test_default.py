"""A default, worked by hand: collateral, then the losses of those it owed, to the fen; custody bears none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.accounts import kind_of, parties_of
from coalition.domain.default import cover_default, net_claims_on, share_loss

H, T, A, B, C, D = range(1, 7)


def test_collateral_comes_first_and_the_rest_is_shared_by_net_bilateral_claims():
    """A owes 1000 and has 100. B has 600 - 200 = 400 against it, C 300, D owes it: 900 is shared 4 to 3."""
    claims = [(A, B, 600), (B, A, 200), (A, C, 300), (D, A, 50), (A, D, 20), (B, C, 999), (A, T, 70)]

    default = cover_default(A, 1_000, 100, claims, exempt={T}, operator_id=H)

    assert {B: 400, C: 300, T: 70} == net_claims_on(A, claims)
    assert (100, {B: 514, C: 386}) == (default.collateral_minor, default.shares)  # 514.28 and 385.71
    assert [
        ("COLLATERAL", A, "DUE", A, 100),
        ("DUE", B, "DUE", A, 514),
        ("DUE", C, "DUE", A, 386),
    ] == [
        (
            kind_of(leg.debit).name,
            parties_of(leg.debit)[0],
            kind_of(leg.credit).name,
            parties_of(leg.credit)[0],
            leg.amount_minor,
        )
        for leg in default.transfers
    ]


def test_of_equal_remainders_the_lowest_id_bears_the_fen():
    assert {A: 34, B: 33, C: 33} == share_loss(100, {C: 1, B: 1, A: 1})
    assert {A: 1, B: 1} == share_loss(2, {C: 1, B: 1, A: 1})


def test_collateral_that_is_enough_leaves_no_loss_and_the_rest_of_it_stays():
    default = cover_default(A, 1_000, 5_000, [(A, B, 1_000)], exempt={T}, operator_id=H)

    assert (1_000, {}) == (default.collateral_minor, default.shares)
    assert 1 == len(default.transfers)


def test_where_custody_alone_was_owed_the_operator_bears_it():
    """Members' principal bears no loss: T is made whole (SUMS section 4)."""
    default = cover_default(A, 500, 0, [(A, T, 500)], exempt={T}, operator_id=H)

    assert {H: 500} == default.shares


@given(
    st.dictionaries(st.integers(3, 40), st.integers(0, 10**12), min_size=1).filter(lambda each: sum(each.values()) > 0),
    st.integers(0, 10**12),
)
def test_shares_add_up_to_the_loss_each_within_a_fen_of_its_part(weights: dict[int, int], loss: int):
    shares = share_loss(loss, weights)
    total = sum(weights.values())

    assert loss == sum(shares.values())
    for each, weight in weights.items():
        assert abs(shares.get(each, 0) * total - loss * weight) < total
    assert shares == share_loss(loss, dict(reversed(weights.items())))


def test_a_loss_that_nobody_can_bear_is_our_own_bug():
    with pytest.raises(ValueError, match="at least one above 0"):
        share_loss(1, {A: 0})
