"""The state machine: tills that do anything in any way, and a judge at the end of the day.

A step is one decision of a till: an operation sent by itself, in a batch or down a stream, waited for or not, lost on
the way, sent again, sent with another body, reversed before it came, asked after. At the end everything that was not
answered is sent again, and the history is judged against the model.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.contract.clients import Clients, Underway, until_heard
from tests.contract.counter import Counter
from tests.contract.history import History, Intent
from tests.contract.journal import check_all
from tests.contract.market import Market
from tests.contract.messages import Orders
from tests.contract.model import Model
from tests.contract.scheme import PARTICIPANTS, till_server
from tests.contract.wallets import Card, Wallet

STEPS_OF_A_DAY = 100
CARDS = 3
UNDERWAY_MAX = 6
BASKET_MAX = 8

ways = st.sampled_from(["wait"] * 4 + ["overlap"] * 3 + ["batch"] * 6 + ["stream"] * 3 + ["lose"] * 2)
places = st.sampled_from(PARTICIPANTS)
cards = st.integers(0, CARDS - 1)
amounts = st.one_of(st.integers(1, 30), st.integers(1, 3_000), st.integers(1, 60_000), st.just(400_000))
picks = st.integers(0, 1_000)
milliseconds = st.integers(0, 12)


class Tills(RuleBasedStateMachine):
    """One day. `live` says where to trade, and counts."""

    market: Market
    clients: Clients
    counter: Counter
    count: Callable[[int, int, int], None]
    steps = 0

    @initialize(first=amounts)
    def open(self, first: int) -> None:
        self.cards = self.market.fresh_cards(CARDS)
        self.history = History(time.monotonic)
        self.orders = Orders(self.history)
        self.model = Model()
        for number in self.cards:
            self.model.cards[number] = Card(Wallet(number[-4:]))
        self.sent: list[Intent] = []
        self.underway: list[Underway] = []
        self.baskets: dict[tuple[str, str], list[Intent]] = defaultdict(list)
        self.hear = 1_000
        self.frozen: set[int] = set()
        for at, card in (("store-a", 0), ("store-b", 0), ("store-a", 1), ("store-b", 2)):
            self._send(self.orders.top_up(at, self.cards[card], first + 1_000), "batch", 0)

    @rule(
        at=st.sampled_from(("store-a", "store-a", "store-b", "cafe")),
        card=cards,
        amount=amounts,
        way=ways,
        ms=milliseconds,
        of_a=st.booleans(),
    )
    def top_up(self, at: str, card: int, amount: int, way: str, ms: int, of_a: bool) -> None:
        issuer = "store-a" if of_a or at == "cafe" else ""
        self._send(self.orders.top_up(at, self.cards[card], amount, issuer), way, ms)

    @rule(at=places, card=cards, amount=amounts, way=ways, ms=milliseconds)
    def purchase(self, at: str, card: int, amount: int, way: str, ms: int) -> None:
        self._send(self.orders.purchase(at, self.cards[card], amount), way, ms)

    @rule(
        pick=picks,
        share=st.integers(1, 12),
        by_entry=st.booleans(),
        at=places,
        abroad=st.integers(0, 9),
        way=ways,
        ms=milliseconds,
    )
    def refund(self, pick: int, share: int, by_entry: bool, at: str, abroad: int, way: str, ms: int) -> None:
        """A part of an earlier operation: mostly of a purchase, now and then at another participant or too much."""
        original = self._pick(pick, "purchase", "capture")
        if original is None:
            return
        amount = max(1, self._amount(original) * share // 10)
        place = at if not abroad else original.participant
        entry_id = self._entry(original) if by_entry else 0
        self._send(self.orders.refund(place, amount, entry_id=entry_id, original=original.request_id), way, ms)

    @rule(at=places, card=cards, amount=amounts, way=ways, ms=milliseconds)
    def authorize(self, at: str, card: int, amount: int, way: str, ms: int) -> None:
        self._send(self.orders.authorize(at, self.cards[card], amount), way, ms)

    @rule(pick=picks, share=st.integers(1, 11), by_entry=st.booleans(), way=ways, ms=milliseconds)
    def capture(self, pick: int, share: int, by_entry: bool, way: str, ms: int) -> None:
        """Mostly a part of what is held, at times more than that."""
        hold = self._pick(pick, "authorize", "authorize", "purchase")
        if hold is not None:
            amount = max(1, self._amount(hold) * share // 10)
            entry_id = self._entry(hold) if by_entry else 0
            self._send(self.orders.capture(hold.participant, amount, entry_id=entry_id, hold=hold.request_id), way, ms)

    @rule(pick=picks, by_entry=st.booleans(), at=places, abroad=st.integers(0, 5), way=ways, ms=milliseconds)
    def void(self, pick: int, by_entry: bool, at: str, abroad: int, way: str, ms: int) -> None:
        hold = self._pick(pick, "authorize")
        if hold is not None:
            place = hold.participant if abroad else at
            entry_id = self._entry(hold) if by_entry else 0
            self._send(self.orders.void(place, entry_id=entry_id, hold=hold.request_id), way, ms)

    @rule(pick=picks, way=ways, ms=milliseconds)
    def reverse(self, pick: int, way: str, ms: int) -> None:
        """Anything, answered or not, once or more often."""
        original = self._pick(pick)
        if original is not None:
            self._send(self.orders.reverse(original.participant, original.request_id), way, ms)

    @rule(at=places, card=cards, amount=amounts, ways=st.tuples(ways, ways), held=st.booleans())
    def reverse_first(self, at: str, card: int, amount: int, ways: tuple[str, str], held: bool) -> None:
        """The reversal overtakes its original."""
        make = self.orders.authorize if held else self.orders.purchase
        original = make(at, self.cards[card], amount)
        self._send(self.orders.reverse(at, original.request_id), ways[0], 1)
        self._send(original, ways[1], 1)

    @rule(pick=picks, lost=st.booleans(), ms=milliseconds)
    def resolve(self, pick: int, lost: bool, ms: int) -> None:
        """Ask what became of something, rather of what nobody heard of again."""
        unheard = [each for each in self.sent if not each.answers]
        asked = unheard[pick % len(unheard)] if unheard else self._pick(pick)
        if asked is not None:
            question = self.orders.resolve(asked.participant, asked.request_id)
            self._send(question, "lose" if lost else "wait", ms)

    @rule(pick=picks, way=ways, ms=milliseconds)
    def send_again(self, pick: int, way: str, ms: int) -> None:
        intent = self._pick(pick)
        if intent is not None:
            self._send(intent, way, ms)

    @rule(pick=picks, way=ways, ms=milliseconds)
    def send_another_body(self, pick: int, way: str, ms: int) -> None:
        intent = self._pick(pick)
        if intent is not None and intent.operation is not None and intent.answer is not None:
            self._send(self.orders.other_body(intent), way, ms)

    @rule(card=cards, act=st.sampled_from(("freeze", "freeze", "unfreeze", "replace")), soon=st.integers(0, 3))
    def go_to_the_counter(self, card: int, act: str, soon: int) -> None:
        """A card is frozen, sometimes not for long; unfrozen, or replaced by another."""
        frozen = card in self.frozen
        if act == "freeze" and not frozen:
            self.counter.freeze(self.history, self.cards[card])
            self.frozen.add(card)
        elif act == "unfreeze" and frozen:
            self.counter.unfreeze(self.history, self.cards[card])
            self.frozen.discard(card)
        elif act == "replace" and not soon:
            self.cards[card] = self.counter.replace(self.history, self.cards[card])
            self.frozen.discard(card)

    @rule(hear=st.integers(0, BASKET_MAX))
    def send_baskets(self, hear: int) -> None:
        """Now; streams are cut after `hear` answers."""
        self.hear = hear
        self._send_baskets()
        self.hear = 1_000

    @rule()
    def wait(self) -> None:
        """For everything under way."""
        while self.underway:
            self.clients.finish(self.history, self.underway.pop(0))

    @invariant()
    def count_the_step(self) -> None:
        self.steps += 1

    def teardown(self) -> None:
        if not hasattr(self, "history"):
            return
        self._send_baskets()
        self.wait()
        until_heard(self.clients, self.history)
        sendings = sum(len(each.sendings) for each in self.history.intents)
        self.count(self.steps, check_all(self.market, self.history, self.model, self.cards), sendings)
        for card in self.cards:
            wallet = self.model.cards[card].wallet
            assert wallet is not None
            for place in PARTICIPANTS[:1]:
                expected = (wallet.balance, wallet.here(place), wallet.principal, wallet.balance - wallet.principal)
                assert expected == self.clients.balance(place, card)

    def _send(self, intent: Intent, way: str, ms: int) -> None:
        if intent not in self.sent:
            self.sent.append(intent)
        if intent.operation is None and way in {"batch", "stream"}:
            way = "overlap"
        match way:
            case "wait":
                self.clients.send(self.history, intent)
            case "overlap":
                self.underway.append(self.clients.start(self.history, intent))
                if len(self.underway) > UNDERWAY_MAX:
                    self.clients.finish(self.history, self.underway.pop(0))
            case "lose":
                self.clients.send(self.history, intent, timeout=ms / 1_000)
            case _:
                basket = self.baskets[way, till_server(intent.participant)]
                basket.append(intent)
                if len(basket) >= BASKET_MAX:
                    self._send_baskets()

    def _send_baskets(self) -> None:
        for (way, _), intents in self.baskets.items():
            if not intents:
                continue
            if way == "batch":
                self.clients.send_batch(self.history, intents)
            else:
                self.clients.send_stream(self.history, intents, hear=min(self.hear, len(intents)))
        self.baskets.clear()

    def _pick(self, pick: int, *which: str) -> Intent | None:
        """One of what was sent before, of these kinds; rather the later ones."""
        known = [each for each in self.sent if not which or each.which in which][-12:]
        return known[pick % len(known)] if known else None

    @staticmethod
    def _entry(intent: Intent) -> int:
        """Of its receipt; 0 where nobody heard of it or it was declined."""
        return intent.answer.entry_id if intent.answer is not None and intent.is_accepted else 0

    @staticmethod
    def _amount(intent: Intent) -> int:
        request: Any = intent.request
        return int(request.amount_minor)


class CrashingTills(Tills):
    """The same, and the server is killed now and then."""

    @rule(chance=st.integers(0, 9))
    def crash(self, chance: int) -> None:
        if chance:
            return
        self.market.site.owner.kill()
        self.clients.move(self.market.address)
        self.counter.move(self.market.address)


class Days(NamedTuple):
    """What the days of a machine came to."""

    days: int
    steps: int
    operations: int
    sendings: int
    seconds: float

    def __str__(self) -> str:
        sent = f"{self.operations:,} operations sent {self.sendings:,} times"
        return f"{self.steps:,} steps of {self.days} days, {sent} in {self.seconds:.0f} s"


def live(market: Market, days: int, tills: type[Tills] = Tills, *, shrink: bool = False) -> Days:
    """So many days of so many steps on fresh cards, each judged at its end. Raises what the judge finds broken.

    `shrink` sends everything again, hundreds of times: for who looks for the shortest example.
    """
    counted: list[tuple[int, ...]] = []
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    started = time.monotonic()
    with Clients(market, market.address) as clients, Counter(market, market.address) as counter:
        machine = type("Machine", (tills,), {"market": market, "clients": clients, "counter": counter})
        machine.count = staticmethod(lambda *numbers: counted.append(numbers))  # type: ignore[attr-defined]
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=days,
                stateful_step_count=STEPS_OF_A_DAY,
                deadline=None,
                database=None,
                phases=phases,
                suppress_health_check=list(HealthCheck),
            ),
        )
    steps, operations, sendings = (sum(column) for column in zip(*counted, strict=True))
    return Days(len(counted), steps, operations, sendings, time.monotonic() - started)
