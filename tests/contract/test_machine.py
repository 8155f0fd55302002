"""Any till, any order, any loss: every answer, balance, lot and row is what the contract's model says."""

import os

import pytest

from tests.contract.days import live
from tests.contract.market import Market

DAYS = int(os.environ.get("COALITION_CONTRACT_DAYS", "112"))
"""Of 110 steps at most: more than 10,000. `make soak` lives ten times as many, and kills the server meanwhile."""
STEPS_MIN = 10_000 * DAYS // 112
RARE = {
    "purchase CARD_FROZEN",
    "purchase CARD_LIMIT_EXCEEDED",
    "purchase KILLED",
    "purchase PAYMENT_CODE_USED",
    "purchase PAYMENT_CODE_WRONG",
    "purchase PIN_LOCKED",
    "purchase PIN_REQUIRED",
    "purchase PIN_WRONG",
    "purchase SALE_REFERENCE_USED",
    "refund ACCEPTED short",
    "return_top_up ACCEPTED",
    "return_top_up LOT_NOT_OPEN",
    "return_top_up LOT_TOUCHED",
    "upload ACCEPTED short",
}
"""What some day must come to: a machine that never gets there proves nothing about it. Holds are declined alike."""
RARE_MISSED = 2 if DAYS < 1_000 else 0
"""Each day draws which rules it has at all, so that a hundred days may miss the odd outcome; a thousand do not."""
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
    missed = RARE - {each.replace("authorize ", "purchase ") for each in came_to.outcomes}
    assert len(missed) <= RARE_MISSED, missed
