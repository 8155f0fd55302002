"""Trials of seeded bugs: what the judge says of a service that has one. A judge without teeth proves nothing."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.contract.market import Market
from tests.contract.mutants import Mutant, mutated
from tests.contract.rounds import Kill, close_window, kill_postgres, run_round
from tests.contract.test_cards import card_round

ROUNDS: Final = 8
TILLS: Final = 12
ANSWERS: Final = 300
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


TRIALS: Final[dict[str, Trial]] = {
    "traffic": _traffic([]),
    "postgres": _traffic([kill_postgres]),
    "close": _traffic([close_window, close_window, close_window]),
    "deadlocks": _deadlocks,
    "cards": _cards,
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
