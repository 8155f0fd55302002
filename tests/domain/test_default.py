"""A default, worked by hand: collateral, then the losses of those it owed, to the fen; custody bears none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.accounts import kind_of, parties_of
from coalition.domain.default import (
    collateral_payment,
    cover_default,
    hand_on,
    held_back,
    net_claims_on,
    share_loss,
    unpaid_windows,
)

H, T, A, B, C, D = range(1, 7)


def test_collateral_comes_first_and_the_rest_is_shared_by_net_bilateral_claims():
    """A owes 1000 and has 100. B has 600 - 200 = 400 against it, C 300, D owes it: 900 is shared 4 to 3."""
    claims = [(A, B, 600), (B, A, 200), (A, C, 300), (D, A, 50), (A, D, 20), (B, C, 999), (A, T, 70)]

    default = cover_default(A, 1_000, 100, claims, exempt={T}, operator_id=H)

    assert {B: 400, C: 300, T: 70} == net_claims_on(A, claims)
    assert (100, {B: 514, C: 386}) == (default.collateral_minor, default.shares)  # 514.28 and 385.71
    assert {B: 400, C: 300} == default.weights
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

    assert ({H: 500}, {}) == (default.shares, default.weights)


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


def test_the_newest_windows_are_the_unpaid_ones():
    """Payments settle the oldest first; a window in which it was owed something lies between and counts as well."""
    netted = [(1, -500), (2, -300), (3, 100), (4, -200)]

    assert [] == unpaid_windows(0, netted)
    assert [4] == unpaid_windows(200, netted)
    assert [4, 3, 2] == unpaid_windows(201, netted)
    assert [4, 3, 2, 1] == unpaid_windows(501, netted)
    assert [4, 3, 2, 1] == unpaid_windows(9_999, netted)  # a returned payment: older than what is known


def test_a_recovery_goes_back_in_the_shares_of_the_loss():
    """10.00 of 669.99 that B and C bear 382.85 to 287.14: 571.43 and 428.57 fen."""
    legs = hand_on(A, 1_000, {C: 28_714, B: 38_285})

    assert [("DUE", A, "DUE", B, 571), ("DUE", A, "DUE", C, 429)] == [
        (
            kind_of(leg.debit).name,
            parties_of(leg.debit)[0],
            kind_of(leg.credit).name,
            parties_of(leg.credit)[0],
            leg.amount_minor,
        )
        for leg in legs
    ]


@given(
    st.dictionaries(st.integers(3, 40), st.integers(1, 10**9), min_size=1),
    st.lists(st.integers(1, 10**9), max_size=8),
)
def test_recoveries_in_any_slices_give_back_exactly_what_each_bore(losses: dict[int, int], slices: list[int]):
    left = dict(losses)
    for wanted in [*slices, sum(losses.values())]:
        recovered = min(wanted, sum(left.values()))
        if not recovered:
            break
        for leg in hand_on(A, recovered, left):
            left[parties_of(leg.credit)[0]] -= leg.amount_minor
        assert min(left.values()) >= 0
    assert 0 == sum(left.values())


@pytest.mark.parametrize("recovered", [0, 11])
def test_nothing_is_handed_on_that_nobody_bore(recovered: int):
    with pytest.raises(ValueError, match="at most what is still borne"):
        hand_on(A, recovered, {B: 10})


def test_collateral_lies_in_the_bank_and_is_paid_back_from_it():
    there, back = (collateral_payment(A, 700, back=each) for each in (False, True))

    assert ("BANK", "COLLATERAL", 700) == (kind_of(there.debit).name, kind_of(there.credit).name, there.amount_minor)
    assert (there.credit, there.debit) == (back.debit, back.credit)


@pytest.mark.parametrize(
    ("due", "losses", "expected"),
    [
        ({3: 1_000}, {3: {4: 400, 5: 300}}, {3: 700}),
        ({3: 90}, {3: {4: 400, 5: 300}}, {3: 90}),
        ({3: -90}, {3: {4: 400}}, {}),
        ({}, {3: {4: 400}}, {}),
        ({4: 400}, {3: {4: 400}}, {}),
        ({3: 90}, {}, {}),
    ],
)
def test_what_is_due_to_a_defaulter_is_held_back_as_far_as_others_bear_its_loss(
    due: dict[int, int], losses: dict[int, dict[int, int]], expected: dict[int, int]
) -> None:
    assert expected == held_back(due, losses)
