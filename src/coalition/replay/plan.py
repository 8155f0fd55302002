"""From baskets to operations: when a member tops up and what is paid where, the same plan for the same trade.

Pure: no clock, no randomness, no network. The plan keeps its own balance for each member (a top-up counts with its
bonus), so the replay can say in advance what the tills must answer.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from coalition.replay.trade import Basket, TopUpRule

OperationKind = Literal["TOP_UP", "PURCHASE", "REFUND"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One operation at one merchant's till, and the wallet balance it must leave behind, minor units."""

    kind: OperationKind
    member: str
    merchant: str
    amount_minor: int
    balance_minor: int
    time: datetime
    reference: str


def plan(
    baskets: Sequence[Basket], homes: Mapping[str, str], rule: TopUpRule, balances: MutableMapping[str, int]
) -> Iterator[Planned]:
    """The operations of `baskets` in their order; `balances` holds each member's balance before and after.

    A member whose balance is short of the whole basket tops up once at home, before it pays; then each merchant is paid
    its part; a returned basket is refunded part by part.
    """
    for basket in baskets:
        balance = balances.get(basket.member, 0)
        principal = rule.principal(basket.amount_minor - balance)
        if principal:
            balance += principal + rule.bonus(principal)
            yield _operation("TOP_UP", basket, homes[basket.member], principal, balance)
        for part in basket.parts:
            balance -= part.amount_minor
            yield _operation("PURCHASE", basket, part.merchant, part.amount_minor, balance)
        for part in basket.parts if basket.is_returned else ():
            balance += part.amount_minor
            yield _operation("REFUND", basket, part.merchant, part.amount_minor, balance)
        balances[basket.member] = balance


def _operation(kind: OperationKind, basket: Basket, merchant: str, amount: int, balance: int) -> Planned:
    # A reference stands for one sale of a till: the top-up before a basket that is paid there, too, has one of its own.
    reference = f"{basket.basket}/top-up" if kind == "TOP_UP" else basket.basket
    return Planned(kind, basket.member, merchant, amount, balance, basket.time, reference)
