"""From baskets to operations: when a member tops up and what is paid where, the same plan for the same trade.

Pure: no clock, no randomness, no network. The plan keeps its own balance for each member (a top-up counts with its
bonus), so the replay can say in advance what the tills must answer.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from coalition.replay.trade import Basket, Return, TopUpRule

OperationKind = Literal["TOP_UP", "PURCHASE", "REFUND"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One operation at one merchant's till, what it changes the wallet's balance by, and the balance it must leave
    behind if all before it were accepted; minor units.
    """

    kind: OperationKind
    member: str
    merchant: str
    amount_minor: int
    change_minor: int
    balance_minor: int
    time: datetime
    reference: str


def plan(
    baskets: Sequence[Basket],
    homes: Mapping[str, str],
    rule: TopUpRule,
    balances: MutableMapping[str, int],
    returns: Sequence[Return] = (),
) -> Iterator[Planned]:
    """The operations of `returns`, then of `baskets` in their order; `balances` holds each member's balance before and
    after.

    A member whose balance is short of the whole basket tops up once at home, before it pays; then each merchant is paid
    its part; a returned basket is refunded part by part.
    """

    def operation(kind: OperationKind, basket: Basket, merchant: str, amount: int, change: int) -> Planned:
        balance = balances[basket.member] = balances.get(basket.member, 0) + change
        # A reference stands for one sale of a till: the top-up before a basket that is paid there has one of its own.
        reference = f"{basket.basket}/top-up" if kind == "TOP_UP" else basket.basket
        return Planned(kind, basket.member, merchant, amount, change, balance, basket.time, reference)

    for back in returns:
        for part in back.parts:
            yield replace(
                operation("REFUND", back.basket, part.merchant, part.amount_minor, part.amount_minor), time=back.time
            )
    for basket in baskets:
        principal = rule.principal(basket.amount_minor - balances.get(basket.member, 0))
        if principal:
            yield operation("TOP_UP", basket, homes[basket.member], principal, principal + rule.bonus(principal))
        for part in basket.parts:
            yield operation("PURCHASE", basket, part.merchant, part.amount_minor, -part.amount_minor)
        for part in basket.parts if basket.is_returned else ():
            yield operation("REFUND", basket, part.merchant, part.amount_minor, part.amount_minor)
