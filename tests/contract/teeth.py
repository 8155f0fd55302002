"""Trials of seeded bugs: what the judge says of a service that has one. A judge without teeth proves nothing."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.contract.days import live
from tests.contract.market import Market
from tests.contract.mutant import Mutant, mutated
from tests.contract.races import RACES, Race
from tests.contract.rounds import Kill, close_window, kill_postgres, run_round
from tests.contract.test_cards import card_round

ROUNDS: Final = 8
TILLS: Final = 12
ANSWERS: Final = 300
DAYS: Final = 4
Trial = Callable[[Market, Sequence[str], int], None]


def _traffic(kills: Sequence[Kill]) -> Trial:
    def trial(market: Market, addresses: Sequence[str], seed: int) -> None:
        run_round(market, kills, seed=seed, tills=TILLS, answers=ANSWERS, addresses=addresses)

    return trial


def _deadlocks(market: Market, addresses: Sequence[str], seed: int) -> None:
    before = market.site.database_log().count("deadlock detected")
    _traffic([])(market, addresses, seed)
    found = market.site.database_log().count("deadlock detected") - before
    assert not found, f"{found} deadlocks"


def _cards(market: Market, addresses: Sequence[str], _: int) -> None:
    card_round(market, addresses[0])


def _machine(market: Market, addresses: Sequence[str], _: int) -> None:
    live(market, DAYS, address=addresses[0])


def _race(race: Race) -> Trial:
    def trial(market: Market, addresses: Sequence[str], _: int) -> None:
        race(market, addresses)

    return trial


TRIALS: Final[dict[str, Trial]] = {
    "traffic": _traffic([]),
    "postgres": _traffic([kill_postgres]),
    "close": _traffic([close_window, close_window, close_window]),
    "deadlocks": _deadlocks,
    "cards": _cards,
    "machine": _machine,
    **{race.__name__: _race(race) for race in RACES},
}


def noticed(market: Market, mutant: Mutant | None, directory: Path, *, trial: str = "", rounds: int = ROUNDS) -> str:
    """What the judge says of the bug, in at most so many rounds; empty when it saw nothing.

    Two servers with small batches, so that their workers meet in the same wallets all the time.
    """
    run = TRIALS[trial or (mutant.trial if mutant is not None else "traffic")]
    with mutated(market, mutant, directory) as copy, ExitStack() as servers:
        addresses = [
            servers.enter_context(copy.site.attached(desk_batch_max="4", desk_workers="3")).address for _ in range(2)
        ]
        for seed in range(rounds):
            try:
                run(market, addresses, seed)
            except AssertionError as error:
                return str(error) or type(error).__name__
    return ""
