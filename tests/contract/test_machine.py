"""Any till, any order, any loss: every answer, balance, lot and row is what the contract's model says."""

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.clients import Clients
from tests.contract.counter import Counter
from tests.contract.machine import Tills
from tests.contract.market import Market

STEPS_OF_A_DAY = 100
DAYS = int(os.environ.get("COALITION_CONTRACT_DAYS", "104"))
# Shrinking sends everything again, hundreds of times: worth it for who looks for the shortest example.
PHASES = (Phase.generate, Phase.shrink) if "COALITION_CONTRACT_SHRINK" in os.environ else (Phase.generate,)
pytestmark = [pytest.mark.xdist_group("serial"), pytest.mark.timeout(60 + DAYS * 5)]


def test_every_answer_and_every_row_is_what_the_contract_says(market: Market, capsys: pytest.CaptureFixture[str]):
    counted: list[tuple[int, int]] = []
    with Clients(market, market.address) as tills, Counter(market, market.address) as counter:

        class Machine(Tills):
            pass

        Machine.market, Machine.clients, Machine.counter = market, tills, counter
        Machine.count = staticmethod(lambda *two: counted.append(two))
        started = time.monotonic()
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=DAYS,
                stateful_step_count=STEPS_OF_A_DAY,
                deadline=None,
                database=None,
                phases=PHASES,
                suppress_health_check=list(HealthCheck),
            ),
        )
        seconds = time.monotonic() - started
    with capsys.disabled():
        operations, sendings = (sum(column) for column in zip(*counted, strict=True))
        print(f"\n{len(counted)} days, {operations:,} operations sent {sendings:,} times in {seconds:.0f} s")
