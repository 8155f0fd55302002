"""Whatever bytes come: a refusal with a reason, never INTERNAL, and nothing in the books but declines."""

import pytest

from tests.contract.attack import attack
from tests.contract.market import Market

CALLS = 3_000
pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.timeout(180)]


def test_no_bytes_break_the_server_or_enter_the_books(market: Market):
    codes = attack(market, CALLS, seed=8583)
    print(dict(codes.most_common()))

    assert codes["INVALID_ARGUMENT"] > CALLS // 10
    assert codes["NOT_FOUND"] > CALLS // 100
