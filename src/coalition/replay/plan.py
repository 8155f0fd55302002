"""From baskets to operations: when a member tops up and what is paid where, the same plan for the same trade.

Pure: no clock, no randomness, no network. The plan keeps its own balance for each member (a top-up counts with its
bonus), so the replay can say in advance what the tills must answer.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from coalition.replay.benefits import Benefits, Given, Settled, time_of_paying_out
from coalition.replay.trade import Basket, Return, TopUpRule

OperationKind = Literal[
    "TOP_UP",
    "PURCHASE",
    "REFUND",
    "PASS_SALE",
    "PASS_VISIT",
    "VISIT_RETURN",
    "PASS_RETURN",
    "POINTS_SPEND",
    "POINTS_RETURN",
]


ENDINGS: Final[Mapping[OperationKind, str]] = {
    "TOP_UP": "/top-up",
    "PASS_SALE": "/pass",
    "PASS_RETURN": "/pass",
    "POINTS_SPEND": "/points",
    "POINTS_RETURN": "/points",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One operation at one merchant's till, what it changes the wallet's balance by, and the balance it must leave
    behind if all before it were accepted; minor units. What a return gives back is named by the same `reference`.

    So with points: what it does to the member's, and what must be left (told where it moves any). `visits_left` is what
    must be left of the pass that it sells (`issuer`'s), uses or ends.
    """

    kind: OperationKind
    member: str
    merchant: str
    amount_minor: int
    change_minor: int
    balance_minor: int
    time: datetime
    reference: str
    points: int = 0
    points_balance: int = 0
    visits_left: int = 0
    issuer: str = ""


def plan(
    baskets: Sequence[Basket],
    homes: Mapping[str, str],
    rule: TopUpRule,
    balances: MutableMapping[str, int],
    returns: Sequence[Return] = (),
    benefits: Benefits | None = None,
    day: str = "",
) -> Iterator[Planned]:
    """The operations of a `day`: its `returns`, passes that are paid out, then its `baskets` in their order; `balances`
    holds each member's balance before and after, `benefits` what it has of points and passes.

    A member whose balance is short of what it pays of a basket tops up once at home, before it pays; then each merchant
    is paid its part; a returned basket is refunded part by part.
    """
    planner = _Planner(homes, rule, balances, benefits or Benefits(), day)
    for back in returns:
        yield from planner.given_back(back)
    yield from planner.paid_out()
    for basket in baskets:
        yield from planner.bought(basket)


class _Planner:
    """The operations of a day, one basket after the other; see `plan`."""

    def __init__(
        self,
        homes: Mapping[str, str],
        rule: TopUpRule,
        balances: MutableMapping[str, int],
        benefits: Benefits,
        day: str,
    ) -> None:
        self._homes = homes
        self._rule = rule
        self._balances = balances
        self._benefits = benefits
        self._day = day

    def given_back(self, back: Return) -> Iterator[Planned]:
        """What comes back of each part of a basket, as it was settled."""
        for part in back.parts:
            for each in self._given(back, part.merchant, self._benefits.give_back(back, part)):
                yield replace(each, time=back.time)

    def paid_out(self) -> Iterator[Planned]:
        """The passes that are paid out that day."""
        for held in self._benefits.begin(self._day):
            ending = self._operation("PASS_RETURN", held.basket, held.seller, self._benefits.pay_out(held))
            yield replace(ending, time=time_of_paying_out(held, self._day))

    def bought(self, basket: Basket) -> Iterator[Planned]:
        """A basket: what is short of it, each part of it, and the pass that is bought with it."""
        settled = self._benefits.settle(basket)
        missing = sum(each.money for each in settled) - self._balances.get(basket.member, 0)
        principal = self._rule.principal(missing)
        if principal:
            change, home = principal + self._rule.bonus(principal), self._homes[basket.member]
            yield self._operation("TOP_UP", basket, home, principal, change)
        for each in settled:
            yield from self._paid(basket, each)
        for part in basket.parts if basket.is_returned else ():
            yield self._operation("REFUND", basket, part.merchant, part.amount_minor, part.amount_minor)
        if held := self._benefits.pass_bought(basket):
            sale = self._operation("PASS_SALE", basket, held.seller, held.terms.price)
            yield replace(sale, visits_left=held.visits, issuer=held.terms.issuer)

    def _paid(self, basket: Basket, each: Settled) -> Iterator[Planned]:
        merchant = each.part.merchant
        if each.held:
            visit = self._operation("PASS_VISIT", basket, merchant, each.worth)
            yield replace(visit, visits_left=each.held.visits)
            return
        if each.points:
            yield self._with_points(self._operation("POINTS_SPEND", basket, merchant, each.worth), -each.points)
        purchase = self._operation("PURCHASE", basket, merchant, each.money, -each.money)
        yield self._with_points(purchase, self._benefits.earned(merchant, basket.day, each.money))

    def _given(self, back: Return, merchant: str, what: Given) -> Iterator[Planned]:
        if what.visit and what.visit.held:
            visit = self._operation("VISIT_RETURN", back.basket, merchant, what.visit.worth)
            yield replace(visit, visits_left=what.visit.held.visits)
        if what.money:
            refund = self._operation("REFUND", back.basket, merchant, what.money, what.money)
            yield self._with_points(refund, what.earned)
        if what.points:
            yield self._with_points(self._operation("POINTS_RETURN", back.basket, merchant, what.worth), what.points)

    def _operation(self, kind: OperationKind, basket: Basket, merchant: str, amount: int, change: int = 0) -> Planned:
        balance = self._balances[basket.member] = self._balances.get(basket.member, 0) + change
        # A reference stands for one sale of a till: the top-up before a basket that is paid there has one of its own.
        reference = basket.basket + ENDINGS.get(kind, "")
        return Planned(kind, basket.member, merchant, amount, change, balance, basket.time, reference)

    def _with_points(self, planned: Planned, points: int) -> Planned:
        if not points:
            return planned
        return replace(planned, points=points, points_balance=self._benefits.move(planned.member, points))
