"""Concurrent tills through a network that fails, on a service that is killed: one order explains every answer heard."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.market import Market
from tests.contract.races import RACES, Race
from tests.contract.rounds import Kill, close_window, kill_postgres, kill_server, kill_worker, run_round

pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.usefixtures("short_holds"), pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    ("kills", "seed"),
    [([], 1), ([kill_worker, kill_worker], 2), ([kill_postgres], 3), ([kill_server], 4)],
    ids=["cut lines", "killed workers", "killed PostgreSQL", "killed server"],
)
def test_all_that_was_acknowledged_is_there_once_and_in_order(market: Market, kills: list[Kill], seed: int):
    came_to = run_round(market, kills, seed=seed)
    print(came_to)

    assert came_to.operations > 80
    assert came_to.cuts > 0


@pytest.fixture(scope="module")
def both(market: Market) -> Iterator[list[str]]:
    """Two servers of one house, with batches of four: their workers meet in the same wallets all the time."""
    with ExitStack() as servers:
        yield [
            servers.enter_context(market.site.attached(desk_batch_max="4", desk_workers="3")).address for _ in range(2)
        ]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_no_race_has_a_winner_too_many(market: Market, both: list[str], race: Race):
    """What is there once is had once, and what is counted is counted, however many tills ask at one instant."""
    race(market, both)


def test_two_servers_with_overlapping_batches_keep_one_order_while_a_window_closes(market: Market, both: list[str]):
    came_to = run_round(market, [close_window], seed=5, tills=12, answers=400, addresses=both)
    print(came_to)

    assert came_to.operations > 200
