"""Trade as a replay needs it, whatever data set it comes from: who sells, who buys, what each basket was made of.

Amounts are whole minor units; times are UTC with their zone. Knows no data set and sends nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal

AgreementKind = Literal["TERMS", "ACCEPTANCE", "ACQUIRING", "FEES", "CAPS", "POINTS", "PASSES"]


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
    """One visit: paid by card in parts, one for each merchant. `is_returned`: given back whole at once.

    `day` is the day of the stores' clocks, "2017-01-31".
    """

    basket: str
    member: str
    time: datetime
    day: str
    parts: tuple[Part, ...]
    is_returned: bool = False

    @property
    def month(self) -> str:
        return self.day[:7]

    @property
    def amount_minor(self) -> int:
        return sum(part.amount_minor for part in self.parts)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What HQ agrees on; `content` in the form that is stored with an agreement.

    In force from the first day of the trade; from `since` on, if it is said, and then made on that day. A later one of
    the same code is its next version.
    """

    code: str
    kind: AgreementKind
    content: Mapping[str, Any]
    since: date | None = None


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
class Return:
    """What a member brings back of a basket, and on which day of the stores' clocks."""

    basket: Basket
    time: datetime
    day: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ReturnRule:
    """Which baskets come back where the data has no returns: invented, and the same for every run.

    SHA-256 of the basket's number decides: `per_mille` of 1000 baskets come back, 1 to `days_max` days later; one in
    three of these whole, of the others half of each part, rounded down.
    """

    per_mille: int
    days_max: int

    def returned(self, basket: Basket) -> Return | None:
        """What comes back of a basket, if anything does."""
        drawn = int.from_bytes(hashlib.sha256(basket.basket.encode()).digest()[:12])
        drawn, share = divmod(drawn, 1000)
        if share >= self.per_mille:
            return None
        drawn, days = divmod(drawn, self.days_max)
        divisor = 1 if drawn % 3 == 0 else 2
        parts = tuple(
            Part(part.merchant, part.amount_minor // divisor) for part in basket.parts if part.amount_minor >= divisor
        )
        later = timedelta(days=days + 1)
        day = date.fromisoformat(basket.day) + later
        return Return(basket, basket.time + later, day.isoformat(), parts) if parts else None


@dataclass(frozen=True, slots=True)
class PointsRule:
    """When members spend their points: invented, nothing is drawn. Who buys at `spent_at` and had `least` of them
    before the day's first basket spends as many `step`s as are worth less than what it buys there.

    `programme` is the code of the POINTS agreement, which says what earns them and what one is worth.
    """

    programme: str
    spent_at: str
    least: int
    step: int


@dataclass(frozen=True, slots=True)
class PassRule:
    """Who buys a pass, and when it is paid out: invented, and the same for every run.

    Who buys at `visited_at` and has no pass with visits left, buys one with that basket, where one of those who sell it
    sold the basket's first part. From the next basket on what is bought there is a visit. Of the passes one in
    `paid_out_one_in`, by SHA-256 of that basket's number, is paid out by who sold it `paid_out_days` later. `pass_code`
    is the code of the PASSES agreement.
    """

    pass_code: str
    visited_at: str
    paid_out_one_in: int
    paid_out_days: int

    def is_paid_out(self, basket: Basket) -> bool:
        """Whether the pass that is bought with a basket is given back some day."""
        return int.from_bytes(hashlib.sha256(f"{basket.basket}/pass".encode()).digest()[:8]) % self.paid_out_one_in == 0


@dataclass(frozen=True, slots=True)
class Settling:
    """How the months are settled beside closing and netting the monthly window.

    `daily` is a calendar that is cut at the end of each day ("": none). Each month is paid in a run: what is below
    `minimum_minor` is carried forward, in the last run nothing; the operator stands for up to `advance_limit_minor` of
    what others carry. `collateral_minor` is paid in before the first till.
    """

    daily: str = ""
    minimum_minor: int = 0
    advance_limit_minor: int = 0
    collateral_minor: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trade:
    """A data set, ready to be replayed: its merchants, agreements, and its baskets by month in time order.

    `homes` says which merchant recruited a member and sells it stored value; `remarks` are facts about the data that a
    reader should know. Months follow each other without a gap; one without baskets is settled all the same.
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
    return_rule: ReturnRule | None = None
    settling: Settling = field(default_factory=Settling)
    points_rule: PointsRule | None = None
    pass_rule: PassRule | None = None

    @property
    def months(self) -> list[str]:
        return sorted(self.baskets)

    @property
    def first_day(self) -> date:
        """The day before which nothing is traded."""
        return date.fromisoformat(f"{self.months[0]}-01")

    @property
    def capped(self) -> frozenset[str]:
        """The participants that have a net debit cap of their own."""
        return frozenset(each.content["participant"] for each in self.agreements if each.kind == "CAPS")

    def newcomers(self) -> dict[str, list[str]]:
        """The members by the month of their first basket, in its order."""
        seen: set[str] = set()
        found: dict[str, list[str]] = {}
        for month in self.months:
            found[month] = [
                member
                for member in dict.fromkeys(basket.member for basket in self.baskets[month])
                if member not in seen
            ]
            seen.update(found[month])
        return found


def unbroken(baskets: dict[str, list[Basket]]) -> dict[str, list[Basket]]:
    """Months without baskets between others are months too: their windows are closed empty."""
    if not baskets:
        return baskets
    first, last = min(baskets), max(baskets)
    year, month = map(int, first.split("-"))
    while (label := f"{year:04d}-{month:02d}") < last:
        baskets.setdefault(label, [])
        year, month = year + month // 12, month % 12 + 1
    return baskets


def days_of(month: str) -> list[str]:
    """The days of "2017-02", in order."""
    day = date.fromisoformat(f"{month}-01")
    days = []
    while f"{day:%Y-%m}" == month:
        days.append(day.isoformat())
        day += timedelta(days=1)
    return days
