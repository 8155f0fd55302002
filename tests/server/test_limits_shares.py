"""A caller's share, counted on a clock of the test's own."""

import pytest

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.server.identity import REMEMBERED_MAX, Identity, Role
from coalition.server.limits import BURST_SECONDS, Limits, Share, Shares

TILL = Identity(Role.TERMINAL, ("cafe", "main", "till-1"), "/t/cafe/main/till-1")
OTHER = Identity(Role.TERMINAL, ("cafe", "main", "till-2"), "/t/cafe/main/till-2")
CHAIN = Identity(Role.TILL_SERVER, ("shop", "pos"), "/ts/shop/pos")
# A power of two, so that the sums below are exact.
LIMITS = Limits(rate=128, till_server_rate=1_000, calls_max=3, operations_max=1_000, house_calls_max=5)
BURST = int(BURST_SECONDS) * LIMITS.rate


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shares(clock: Clock) -> Shares:
    return Shares(LIMITS, clock)


def refused(share: Share, operations: int) -> Reason | None:
    try:
        share.charge(operations)
    except Refused as error:
        return error.reason
    return None


def test_a_quiet_caller_may_send_a_burst_and_then_only_its_rate(shares: Shares, clock: Clock):
    share = shares.of(TILL)

    assert all(refused(share, 1) is None for _ in range(BURST))
    assert Reason.RATE_EXCEEDED is refused(share, 1)
    clock.now += 1.0001 / LIMITS.rate
    assert (None, Reason.RATE_EXCEEDED) == (refused(share, 1), refused(share, 1))
    clock.now += 1.0
    assert (None, Reason.RATE_EXCEEDED) == (refused(share, LIMITS.rate), refused(share, 1))


def test_the_bucket_never_holds_more_than_a_burst(shares: Shares, clock: Clock):
    share = shares.of(TILL)
    share.charge(1)
    clock.now += 86_400

    assert (None, Reason.RATE_EXCEEDED) == (refused(share, BURST), refused(share, 1))


def test_what_is_refused_costs_nothing(shares: Shares, clock: Clock):
    """Else a caller that keeps asking would never be served again."""
    share = shares.of(TILL)
    share.charge(BURST)
    for _ in range(1_000):
        assert Reason.RATE_EXCEEDED is refused(share, 1)
    clock.now += 1.0001 / LIMITS.rate

    assert refused(share, 1) is None


def test_who_waits_as_long_as_it_is_told_is_served(shares: Shares, clock: Clock):
    share = shares.of(TILL)
    share.charge(BURST)
    clock.now += share.wait(50) + 1e-6

    assert share.wait(50) == 0


def test_a_till_server_has_the_rate_of_a_chain_and_a_batch_counts_its_operations(shares: Shares):
    share = shares.of(CHAIN)

    assert [None] * 10 + [Reason.RATE_EXCEEDED] == [refused(share, 1_000) for _ in range(11)]


def test_one_callers_flood_takes_nothing_from_another(shares: Shares):
    shares.of(TILL).charge(BURST)

    assert refused(shares.of(OTHER), BURST) is None


def test_calls_at_once_are_bounded_for_one_caller_and_for_the_house(shares: Shares):
    share, other = shares.of(TILL), shares.of(OTHER)
    for _ in range(3):
        share.enter()
    with pytest.raises(Refused) as of_one:
        share.enter()
    other.enter()
    other.enter()
    with pytest.raises(Refused) as of_all:
        other.enter()
    share.leave()
    other.enter()

    assert {Reason.CALLS_EXCEEDED} == {of_one.value.reason, of_all.value.reason}
    assert (2, 3, 5) == (share.calls, other.calls, shares.calls)


def test_operations_that_wait_are_bounded_for_one_caller(shares: Shares):
    share = shares.of(CHAIN)
    share.begin(999)
    share.begin(1)
    with pytest.raises(Refused) as refusal:
        share.begin(1)
    share.end(500)
    share.begin(500)

    assert (Reason.CALLS_EXCEEDED, 1_000) == (refusal.value.reason, share.operations)


def test_shares_of_many_are_forgotten_but_never_one_that_is_in_use(shares: Shares, clock: Clock):
    spent, busy = shares.of(TILL), shares.of(OTHER)
    spent.charge(BURST)
    busy.enter()
    for number in range(REMEMBERED_MAX + 10):
        shares.of(Identity(Role.TERMINAL, (str(number),), f"/t/{number}"))

    assert (spent, busy) == (shares.of(TILL), shares.of(OTHER))
    assert len(shares._shares) < REMEMBERED_MAX
