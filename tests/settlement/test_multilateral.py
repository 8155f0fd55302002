"""Netting as arithmetic: what must hold whatever the claims are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.storage.positions import Claim
from settlement import multilateral

PARTICIPANTS = range(1, 9)
claims = st.lists(
    st.builds(
        lambda pair, code, unit, amount, count: Claim(1, pair[0], pair[1], code, unit, amount, count),
        st.tuples(st.sampled_from(PARTICIPANTS), st.sampled_from(PARTICIPANTS)).filter(lambda pair: pair[0] != pair[1]),
        st.integers(1, 6),
        st.integers(1, 3),
        st.integers(1, 10**12),
        st.integers(1, 50),
    ),
    max_size=60,
)


@given(claims)
def test_net_positions_of_every_unit_sum_to_zero(given_claims):
    assert multilateral.imbalance(multilateral.net(given_claims, PARTICIPANTS)) == {}


@given(claims)
def test_every_participant_is_listed_in_every_unit(given_claims):
    positions = multilateral.net(given_claims, PARTICIPANTS)
    units = {1} | {claim.unit for claim in given_claims}

    assert [(position.unit, position.participant_id) for position in positions] == [
        (unit, participant) for unit in sorted(units) for participant in PARTICIPANTS
    ]


@given(claims, st.integers())
def test_the_order_of_claims_and_participants_changes_nothing(given_claims, seed):
    shuffled, participants = list(given_claims), list(PARTICIPANTS)
    random.Random(seed).shuffle(shuffled)
    random.Random(seed).shuffle(participants)

    assert multilateral.net(shuffled, participants) == multilateral.net(given_claims, PARTICIPANTS)


@given(claims)
def test_netting_never_raises_gross(given_claims):
    positions = multilateral.net(given_claims, PARTICIPANTS)
    for unit in (1, 2, 3):
        assert 0 <= multilateral.paid(positions, unit) <= multilateral.gross(given_claims, unit)


@given(claims)
def test_a_claim_and_its_reverse_leave_every_position_where_it_was(given_claims):
    reverse = [
        Claim(1, claim.creditor_id, claim.debtor_id, claim.code, claim.unit, claim.amount_minor, claim.transfer_count)
        for claim in given_claims
    ]
    positions = multilateral.net([*given_claims, *reverse], PARTICIPANTS)

    assert {position.net_minor for position in positions} == {0}


def test_a_claim_of_a_stranger_is_refused():
    with pytest.raises(ValueError, match=r"\[77\]"):
        multilateral.net([Claim(1, 77, 1, 1, 1, 5, 1)], PARTICIPANTS)


def test_g0_nets_to_the_worked_month():
    """SUMS section 6, G0: A -297.00, C +295.20, H +1.80."""
    a, c, h = 1, 2, 3
    month = [
        Claim(1, a, c, 1, 1, 25000, 1),
        Claim(1, a, c, 2, 1, 5000, 1),
        Claim(1, c, h, 4, 1, 180, 1),
        Claim(1, c, a, 5, 1, 300, 1),
    ]
    positions = multilateral.net(month, [a, c, h])

    assert [position.net_minor for position in positions] == [-29700, 29520, 180]
    assert multilateral.saving_percent(multilateral.gross(month), multilateral.paid(positions)) == "2.56"


@pytest.mark.parametrize(
    ("gross", "paid", "percent"),
    [(0, 0, "0.00"), (3, 0, "100.00"), (3, 1, "66.67"), (7, 7, "0.00"), (80000, 79999, "0.00"), (80000, 79997, "0.00")],
)
def test_saving_is_rounded_half_even_to_two_decimals(gross, paid, percent):
    assert multilateral.saving_percent(gross, paid) == percent


@pytest.mark.parametrize(
    ("minor", "plain", "grouped"),
    [
        (0, "0.00", "0.00"),
        (-29700, "-297.00", "-297.00"),
        (5, "0.05", "0.05"),
        (123456789, "1234567.89", "1,234,567.89"),
    ],
)
def test_minor_units_are_printed_with_two_decimals(minor, plain, grouped):
    assert multilateral.major(minor) == plain
    assert multilateral.major(minor, grouped=True) == grouped
