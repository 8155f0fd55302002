"""The state machine: tills that do anything in any way, and a judge at the end of the day.

A step is one decision of a till: an operation sent by itself, in a batch or down a stream, waited for or not, lost on
the way, sent again, sent with another body, reversed before it came, asked after. At the end everything that was not
answered is sent again, and the history is judged against the model.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.contract.clients import Clients, Underway, until_heard
from tests.contract.counter import Counter as CardCounter
from tests.contract.credentials import Limits, Shown
from tests.contract.history import Intent
from tests.contract.journal import check_all
from tests.contract.market import Market
from tests.contract.messages import Orders
from tests.contract.phones import PIN, WRONG_PIN, phone_of
from tests.contract.rounds import new_history
from tests.contract.scheme import PARTICIPANTS, till_server

CARDS = 3
UNDERWAY_MAX = 6
GUESSES_MAX = 19
"""Wrong codes from a till within an hour lock it, and every other call of it is refused."""
BASKET_MAX = 8

ways = st.sampled_from(["wait"] * 4 + ["overlap"] * 3 + ["batch"] * 6 + ["stream"] * 3 + ["lose"] * 2)
places = st.sampled_from(PARTICIPANTS)
cards = st.integers(0, CARDS - 1)
amounts = st.one_of(
    st.integers(1, 30), st.integers(1, 3_000), st.integers(1, 3_000), st.integers(1, 60_000), st.just(400_000)
)
picks = st.integers(0, 1_000)
milliseconds = st.integers(0, 12)
sales = st.sampled_from(("", "", "", "", "1", "2", "3"))
card_limits = st.sampled_from((Limits(), Limits(operation=2_000), Limits(day=9_000), Limits(20_000, 30_000, 30_000)))


class Tills(RuleBasedStateMachine):
    """One day. `live` says where to trade, and counts."""

    market: Market
    clients: Clients
    counter: CardCounter
    count: Callable[[int, int, int], None]
    outcomes: Counter[str]
    steps = 0

    @initialize(first=st.integers(10_000, 90_000), limits=card_limits)
    def open(self, first: int, limits: Limits) -> None:
        self.history, self.model, self.cards = new_history(self.market, CARDS, phones=1)
        self.orders = Orders(self.history, self.market.phones)
        self.day, self.phone_name = self.cards[0], phone_of(self.cards[0])
        self.phone = self.market.phones[self.phone_name]
        self.sent: list[Intent] = []
        self.underway: list[Underway] = []
        self.baskets: dict[tuple[str, str], list[Intent]] = defaultdict(list)
        self.hear = 1_000
        self.frozen: set[int] = set()
        self.counter.set_limits(self.history, self.cards[1], limits)
        for at, card in (("store-a", 0), ("store-b", 0), ("store-a", 1), ("store-b", 2)):
            self._send(self.orders.top_up(at, self.cards[card], first), "batch", 0)

    @rule(
        at=st.sampled_from(("store-a", "store-a", "store-b", "cafe")),
        card=cards,
        amount=amounts,
        way=ways,
        ms=milliseconds,
        of_a=st.booleans(),
        sale=sales,
    )
    def top_up(self, at: str, card: int, amount: int, way: str, ms: int, of_a: bool, sale: str) -> None:
        issuer = "store-a" if of_a or at == "cafe" else ""
        self._send(self.orders.top_up(at, self.cards[card], amount, issuer, sale=self._sale(sale)), way, ms)

    @rule(at=places, card=cards, amount=amounts, way=ways, ms=milliseconds, sale=sales)
    def purchase(self, at: str, card: int, amount: int, way: str, ms: int, sale: str) -> None:
        self._send(self.orders.purchase(at, self.cards[card], amount, sale=self._sale(sale)), way, ms)

    @rule(at=places, card=cards, amount=amounts, way=ways, ms=milliseconds, sale=sales)
    def upload(self, at: str, card: int, amount: int, way: str, ms: int, sale: str) -> None:
        self._send(self.orders.upload(at, self.cards[card], amount, sale=self._sale(sale)), way, ms)

    @rule(
        at=places,
        amount=amounts,
        back=st.integers(-1, 5),
        what=st.sampled_from(("purchase", "purchase", "authorize", "top_up")),
        way=ways,
        ms=milliseconds,
    )
    def pay_by_code(self, at: str, amount: int, back: int, what: str, way: str, ms: int) -> None:
        """The code the phone shows next; one it showed before, used or not; or it skips one."""
        counter = max(0, self.phone.counter - max(0, back - 3)) if back >= 0 else self.phone.counter + 1
        self.phone.counter = max(self.phone.counter, counter + 1)
        self._send(
            getattr(self.orders, what)(at, "", amount, shown=Shown(phone=self.phone_name, counter=counter)), way, ms
        )

    @rule(at=places, amount=amounts, guesses=st.integers(1, 3), earlier=st.booleans(), chance=st.integers(0, 3))
    def guess_a_code(self, at: str, amount: int, guesses: int, earlier: bool, chance: int) -> None:
        """Somebody has seen a code and tries other passwords: few, because a till that guesses is locked."""
        if chance or self.market.guesses[at] + guesses > GUESSES_MAX:
            return
        self.market.guesses[at] += guesses
        counter = max(0, self.phone.counter - earlier)
        self.phone.counter = max(self.phone.counter, counter + 1)
        for _ in range(guesses):
            shown = Shown(phone=self.phone_name, counter=counter, is_right=False)
            self._send(self.orders.purchase(at, "", amount, shown=shown), "batch", 0)

    @rule(at=places, card=cards, amount=amounts, kind=st.sampled_from(("right", "wrong", "code", "held", "held code")))
    def pay_with_a_pin(self, at: str, card: int, amount: int, kind: str) -> None:
        """One at a time: tries that overlap are counted in an order that nobody is told."""
        pin = WRONG_PIN if kind == "wrong" else PIN
        amount = min(amount, 60000)
        make = self.orders.authorize if kind.startswith("held") else self.orders.purchase
        if kind.endswith("code"):
            shown = Shown(pin, self.phone_name, self.phone.counter)
            self.phone.counter += 1
            self._send(make(at, "", amount, shown=shown), "wait", 0)
        else:
            self._send(make(at, self.cards[card], amount, shown=Shown(pin)), "wait", 0)

    @rule(at=places, card=cards, tries=st.integers(3, 6), chance=st.integers(0, 7))
    def guess_a_pin(self, at: str, card: int, tries: int, chance: int) -> None:
        for _ in range(0 if chance else tries):
            self._send(self.orders.purchase(at, self.cards[card], 1, shown=Shown(WRONG_PIN)), "wait", 0)

    @rule(pick=picks, by_entry=st.booleans(), at=places, abroad=st.integers(0, 5), way=ways, ms=milliseconds)
    def return_top_up(self, pick: int, by_entry: bool, at: str, abroad: int, way: str, ms: int) -> None:
        """Mostly a top-up that nobody has returned or reversed yet, touched or not."""
        gone = {each.request.original_request_id for each in self.sent if each.which in {"return_top_up", "reverse"}}
        left = [each for each in self.sent if each.which == "top_up" and each.request_id not in gone]
        original = left[pick % len(left)] if left and pick % 4 else self._pick(pick, "top_up", "purchase")
        if original is not None:
            place = original.participant if abroad else at
            entry_id = self._entry(original) if by_entry else 0
            self._send(self.orders.return_top_up(place, entry_id=entry_id, original=original.request_id), way, ms)

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
        original = self._pick(pick, "purchase", "capture", "upload")
        if original is None:
            return
        amount = max(1, self._amount(original) * share // 10)
        place = at if not abroad else original.participant
        entry_id = self._entry(original) if by_entry else 0
        self._send(self.orders.refund(place, amount, entry_id=entry_id, original=original.request_id), way, ms)

    @rule(at=places, card=cards, amount=amounts, way=ways, ms=milliseconds, sale=sales)
    def authorize(self, at: str, card: int, amount: int, way: str, ms: int, sale: str) -> None:
        self._send(self.orders.authorize(at, self.cards[card], amount, sale=self._sale(sale)), way, ms)

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

    @rule(
        card=cards,
        act=st.sampled_from(("freeze", "freeze", "unfreeze", "replace", "limit")),
        soon=st.integers(0, 3),
        limits=card_limits,
    )
    def go_to_the_counter(self, card: int, act: str, soon: int, limits: Limits) -> None:
        """A card is frozen, sometimes not for long; unfrozen, limited, or replaced by another."""
        frozen = card in self.frozen
        if act == "freeze" and not frozen:
            self.counter.freeze(self.history, self.cards[card])
            self.frozen.add(card)
        elif act == "unfreeze" and frozen:
            self.counter.unfreeze(self.history, self.cards[card])
            self.frozen.discard(card)
        elif act == "limit":
            self.counter.set_limits(self.history, self.cards[card], limits)
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
        self.outcomes.update(each.outcome for each in self.history.intents if each.answer is not None)
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

    def _sale(self, number: str) -> str:
        """A reference of this day's sales; empty is none."""
        return f"{self.day}-{number}" if number else ""

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
