"""The conformance cases find what they look for: a server that breaks promises is told which."""

import pytest

from coalition.client import Connection, RetryPolicy
from coalition.client.conformance import CASES, TooLittleMoney, play

CARD = "9123456789012345"


def played(counter) -> dict[str, str]:
    """What failed, by case."""
    with Connection(counter.proxy.address, counter.till, retry=RetryPolicy(attempts_max=1)) as connection:
        return {verdict.name: verdict.failure for verdict in play(connection, CARD) if not verdict.passed}


def test_a_server_that_never_says_replayed_is_found_out(counter):
    """The stub keeps the money right, and marks no replay: both halves are seen."""
    failed = played(counter)

    assert "not marked as replayed" in failed["lost answer then retry"]
    assert "reverse before the original" not in failed
    assert "late original after its reversal" not in failed


def test_a_server_that_pays_every_retry_is_found_out(counter):
    """Without the look at the request id each case but the plainest loses money."""
    counter.stub.fault = lambda when, *_: counter.stub.answers.clear() if when == "before" else None
    failed = played(counter)

    assert len(failed) > len(CASES) / 2
    assert "reverse an answered sale" not in failed


def test_a_card_without_funds_is_told_before_any_case(counter):
    """A row of INSUFFICIENT_FUNDS would look like a broken server."""
    counter.stub.balance_minor = 1_999

    with pytest.raises(TooLittleMoney, match="2000 are needed"):
        played(counter)
    assert [] == counter.stub.calls
