"""Holds of the shortest time there is: one that runs out, one that is captured before, one that is longer."""

import time

from tests.contract.clients import Clients
from tests.contract.market import Market
from tests.contract.messages import Orders
from tests.contract.rounds import new_history

SECONDS = 60


class ShortHolds:
    """Made with the object; `history`, `model` and `cards` are for the judge."""

    def __init__(self, market: Market) -> None:
        self.history, self.model, self.cards = new_history(market, 1)
        self.orders = Orders(self.history)
        (card,) = self.cards
        sold = self.orders.top_up("store-a", card, 20_000)
        self.short = self.orders.authorize("cafe", card, 5_000, SECONDS)
        self.captured = self.orders.authorize("cafe", card, 4_000, SECONDS)
        self.long = self.orders.authorize("store-a", card, 3_000, SECONDS * 10)
        with Clients(market, market.address) as tills:
            for each in (sold, self.short, self.captured, self.long):
                tills.send(self.history, each)
            tills.send(self.history, self.orders.capture("cafe", 1_000, hold=self.captured.request_id))
        self.over = time.monotonic() + SECONDS
