"""Agreements: what an issuer sells, what an acquirer accepts, what it pays for it. Versioned, effective-dated, never edited.

Content arrives as JSON (the form that is stored); `parse_content` turns it into one of the three frozen types here or says
which field is wrong. A party is a participant code or `chain:<code>`, every participant of that chain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from coalition.domain.errors import Refused
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason

KINDS: Final = ("TERMS", "ACCEPTANCE", "ACQUIRING")
CUSTODIES: Final = ("ISSUER_HELD", "OPERATOR_HELD")
BASES: Final = ("GROSS", "PRINCIPAL")
RECRUITER: Final = "RECRUITER"
ZERO: Final = Rate(0, 1)
WHOLE: Final = Rate(1, 1)


@dataclass(frozen=True, slots=True)
class Tier:
    """From `from_minor` of paid principal on, the bonus is `bonus` of the principal, rounded down."""

    from_minor: int
    bonus: Rate


@dataclass(frozen=True, slots=True)
class Terms:
    """What a lot is sold under."""

    issuer: str
    custody: str
    sellers: tuple[str, ...]
    tiers: tuple[Tier, ...]
    minimum_minor: int
    bonus_months: int | None
    sponsor: str | None
    sponsor_share: Rate
    seller_commission: Rate
    balance_limit_minor: int | None
    calendar: str

    def bonus_for(self, principal_minor: int) -> int:
        """The bonus of the highest tier reached, minor units; 0 below the first."""
        reached = [tier for tier in self.tiers if tier.from_minor <= principal_minor]
        return reached[-1].bonus.floor(principal_minor) if reached else 0

    def bonus_expiry(self, business_date: date) -> date | None:
        """The last day of the bonus: the same day `bonus_months` later, or that month's last day."""
        if self.bonus_months is None:
            return None
        months = business_date.year * 12 + business_date.month - 1 + self.bonus_months
        year, month = divmod(months, 12)
        for day in range(business_date.day, business_date.day - 4, -1):
            try:
                return date(year, month + 1, day)
            except ValueError:
                continue
        raise AssertionError("a month has at least 28 days")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether and how an acquirer takes an issuer's lots: who bears the bonus, and the interchange it pays the issuer."""

    issuer: str
    acquirer: str
    accepted: bool
    issuer_bonus_share: Rate
    interchange: Rate
    interchange_base: str
    fees_return: bool
    calendar: str


@dataclass(frozen=True, slots=True)
class Acquiring:
    """What an acquirer pays per purchase: the operator's fee and the recruiter's commission."""

    acquirer: str
    operator_fee: Rate
    commission: Rate
    commission_to: str
    fee_base: str
    fees_return: bool
    calendar: str


Content = Terms | Acceptance | Acquiring


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an agreement, in force from `effective_from` until the day before `effective_until`."""

    agreement_id: int
    version: int
    code: str
    kind: str
    effective_from: date
    effective_until: date | None
    content: Content

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day and (self.effective_until is None or day < self.effective_until)


class _Fields:
    """Reads typed fields out of foreign JSON; every complaint names the field."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = dict(content)

    def bad(self, name: str, wish: str) -> Refused:
        return Refused(Reason.AGREEMENT_INVALID, field=f"content.{name}", metadata={"expected": wish})

    def text(self, name: str, default: str | None = None, among: tuple[str, ...] = ()) -> str:
        value = self._content.pop(name, default)
        if not isinstance(value, str) or not value or (among and value not in among):
            raise self.bad(name, " or ".join(among) if among else "a non-empty text")
        return value

    def rate(self, name: str, default: str, *, whole_at_most: bool = True) -> Rate:
        value = self._content.pop(name, default)
        try:
            rate = Rate.parse(value) if isinstance(value, str) else None
        except ValueError:
            rate = None
        if rate is None or (whole_at_most and rate.numerator > rate.denominator):
            raise self.bad(name, 'a fraction such as "6/1000" from 0 to 1')
        return rate

    def whole(self, name: str, default: int | None, least: int) -> int | None:
        value = self._content.pop(name, default)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.bad(name, f"a whole number of at least {least}")
        return value

    def flag(self, name: str, default: bool) -> bool:  # noqa: FBT001  (a default value, not a switch)
        value = self._content.pop(name, default)
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if self._content.get(name) is not None else self._content.pop(name, None)

    def texts(self, name: str, default: list[str]) -> tuple[str, ...]:
        values = self._content.pop(name, default)
        if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
            raise self.bad(name, "a list of parties")
        return tuple(values)

    def tiers(self, name: str) -> tuple[Tier, ...]:
        rows = self._content.pop(name, [])
        if not isinstance(rows, list):
            raise self.bad(name, "a list of tiers")
        tiers: list[Tier] = []
        for index, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise self.bad(f"{name}[{index}]", "a tier with from_minor and bonus")
            fields = _Fields(row)
            from_minor = fields.whole("from_minor", None, 1)
            if from_minor is None or (tiers and from_minor <= tiers[-1].from_minor):
                raise self.bad(f"{name}[{index}].from_minor", "amounts in rising order")
            tiers.append(Tier(from_minor, fields.rate("bonus", "0", whole_at_most=False)))
            fields.finish()
        return tuple(tiers)

    def finish(self) -> None:
        for name in self._content:
            raise self.bad(name, "no such field")


def parse_content(kind: str, content: Mapping[str, Any]) -> Content:
    """The typed content of an agreement of `kind`. Raises Refused(AGREEMENT_INVALID) naming the first wrong field."""
    fields = _Fields(content)
    parsed: Content
    if kind == "TERMS":
        issuer = fields.text("issuer")
        parsed = Terms(
            issuer=issuer,
            custody=fields.text("custody", "ISSUER_HELD", among=CUSTODIES),
            sellers=fields.texts("sellers", [issuer]),
            tiers=fields.tiers("tiers"),
            minimum_minor=fields.whole("minimum_minor", 1, 1) or 1,
            bonus_months=fields.whole("bonus_months", None, 1),
            sponsor=fields.optional_text("sponsor"),
            sponsor_share=fields.rate("sponsor_share", "0"),
            seller_commission=fields.rate("seller_commission", "0"),
            balance_limit_minor=fields.whole("balance_limit_minor", None, 1),
            calendar=fields.text("calendar", "monthly"),
        )
        if parsed.sponsor_share != ZERO and parsed.sponsor is None:
            raise fields.bad("sponsor", "a sponsor, because sponsor_share is not 0")
    elif kind == "ACCEPTANCE":
        parsed = Acceptance(
            issuer=fields.text("issuer"),
            acquirer=fields.text("acquirer"),
            accepted=fields.flag("accepted", default=True),
            issuer_bonus_share=fields.rate("issuer_bonus_share", "1"),
            interchange=fields.rate("interchange", "0"),
            interchange_base=fields.text("interchange_base", "GROSS", among=BASES),
            fees_return=fields.flag("fees_return", default=True),
            calendar=fields.text("calendar", "monthly"),
        )
    elif kind == "ACQUIRING":
        parsed = Acquiring(
            acquirer=fields.text("acquirer"),
            operator_fee=fields.rate("operator_fee", "0"),
            commission=fields.rate("commission", "0"),
            commission_to=fields.text("commission_to", RECRUITER),
            fee_base=fields.text("fee_base", "GROSS", among=BASES),
            fees_return=fields.flag("fees_return", default=True),
            calendar=fields.text("calendar", "monthly"),
        )
    else:
        raise Refused(Reason.AGREEMENT_INVALID, field="kind", metadata={"expected": " or ".join(KINDS)})
    fields.finish()
    return parsed
