"""Trade as a replay needs it, whatever data set it comes from: who sells, who buys, what each basket was made of.

Amounts are whole minor units; times are UTC with their zone. Knows no data set and sends nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal

AgreementKind = Literal["TERMS", "ACCEPTANCE", "ACQUIRING"]


class DataMissing(Exception):
    """A data set is not where it should be; the sentence says how to get it."""


@dataclass(frozen=True, slots=True)
class Merchant:
    """A participant with its one store and one till, and the till server that speaks for it."""

    code: str
    display_name: str
    role: Literal["STORE", "ALLIANCE", "CHAIN"]
    chain_code: str
    till_server: str


@dataclass(frozen=True, slots=True)
class Part:
    """What a basket bought at one merchant."""

    merchant: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Basket:
    """One visit: paid by card in parts, one for each merchant. `is_returned`: given back whole afterwards."""

    basket: str
    member: str
    time: datetime
    month: str
    parts: tuple[Part, ...]
    is_returned: bool = False

    @property
    def amount_minor(self) -> int:
        return sum(part.amount_minor for part in self.parts)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What HQ agrees before the month begins; `content` in the form that is stored with an agreement."""

    code: str
    kind: AgreementKind
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tier:
    """From `from_minor` of paid principal on, the bonus is this share of it."""

    from_minor: int
    bonus: Fraction


@dataclass(frozen=True, slots=True)
class TopUpRule:
    """How much a member pays in when the balance is short: the only thing here that is invented.

    The least of `steps_minor` that covers what is missing; above the last of them the next multiple of it. Bonus comes
    on top by the tiers, and is not counted on. Without steps exactly what is missing is paid in.
    """

    steps_minor: tuple[int, ...]
    tiers: tuple[Tier, ...]

    def principal(self, missing_minor: int) -> int:
        """What is paid in when so much is missing; 0 when nothing is."""
        if missing_minor <= 0 or not self.steps_minor:
            return max(missing_minor, 0)
        last = self.steps_minor[-1]
        steps = (step for step in self.steps_minor if step >= missing_minor)
        return next(steps, -(-missing_minor // last) * last)

    def bonus(self, principal_minor: int) -> int:
        """The bonus the terms grant, rounded down."""
        shares = [tier.bonus for tier in self.tiers if tier.from_minor <= principal_minor]
        return principal_minor * shares[-1].numerator // shares[-1].denominator if shares else 0


@dataclass(frozen=True, slots=True)
class Trade:
    """A data set, ready to be replayed: its merchants, agreements, and its baskets by month in time order.

    `homes` says which merchant recruited a member and sells it stored value; `remarks` are facts about the data that a
    reader should know.
    """

    display_name: str
    currency_code: str
    zone: str
    merchants: Sequence[Merchant]
    agreements: Sequence[Agreement]
    top_up_rule: TopUpRule
    homes: Mapping[str, str]
    baskets: Mapping[str, Sequence[Basket]]
    remarks: Sequence[str]

    @property
    def months(self) -> list[str]:
        return sorted(self.baskets)
