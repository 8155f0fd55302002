"""What members have of points and passes, as planned, and what they do with them by the trade's invented rules.

Pure, and the same for the same trade. A day begins with what comes back; what a member may spend that day is what it
has then, so that no decline of the day can take it away.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from coalition.replay.agreed import pass_facts, points_facts
from coalition.replay.benefit_sums import PassFacts, PointsFacts, points_earned, worth_of_visits
from coalition.replay.sums import half_even
from coalition.replay.trade import Basket, Part, Return, Trade

CHAIN = "chain:"


@dataclass(slots=True)
class Held:
    """A pass that a member bought with `basket` at `seller`, and what is left of it; minor units."""

    basket: Basket
    seller: str
    terms: PassFacts
    visits: int
    principal: int
    is_over: bool = False


class Settled(NamedTuple):
    """How a part of a basket is settled: by a visit of the pass `held`, or by `points` worth `worth`, then `money`."""

    part: Part
    money: int
    points: int = 0
    worth: int = 0
    held: Held | None = None


class Given(NamedTuple):
    """What comes back of a part: money with the points that its sale had earned (below 0), spent points, a visit."""

    money: int
    earned: int = 0
    points: int = 0
    worth: int = 0
    visit: Settled | None = None


class Benefits:
    """See the module. Without a trade, or in one that has neither rule, everything is paid in money and earns nothing.

    `points` are the members' as planned so far.
    """

    def __init__(self, trade: Trade | None = None) -> None:
        self.points: Counter[str] = Counter()
        self._points = trade.points_rule if trade else None
        self._passes = trade.pass_rule if trade else None
        self._versions: list[tuple[str, PointsFacts]] = []
        self._earned_at: frozenset[str] = frozenset()
        self._sold_at: frozenset[str] = frozenset()
        if trade and self._points:
            agreed = [each for each in trade.agreements if each.code == self._points.programme]
            first = trade.first_day
            self._versions = [((each.since or first).isoformat(), points_facts(each.content)) for each in agreed]
            self._earned_at = _codes(trade, self._versions[0][1].earned_at)
        if trade and self._passes:
            (content,) = (each.content for each in trade.agreements if each.code == self._passes.pass_code)
            self._terms = pass_facts(content)
            self._sold_at = _codes(trade, content["sellers"])
        self._spendable: dict[str, int] = {}
        # What was not simply paid, by (basket, merchant), for when it comes back.
        self._otherwise: dict[tuple[str, str], Settled] = {}
        self._held: defaultdict[str, list[Held]] = defaultdict(list)
        self._ending: defaultdict[str, list[Held]] = defaultdict(list)

    def begin(self, day: str) -> list[Held]:
        """A day begins: the passes that are paid out on it."""
        self._spendable.clear()
        return [held for held in self._ending.pop(day, []) if held.visits and not held.is_over]

    def move(self, member: str, points: int) -> int:
        """A member's points change; what it has then. So they do where the tills answered otherwise than planned."""
        self.points[member] += points
        return self.points[member]

    def settle(self, basket: Basket) -> list[Settled]:
        """How each part of a basket is settled, and remembered so."""
        self._spendable.setdefault(basket.member, self.points[basket.member])
        settled = [self._settle(basket, part) for part in basket.parts]
        for each in settled:
            if each.points or each.held:
                self._otherwise[basket.basket, each.part.merchant] = each
        return settled

    def earned(self, merchant: str, day: str, amount: int) -> int:
        """The points that a purchase earns."""
        return points_earned(self._version(day).steps, amount) if merchant in self._earned_at else 0

    def pass_bought(self, basket: Basket) -> Held | None:
        """The pass that a member buys after a basket, if it does."""
        rule, seller = self._passes, basket.parts[0].merchant
        if rule is None or seller not in self._sold_at or self._pass_of(basket.member) is not None:
            return None
        if not any(part.merchant == rule.visited_at and self._is_paid(basket, part) for part in basket.parts):
            return None
        held = Held(basket, seller, self._terms, self._terms.visits, self._terms.price)
        self._held[basket.member].append(held)
        if rule.is_paid_out(basket):
            day = date.fromisoformat(basket.day) + timedelta(days=rule.paid_out_days)
            self._ending[day.isoformat()].append(held)
        return held

    def pay_out(self, held: Held) -> int:
        """End a pass; what was left of it, minor units."""
        left, held.visits, held.principal, held.is_over = held.principal, 0, 0, True
        return left

    def give_back(self, back: Return, part: Part) -> Given:
        """What a member gets back for a part that it brings back, whole or half: money, points and visits as it was
        settled. Half a visit does not come back, nor a visit to a pass that was paid out.
        """
        key = (back.basket.basket, part.merchant)
        sold = next(each.amount_minor for each in back.basket.parts if each.merchant == part.merchant)
        divisor = 1 if part.amount_minor == sold else 2
        settled = self._otherwise.get(key, Settled(part, sold))
        if settled.held:
            if divisor > 1 or settled.held.is_over:
                return Given(0)
            settled.held.visits += 1
            settled.held.principal += settled.worth
            return Given(0, visit=settled)
        money, points = settled.money // divisor, settled.points // divisor
        day = back.basket.day
        left = settled.money - money
        earned = self.earned(part.merchant, day, left) - self.earned(part.merchant, day, settled.money)
        return Given(money, earned, points, half_even(points, self._version(day).value) if points else 0)

    def _settle(self, basket: Basket, part: Part) -> Settled:
        member, held = basket.member, self._pass_of(basket.member)
        if self._passes and held and part.merchant == self._passes.visited_at:
            worth = worth_of_visits(held.terms, held.visits, held.principal, 1)
            held.visits -= 1
            held.principal -= worth
            return Settled(part, 0, worth=worth, held=held)
        points, worth = self._spent(member, basket.day, part)
        self._spendable[member] -= points
        return Settled(part, part.amount_minor - worth, points, worth)

    def _is_paid(self, basket: Basket, part: Part) -> bool:
        return self._otherwise.get((basket.basket, part.merchant)) is None

    def _spent(self, member: str, day: str, part: Part) -> tuple[int, int]:
        """(points, worth) of what a member spends on a part."""
        rule = self._points
        if rule is None or part.merchant != rule.spent_at or self._spendable[member] < rule.least:
            return 0, 0
        value = self._version(day).value
        points = self._spendable[member] // rule.step * rule.step
        while points and half_even(points, value) >= part.amount_minor:
            points -= rule.step
        return points, half_even(points, value)

    def _pass_of(self, member: str) -> Held | None:
        """The pass that a visit is taken of: the oldest that has any."""
        return next((held for held in self._held.get(member, ()) if held.visits and not held.is_over), None)

    def _version(self, day: str) -> PointsFacts:
        """What holds on a day: of the versions that have begun the last."""
        begun = [content for since, content in self._versions if since <= day]
        return begun[-1]


def time_of_paying_out(held: Held, day: str) -> datetime:
    """The hour at which the pass was bought, on the day on which it is paid out."""
    return held.basket.time + (date.fromisoformat(day) - date.fromisoformat(held.basket.day))


def _codes(trade: Trade, parties: "tuple[str, ...] | list[str]") -> frozenset[str]:
    """The merchants that a list of participants and chains means."""
    return frozenset(
        each.code for each in trade.merchants if each.code in parties or CHAIN + each.chain_code in parties
    )
