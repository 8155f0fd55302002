"""The length of a blind index follows from the number of members, and never lets a value name one of them."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.index_plan import planned_bits


@pytest.mark.parametrize(("members", "bits"), [
    (1, 1), (4, 1), (5, 1), (8, 2), (1_000, 6), (100_000, 13), (1_000_000, 16), (4_000_000, 18), (100_000_000, 23),
])  # fmt: skip
def test_an_index_is_as_long_as_its_members_need(members: int, bits: int):
    assert bits == planned_bits(members)


@given(st.integers(16, 10_000_000_000))
def test_a_value_is_shared_by_at_least_two_and_fewer_than_the_root_of_all(members: int):
    """CipherSweet's rule: fewer than two would name a member, more than the root are too many to open."""
    shared = members / 2 ** planned_bits(members)
    assert 2 <= shared < sqrt(members)


@given(st.integers(512, 10_000_000_000))
def test_a_look_up_opens_some_dozen_records(members: int):
    assert 11 <= members / 2 ** planned_bits(members) <= 23


@pytest.mark.parametrize("members", [0, -1, 10_000_000_001])
def test_a_number_of_members_that_cannot_be_is_refused(members: int):
    with pytest.raises(ValueError, match="members must be from 1"):
        planned_bits(members)
