"""Races: many tills want the same thing at one instant, and only so many may have it. The judge says who should.

Straight to `addresses`, which may be several servers of one house. Each raises an AssertionError for what is broken.
"""

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Self

from coalition.storage.connect import connect
from tests.contract.clients import Clients, until_heard
from tests.contract.counter import Counter
from tests.contract.credentials import PIN_TRIES, Limits, Shown
from tests.contract.history import History, Intent
from tests.contract.journal import Journal, check_all
from tests.contract.market import Market
from tests.contract.messages import Orders
from tests.contract.phones import PIN, WRONG_PIN, phone_of
from tests.contract.rounds import new_history
from tests.contract.scheme import CARD_ISSUER, OFFLINE_LIMITS
from tests.faults.site import wait_until

TILLS = 12
PLACES = ("store-a", "cafe")
Race = Callable[[Market, Sequence[str]], None]


class Rivals:
    """`TILLS` tills, shared out among the addresses, that act at one instant."""

    def __init__(self, market: Market, addresses: Sequence[str]) -> None:
        self._closing = ExitStack()
        self._tills = [
            self._closing.enter_context(Clients(market, addresses[place % len(addresses)])) for place in range(TILLS)
        ]
        self._pool = self._closing.enter_context(ThreadPoolExecutor(TILLS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def act(self, history: History, intents: Sequence[Intent]) -> list[str]:
        """Send all of them, at most one a till, and wait; what they were answered."""
        barrier = Barrier(len(intents))

        def send(place: int) -> None:
            barrier.wait(20)
            self._tills[place].send(history, intents[place])

        list(self._pool.map(send, range(len(intents))))
        until_heard(self._tills[0], history)
        return [each.answers[0].reason for each in intents]


def race_for_a_code(market: Market, addresses: Sequence[str], *, rounds: int = 8) -> None:
    """One code of a phone at 2 to 12 tills at once: one is paid, whoever shows it then or before it is told so."""
    history, model, (card,) = new_history(market, 1, phones=1)
    orders, phone = Orders(history, market.phones), phone_of(card)
    with Rivals(market, addresses) as rivals:
        rivals.act(history, [orders.top_up("store-a", card, 20_000)])
        for counter in range(rounds):
            shown = Shown(phone=phone, counter=2 * counter + 1)
            tills = range(2 + counter % (TILLS - 1))
            made = [orders.purchase(PLACES[till % 2], "", 1, shown=shown) for till in tills]
            answers = Tally(rivals.act(history, made))
            if answers != Tally({"ACCEPTED": 1, "PAYMENT_CODE_USED": len(made) - 1}):
                raise AssertionError(f"one code, and its tills were answered {answers}")
        skipped = Shown(phone=phone, counter=2 * rounds - 2)
        rivals.act(history, [orders.purchase("cafe", "", 1, shown=skipped)])
    check_all(market, history, model, [card])


def race_for_a_limit(market: Market, addresses: Sequence[str]) -> None:
    """A card may spend 3,000 a day: twelve tills ask for 700 each, again and again."""
    history, model, (card,) = new_history(market, 1)
    orders = Orders(history)
    with Rivals(market, addresses) as rivals, Counter(market, addresses[0]) as counter:
        rivals.act(history, [orders.top_up("store-a", card, 90_000)])
        for step in range(1, 5):
            counter.set_limits(history, card, Limits(day=3_000 * step))
            rivals.act(history, [orders.purchase(PLACES[till % 2], card, 700) for till in range(TILLS)])
    check_all(market, history, model, [card])


def race_for_a_reference(market: Market, addresses: Sequence[str]) -> None:
    """Twelve sales under one reference, of several wallets; whoever has it gives it back, and they try again.

    At last a hold has it: it is free again when the capture is reversed.
    """
    history, model, cards = new_history(market)
    orders = Orders(history)
    with Rivals(market, addresses) as rivals:
        rivals.act(history, [orders.top_up("store-a", card, 90_000) for card in cards])
        undoing: list[Intent] = []
        for step in range(8):
            sale = f"{cards[0]}-{step // 4}"
            makers = (orders.purchase, orders.authorize, orders.upload)
            made = [
                makers[number % 3]("cafe", cards[number % len(cards)], 5, sale=sale)
                for number in range(TILLS - len(undoing))
            ]
            rivals.act(history, [*made, *undoing])
            undoing = [orders.reverse("cafe", each.request_id) for each in made if each.is_accepted]
        held = orders.authorize("cafe", cards[0], 5, sale=f"{cards[0]}-held")
        taken = orders.capture("cafe", 3, hold=held.request_id)
        for each in (held, taken, orders.reverse("cafe", taken.request_id)):
            rivals.act(history, [each])
        rivals.act(history, [orders.purchase("cafe", card, 5, sale=f"{cards[0]}-held") for card in cards])
    check_all(market, history, model, cards)


def race_without_a_line(market: Market, addresses: Sequence[str]) -> None:
    """Tills whose line is back tell what they sold, at -1, 0 and +1 fen of what is agreed; one finds a part of it.

    What they told is given back again at once, in part and whole.
    """
    history, model, (card,) = new_history(market, 1)
    orders, limit = Orders(history), OFFLINE_LIMITS[CARD_ISSUER, "cafe"]
    with Rivals(market, addresses) as rivals:
        for amount in (limit - 1, limit, limit + 1):
            rivals.act(history, [orders.top_up("store-a", card, 5_000)])
            told = [orders.upload(place, card, amount) for place in ("cafe", "cafe", "store-b", "garage")]
            rivals.act(history, told)
            parts = [orders.refund(each.participant, 3_000, original=each.request_id) for each in told]
            rivals.act(history, parts + [orders.reverse(each.participant, each.request_id) for each in told])
    check_all(market, history, model, [card])


def race_of_guesses(market: Market, addresses: Sequence[str]) -> None:
    """Twelve wrong PINs at once: five are compared, each told another number of tries left; then it is locked."""
    history, _, (card,) = new_history(market, 1)
    orders = Orders(history)
    with Rivals(market, addresses) as rivals:
        rivals.act(history, [orders.top_up("store-a", card, 9_000)])
        made = [orders.purchase("cafe", card, 1, shown=Shown(WRONG_PIN)) for _ in range(TILLS)]
        told = Tally(rivals.act(history, made))
        if told != Tally({"PIN_WRONG": PIN_TRIES, "PIN_LOCKED": TILLS - PIN_TRIES}):
            raise AssertionError(f"{TILLS} wrong PINs at once were answered {told}")
        left = sorted(each.answers[0].facts["tries_left"] for each in made if each.answers[0].reason == "PIN_WRONG")
        if left != ["0", "1", "2", "3", "4"]:
            raise AssertionError(f"tries were counted twice as one: {left} are left")
        right = rivals.act(history, [orders.purchase("cafe", card, 1, shown=Shown(PIN))])
        if right != ["PIN_LOCKED"]:
            raise AssertionError(f"a locked PIN was answered {right}")


def count_before_compare(market: Market, addresses: Sequence[str]) -> None:
    """A try is counted, for all to see, while its payment waits for the wallet: a crash would have paid for it."""
    history, model, (card,) = new_history(market, 1)
    orders = Orders(history)
    with Clients(market, addresses[0]) as till, Journal(market, [card]) as journal:
        till.send(history, orders.top_up("store-a", card, 9_000))
        (wallet_id,) = journal.wallets
        with connect(market.site.dsn(), "test") as holder, holder.transaction():
            holder.execute("SELECT 1 FROM wallets WHERE wallet_id = %s FOR UPDATE", (wallet_id,))
            underway = till.start(history, orders.purchase("cafe", card, 1, shown=Shown(WRONG_PIN)))
            wait_until(lambda: is_waiting(market), 20, "the payment waits for the wallet")
            wait_until(lambda: journal.tries() == {wallet_id: 1}, 5, "the try is counted")
        till.finish(history, underway)
    check_all(market, history, model, [card])


def is_waiting(market: Market) -> bool:
    """Whether a statement of the house waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%JOIN wallets%%'"
    return bool(market.site.query(waiting))


RACES: Sequence[Race] = (
    race_for_a_code,
    race_for_a_limit,
    race_for_a_reference,
    race_without_a_line,
    race_of_guesses,
    count_before_compare,
)
