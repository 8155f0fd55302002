"""Any till, any order, any loss: every answer, balance, lot and row is what the contract's model says."""

import os

import pytest

from tests.contract.machine import live
from tests.contract.market import Market

DAYS = int(os.environ.get("COALITION_CONTRACT_DAYS", "120"))
"""Of a hundred steps at most: more than 10,000. `make soak` lives ten times as many, and kills the server meanwhile."""
STEPS_MIN = 10_000 * DAYS // 120
pytestmark = [
    pytest.mark.xdist_group("contract"),
    pytest.mark.usefixtures("short_holds"),
    pytest.mark.timeout(120 + DAYS * 5),
]


def test_every_answer_and_every_row_is_what_the_contract_says(market: Market):
    came_to = live(market, DAYS, shrink="COALITION_CONTRACT_SHRINK" in os.environ)
    print(came_to)

    assert came_to.steps >= STEPS_MIN
    assert came_to.sendings > 30 * DAYS
