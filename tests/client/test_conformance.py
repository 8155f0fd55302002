"""The conformance cases find what they look for: a server that breaks promises is told which."""

import hashlib

import pytest

from coalition.client import Connection, RetryPolicy
from coalition.client.conformance import CASES, TooLittleMoney, play
from coalition.v1.operations_pb2 import TerminalRef

CARD = "9123456789012345"


def sign(stated: bytes) -> bytes:
    """A signature that a careful server would refuse."""
    return hashlib.sha256(stated).digest()


def played(counter) -> dict[str, str]:
    """What failed, by case."""
    with Connection(counter.proxy.address, counter.till, retry=RetryPolicy(attempts_max=1)) as connection:
        verdicts = play(connection, CARD, at=TerminalRef(participant="cafe", store="main", terminal="1"), sign=sign)
        return {verdict.name: verdict.failure for verdict in verdicts if not verdict.passed}


def test_a_server_that_never_says_replayed_is_found_out(counter):
    """The stub keeps the money right, and marks no replay: both halves are seen."""
    failed = played(counter)

    assert "not marked as replayed" in failed["lost answer then retry"]
    assert "reverse before the original" not in failed
    assert "late original after its reversal" not in failed


def test_a_server_that_records_any_close_is_found_out(counter):
    """The stub counts right, and looks neither at signatures nor at numbers, and names no operation."""
    failed = played(counter)

    assert "SIGNATURE_INVALID was promised" in failed["a forged close is refused"]
    assert "0 of 3 operations are named" in failed["a close names what differs"]
    assert "not marked as replayed" in failed["close once"]
    assert "totals count what was answered" not in failed


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
