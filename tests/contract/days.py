"""Days of the state machine: so many, of so many steps, each on fresh cards and judged at its end."""

import time
from collections import Counter
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.contract.clients import Clients
from tests.contract.counter import Counter as CardCounter
from tests.contract.machine import Tills
from tests.contract.market import Market

STEPS_OF_A_DAY = 110


class CrashingTills(Tills):
    """The same, and the server is killed now and then."""

    @rule(chance=st.integers(0, 9))
    def crash(self, chance: int) -> None:
        if chance:
            return
        self.market.site.owner.kill()
        self.clients.move(self.market.address)
        self.counter.move(self.market.address)


class Days(NamedTuple):
    """What the days of a machine came to."""

    days: int
    steps: int
    operations: int
    sendings: int
    seconds: float
    outcomes: Counter[str]

    def __str__(self) -> str:
        sent = f"{self.operations:,} operations sent {self.sendings:,} times"
        came_to = ", ".join(f"{count} {what}" for what, count in self.outcomes.most_common())
        return f"{self.steps:,} steps of {self.days} days, {sent} in {self.seconds:.0f} s: {came_to}"


def live(market: Market, days: int, tills: type[Tills] = Tills, *, shrink: bool = False, address: str = "") -> Days:
    """So many days of so many steps on fresh cards, each judged at its end. Raises what the judge finds broken.

    `shrink` sends everything again, hundreds of times: for who looks for the shortest example. At `address` (default:
    the market's own server).
    """
    counted: list[tuple[int, ...]] = []
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    outcomes: Counter[str] = Counter()
    started = time.monotonic()
    at = address or market.address
    with Clients(market, at) as clients, CardCounter(market, at) as counter:
        live_on = {"market": market, "clients": clients, "counter": counter, "outcomes": outcomes}
        machine = type("Machine", (tills,), live_on)
        machine.count = staticmethod(lambda *numbers: counted.append(numbers))  # type: ignore[attr-defined]
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=days,
                stateful_step_count=STEPS_OF_A_DAY,
                deadline=None,
                database=None,
                phases=phases,
                suppress_health_check=list(HealthCheck),
            ),
        )
    steps, operations, sendings = (sum(column) for column in zip(*counted, strict=True))
    return Days(len(counted), steps, operations, sendings, time.monotonic() - started, outcomes)
