"""A hold ends by itself when its time is over, on the service's clock, exactly once."""

import time

import pytest

from tests.contract.clients import Clients
from tests.contract.journal import Journal, check_all
from tests.contract.market import Market
from tests.contract.short_holds import SECONDS, ShortHolds
from tests.faults.site import wait_until

EXPIRY_SECONDS = 30.0
pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.timeout(SECONDS + 120)]


def test_a_hold_is_released_when_its_time_is_over_and_nothing_ends_it_again(market: Market, short_holds: ShortHolds):
    time.sleep(max(0.0, short_holds.over - time.monotonic()))
    orders, history = short_holds.orders, short_holds.history
    short, (card,) = short_holds.short, short_holds.cards
    assert short.answer is not None
    with Clients(market, market.address) as tills:
        wait_until(lambda: bool(expired(market, card)), EXPIRY_SECONDS, "the expiry is in the journal")
        for late in (
            orders.capture("cafe", 100, hold=short.request_id),
            orders.void("cafe", hold=short.request_id),
            orders.reverse("cafe", short.request_id),
            orders.purchase("cafe", card, 24_000 - 1_000 - 3_000),
            orders.capture("store-a", 2_000, hold=short_holds.long.request_id),
        ):
            tills.send(history, late)
    check_all(market, history, short_holds.model, [card])

    assert [short.answer.entry_id] == expired(market, card)


def expired(market: Market, card: str) -> list[int]:
    """The holds of the card's wallet that the house let expire."""
    with Journal(market, [card]) as journal:
        return [hold for _, hold in journal.expiries()]
