"""The contract tests, for long: days of tills with a server that is killed, rounds of killed parts, noise."""

import pytest

from tests.contract.attack import attack
from tests.contract.days import CrashingTills, live
from tests.contract.machine import Tills
from tests.contract.market import Market
from tests.contract.rounds import close_window, kill_postgres, kill_server, kill_worker, run_round

DAYS = 1_000
DAYS_WITH_CRASHES = 60
ROUNDS = 40
CALLS = 100_000
pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]


@pytest.mark.parametrize(("days", "tills"), [(DAYS, Tills), (DAYS_WITH_CRASHES, CrashingTills)])
def test_every_answer_of_many_days_is_what_the_contract_says(
    market: Market, days: int, tills: type[Tills], capsys: pytest.CaptureFixture[str]
):
    came_to = live(market, days, tills)
    with capsys.disabled():
        print(f"\n{tills.__name__}: {came_to}")

    assert came_to.days >= days


def test_all_that_was_acknowledged_is_there_whatever_is_killed(market: Market, capsys: pytest.CaptureFixture[str]):
    kills = [kill_worker, kill_postgres, kill_server, close_window]
    for seed in range(ROUNDS):
        came_to = run_round(market, [kills[seed % 4], kills[seed // 4 % 4]], seed=1_000 + seed)
        with capsys.disabled():
            print(f"\nround {seed}: {came_to}", end="")


def test_a_hundred_thousand_messages_break_nothing(market: Market, capsys: pytest.CaptureFixture[str]):
    codes = attack(market, CALLS, seed=72)
    with capsys.disabled():
        print(f"\n{CALLS:,} calls: {dict(codes.most_common())}")

    assert CALLS == codes.total()
