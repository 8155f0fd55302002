"""What the counter does to a card holds from the moment it is acknowledged, for every till and every worker."""

import pytest

from tests.contract.clients import Clients
from tests.contract.counter import Counter
from tests.contract.credentials import Limits
from tests.contract.journal import check_all
from tests.contract.market import Market
from tests.contract.messages import Orders
from tests.contract.rounds import new_history

EVERY_WORKER = 6
LIMITED = "CARD_LIMIT_EXCEEDED"
pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.usefixtures("short_holds")]


def card_round(market: Market, address: str) -> list[str]:
    """A card's life, with operations of tills before and after each act; what they were answered, in order."""
    history, model, _ = new_history(market, 0)
    orders = Orders(history)
    said: list[str] = []
    with Clients(market, address) as tills, Counter(market, address) as counter:

        def shop(card: str) -> None:
            made = [orders.top_up("store-a", card, 1_000), orders.purchase("cafe", card, 100)]
            made += [orders.purchase("cafe", card, 10) for _ in range(EVERY_WORKER)]
            for underway in [tills.start(history, each) for each in made[:1]]:
                tills.finish(history, underway)
            for underway in [tills.start(history, each) for each in made[1:]]:
                tills.finish(history, underway)
            assert all(each.answers for each in made), "no answer to an operation of a card"
            said.extend(sorted({each.answer.reason for each in made if each.answer is not None}))

        card = counter.issue(history)
        shop(card)
        counter.link(history, card)
        shop(card)
        counter.freeze(history, card)
        shop(card)
        counter.unfreeze(history, card)
        shop(card)
        counter.set_limits(history, card, Limits(operation=50))
        new = counter.replace(history, card)
        shop(card)
        shop(new)
    check_all(market, history, model, [new])
    return said


def test_a_card_is_what_the_counter_made_it(market: Market):
    said = card_round(market, market.address)

    assert ["CARD_NOT_LINKED", "ACCEPTED", "CARD_FROZEN", "ACCEPTED", "CARD_REPLACED", "ACCEPTED", LIMITED] == said
