"""What is there once is had once, and what is counted is counted, however many tills ask at one instant."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.market import Market
from tests.contract.races import RACES, Race

pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.usefixtures("short_holds")]


@pytest.fixture(scope="module")
def both(market: Market) -> Iterator[list[str]]:
    """Two servers of one house, with small batches: their workers meet in the same wallets all the time."""
    with ExitStack() as servers:
        yield [
            servers.enter_context(market.site.attached(desk_batch_max="4", desk_workers="3")).address for _ in range(2)
        ]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_no_race_has_a_winner_too_many(market: Market, both: list[str], race: Race):
    race(market, both)
