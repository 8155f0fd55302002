"""Rounds of traffic through the fault proxy in which something dies; then the judge.

Kills only what the market's own site started.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.contract.clients import Clients, until_heard
from tests.contract.counter import Counter
from tests.contract.credentials import Device, Limits, Pin
from tests.contract.history import History
from tests.contract.journal import check_all
from tests.contract.market import Market
from tests.contract.model import Model
from tests.contract.phones import PIN, phone_of
from tests.contract.proxy import FaultProxy
from tests.contract.traffic import Traffic
from tests.contract.wallets import Card, Wallet

WALLETS = 3
LENT = Limits(operation=3_500, day=40_000)
"""The last card of a round is lent; the first one's member has a phone."""
Kill = Callable[[Market], None]


@dataclass
class Round:
    """What a round came to."""

    operations: int = 0
    sendings: int = 0
    connections: int = 0
    cuts: int = 0

    def __str__(self) -> str:
        return f"{self.operations} operations sent {self.sendings} times, {self.cuts} of {self.connections} lines cut"


def new_history(market: Market, wallets: int = WALLETS, phones: int = 0) -> tuple[History, Model, list[str]]:
    """Of fresh wallets; the first `phones` of them are of members with a phone."""
    model = Model()
    cards = [market.fresh_phone() for _ in range(phones)] + market.fresh_cards(wallets - phones)
    for place, card in enumerate(cards):
        wallet = Wallet(f"wallet {place}", pin=Pin(PIN))
        model.cards[card] = Card(wallet)
        if place < phones:
            model.cards[phone_of(card)] = Card(wallet, device=Device())
    return History(time.monotonic), model, cards


def kill_server(market: Market) -> None:
    """Kill -9 of the server; its databases end with it. A new one is started on them."""
    market.site.owner.kill()
    assert market.site.owner.is_running


def kill_postgres(market: Market) -> None:
    """Kill -9 of the ledger's postmaster; the server starts it again."""
    pid = market.site.database().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def kill_worker(market: Market) -> None:
    """Kill -9 of a worker of the desk."""
    if workers := market.site.owner.workers:
        os.kill(workers[0], signal.SIGKILL)


def close_window(market: Market) -> None:
    """Headquarters closes the open month; the tills go on in the next."""
    ((label,),) = market.site.query(
        "SELECT label FROM windows JOIN calendars USING (calendar_id) WHERE state = 'OPEN' AND code = 'monthly'"
    )
    command = [sys.executable, "-m", "settlement", "close", label, "--json"]
    subprocess.run(command, env=market.site.environment, capture_output=True, check=True, timeout=60)


def run_round(
    market: Market,
    kills: Sequence[Kill],
    *,
    seed: int,
    answers: int = 250,
    tills: int = 8,
    addresses: Sequence[str] = (),
) -> Round:
    """Traffic of `tills` over few wallets; between the parts of it something happens; then everything is judged.

    It goes to the market's own server through a network that fails, or straight to `addresses`.
    """
    draw = random.Random(seed)
    history, model, cards = new_history(market, phones=1)
    with Counter(market, market.address) as counter:
        counter.set_limits(history, cards[-1], LENT)
    with FaultProxy(market.address, seed) as proxy:
        with Traffic(market, addresses or [proxy.address], history, cards, tills=tills, seed=seed) as traffic:
            traffic.hear_more(draw.randint(answers // 2, answers))
            for kill in kills:
                kill(market)
                proxy.target = market.address
                traffic.hear_more(draw.randint(answers // 2, answers))
        cuts, connections = proxy.cuts, proxy.connections
    with Clients(market, market.address) as clients:
        until_heard(clients, history)
    operations = check_all(market, history, model, cards)
    return Round(operations, sum(len(each.sendings) for each in history.intents), connections, cuts)
