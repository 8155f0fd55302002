"""Concurrent tills over few shared wallets: what each sends next is drawn from its seed, and it does not give up.

A till that hears nothing sends again, asks, or takes the operation back, as a real one does; what it leaves open is
sent again at the end. Who runs it ends it.
"""

import itertools
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

from tests.contract.clients import Clients
from tests.contract.credentials import Shown
from tests.contract.history import History, Intent
from tests.contract.market import Market
from tests.contract.messages import Orders
from tests.contract.phones import PIN, phone_of
from tests.contract.scheme import CHAIN_OF, PARTICIPANTS

TIMEOUT_SECONDS = 2.0
TRIES = 4
BATCH = 6
SALES = 6
CODE_AMOUNT_MAX = 60


class Traffic:
    """`tills` threads, shared out among `addresses`, from enter to exit. A failure in one is raised at the exit."""

    def __init__(
        self,
        market: Market,
        addresses: Sequence[str],
        history: History,
        cards: Sequence[str],
        *,
        tills: int = 8,
        seed: int = 0,
        amount_max: int = 4_000,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._market, self.history, self._cards = market, history, cards
        self._amount_max = amount_max
        self._timeout = timeout
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._sent: list[Intent] = []
        self._openings, self._latest = itertools.count(), 0
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(addresses[number % len(addresses)], random.Random(f"{seed}:{number}")),
                daemon=True,
            )
            for number in range(tills)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a till hangs"
        if self._failures:
            raise self._failures[0]

    @property
    def heard(self) -> int:
        return sum(bool(each.answers) for each in list(self.history.intents))

    def hear_more(self, count: int, seconds: float = 60.0) -> None:
        """Let it go on until so many more operations are answered than now, unless a till has failed."""
        until, enough = time.monotonic() + seconds, self.heard + count
        while self.heard < enough and not self._failures:
            assert time.monotonic() < until, f"no {count} more answers within {seconds:g} s"
            time.sleep(0.02)

    def _work(self, address: str, draw: random.Random) -> None:
        try:
            with Clients(self._market, address) as clients:
                orders = Orders(self.history, self._market.phones)
                while not self._stop.is_set():
                    self._next(clients, orders, draw)
        except BaseException as error:  # noqa: BLE001  raised again where the traffic ends
            self._failures.append(error)

    def _next(self, clients: Clients, orders: Orders, draw: random.Random) -> None:
        dice = draw.random()
        if dice < 0.25:
            at = draw.choice(PARTICIPANTS)
            mates = (
                [each for each in PARTICIPANTS if CHAIN_OF.get(each) == CHAIN_OF.get(at)] if at in CHAIN_OF else [at]
            )
            batch = [self._order(orders, draw, draw.choice(mates)) for _ in range(draw.randint(2, BATCH))]
            twice = draw.choice(batch)  # a duplicate in the same call, or its request id with another body
            batch.append(twice if draw.random() < 0.7 else orders.other_body(twice))
            send = clients.send_batch if dice < 0.15 else clients.send_stream
            for _ in range(TRIES):
                send(self.history, batch, timeout=self._timeout)
                if all(each.answers for each in batch) or self._stop.is_set():
                    break
        else:
            intent = self._order(orders, draw, draw.choice(PARTICIPANTS))
            self._one(clients, orders, intent, draw)
            if dice > 0.97:
                self._one(clients, orders, orders.other_body(intent), draw)

    def _one(self, clients: Clients, orders: Orders, intent: Intent, draw: random.Random) -> None:
        """Send it; what is not heard is sent again, asked after, or taken back."""
        for _ in range(TRIES):
            clients.send(self.history, intent, timeout=self._timeout)
            if intent.answers or self._stop.is_set():
                return
            cure = draw.random()
            if cure < 0.15:
                clients.send(self.history, orders.resolve(intent.participant, intent.request_id), timeout=self._timeout)
            elif cure < 0.3:
                back = orders.reverse(intent.participant, intent.request_id)
                clients.send(self.history, back, timeout=self._timeout)
                self._sent.append(back)

    def _order(self, orders: Orders, draw: random.Random, at: str) -> Intent:
        intent = self._drawn(orders, draw, at)
        self._sent.append(intent)
        return intent

    def _code(self, draw: random.Random) -> Shown:
        """What the first card's phone shows: its next code, or one it has shown a while ago, maybe paid by now."""
        counter = next(self._openings) if draw.random() < 0.6 else max(0, self._latest - draw.randint(0, 2))
        self._latest = max(self._latest, counter)
        return Shown(phone=phone_of(self._cards[0]), counter=counter)

    def _drawn(self, orders: Orders, draw: random.Random, at: str) -> Intent:
        """Sell and spend, by card or code; give back, capture, release and take back what any till did."""
        dice, card, amount = draw.random(), draw.choice(self._cards), draw.randint(1, self._amount_max)
        sale = f"{self._cards[0]}-{draw.randint(1, SALES)}" if draw.random() < 0.1 else ""
        if at in {"store-a", "store-b"} and dice < 0.35:
            return orders.top_up(at, card, amount + 1_000, draw.choice(("", "store-a")))
        if dice < 0.5:
            return orders.purchase(at, card, amount, sale=sale, shown=Shown(PIN if draw.random() < 0.1 else ""))
        if dice < 0.56:
            return orders.purchase(at, "", draw.randint(1, CODE_AMOUNT_MAX), shown=self._code(draw))
        if dice < 0.61:
            return orders.upload(at, card, amount, sale=sale)
        if dice < 0.68:
            return orders.authorize(at, card, amount, sale=sale)
        earlier = [each for each in self._sent[-200:] if each.participant == at]
        original = draw.choice(earlier) if earlier else None
        if original is None or original.which in {"resolve", "void", "reverse", "return_top_up"} or dice > 0.95:
            return orders.purchase(at, card, amount)
        if original.which == "top_up" and dice < 0.75:
            return orders.return_top_up(at, original=original.request_id)
        request: Any = original.request
        part = draw.randint(1, request.amount_minor)
        if original.which == "authorize" and dice < 0.85:
            if dice < 0.78:
                return orders.capture(at, part, hold=original.request_id)
            return orders.void(at, hold=original.request_id)
        if dice < 0.85:
            return orders.refund(at, part, original=original.request_id)
        return orders.reverse(at, original.request_id)
