"""Agreements: what an issuer sells, what an acquirer accepts, what it pays for it; and the scheme's card rules.

They are versioned, effective-dated and never edited. Content arrives as JSON (the form that is stored); `parse_content`
turns it into a frozen type or says which field is wrong. A party is a participant code or `chain:<code>`, every
participant of that chain; card rules have none, they are the whole scheme's.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from coalition.domain.card_rules import CardRules
from coalition.domain.day_limits import DayLimits
from coalition.domain.errors import Refused
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason

KINDS: Final = ("TERMS", "ACCEPTANCE", "ACQUIRING", "CARD_RULES", "LIMITS")
CUSTODIES: Final = ("ISSUER_HELD", "OPERATOR_HELD")
BASES: Final = ("GROSS", "PRINCIPAL")
LOSS_BEARERS: Final = ("SELLER", "ISSUER")
SHORTFALL_BEARERS: Final = ("ACQUIRER", "ISSUER")
RECRUITER: Final = "RECRUITER"
CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
CHAIN_PREFIX: Final = "chain:"
# Bounds that keep a slip of the pen out of every later sum: no amount passes 10**15 fen, no bonus ten times what was
# paid, no bonus outlives a century (nor the last year a date can hold).
MINOR_MAX: Final = 10**15
BONUS_RATE_MAX: Final = 10
BONUS_MONTHS_MAX: Final = 1200
COUNT_MAX: Final = 1_000_000
RETURN_DAYS_MAX: Final = 3650
ZERO: Final = Rate(0, 1)
WHOLE: Final = Rate(1, 1)


@dataclass(frozen=True, slots=True)
class Tier:
    """From `from_minor` of paid principal on, the bonus is `bonus` of the principal, rounded down."""

    from_minor: int
    bonus: Rate


@dataclass(frozen=True, slots=True)
class Terms:
    """What a lot is sold under. `top_up_loss` says who bears what was spent of a top-up whose money bounced."""

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
    top_up_loss: str
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
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(business_date.day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether and how an acquirer takes an issuer's lots: who bears the bonus, what interchange it pays the issuer.

    Up to `offline_limit_minor` an operation a sale that the acquirer's terminal approved offline is agreed to for the
    issuer's cards (None: none is); `shortfall_bearer` says who then bears what the wallet could not give.
    """

    issuer: str
    acquirer: str
    accepted: bool
    issuer_bonus_share: Rate
    interchange: Rate
    interchange_base: str
    fees_return: bool
    offline_limit_minor: int | None
    shortfall_bearer: str
    calendar: str


@dataclass(frozen=True, slots=True)
class Acquiring:
    """What an acquirer pays per purchase: the operator's fee and the recruiter's commission.

    What it has sold may be returned at the stores of the participants `returns_at` too (return_elsewhere.py).
    """

    acquirer: str
    operator_fee: Rate
    commission: Rate
    commission_to: str
    fee_base: str
    fees_return: bool
    calendar: str
    returns_at: tuple[str, ...] = ()


Content = Terms | Acceptance | Acquiring | CardRules | DayLimits


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an agreement, in force from `effective_from` until the day before `effective_until`.

    From the day a higher version begins it is never in force again (see Programme).
    """

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

    def __init__(self, content: Mapping[str, Any], path: str = "content") -> None:
        self._content = dict(content)
        self._path = path

    def bad(self, name: str, wish: str) -> Refused:
        return Refused(Reason.AGREEMENT_INVALID, field=f"{self._path}.{name}", metadata={"expected": wish})

    def choice(self, name: str, among: tuple[str, ...]) -> str:
        """One of `among`, whose first is what an absent field means."""
        value = self._content.pop(name, among[0])
        if not isinstance(value, str) or value not in among:
            raise self.bad(name, " or ".join(among))
        return value

    def code(self, name: str, default: str | None = None, *, also: str | None = None) -> str:
        value = self._content.pop(name, default)
        if not isinstance(value, str) or not (value == also or CODE.fullmatch(value)):
            raise self.bad(name, "a code such as store-12" + (f" or {also}" if also else ""))
        return value

    def optional_code(self, name: str) -> str | None:
        return self.code(name) if self._content.get(name) is not None else self._content.pop(name, None)

    def party(self, name: str) -> str:
        value = self._content.pop(name, None)
        if not _is_party(value):
            raise self.bad(name, "a participant code or chain:<code>")
        return str(value)

    def parties(self, name: str, default: list[str], *, may_be_none: bool = False) -> tuple[str, ...]:
        values = self._content.pop(name, default)
        if not isinstance(values, list) or not (values or may_be_none) or not all(_is_party(value) for value in values):
            raise self.bad(name, "a list of participant codes or chain:<code>")
        return tuple(values)

    def rate(self, name: str, default: str, most: int = 1) -> Rate:
        value = self._content.pop(name, default)
        try:
            rate = Rate.parse(value) if isinstance(value, str) else None
        except ValueError:
            rate = None
        if rate is None or rate.numerator > rate.denominator * most:
            raise self.bad(name, f'a fraction such as "6/1000" from 0 to {most}')
        return rate

    def whole(self, name: str, default: int | None, most: int = MINOR_MAX) -> int | None:
        value = self._content.pop(name, default)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self.bad(name, f"a whole number from 1 to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:  # noqa: FBT001  (a default value, not a switch)
        value = self._content.pop(name, default)
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def tiers(self, name: str) -> tuple[Tier, ...]:
        rows = self._content.pop(name, [])
        if not isinstance(rows, list):
            raise self.bad(name, "a list of tiers")
        tiers: list[Tier] = []
        for index, row in enumerate(rows):
            place = f"{name}[{index}]"
            if not isinstance(row, Mapping):
                raise self.bad(place, "a tier with from_minor and bonus")
            fields = _Fields(row, f"{self._path}.{place}")
            from_minor = fields.whole("from_minor", None)
            if from_minor is None or (tiers and from_minor <= tiers[-1].from_minor):
                raise fields.bad("from_minor", "amounts in rising order")
            tiers.append(Tier(from_minor, fields.rate("bonus", "0", BONUS_RATE_MAX)))
            fields.finish()
        return tuple(tiers)

    def finish(self) -> None:
        for name in self._content:
            raise self.bad(name, "no such field")


def _is_party(value: object) -> bool:
    return isinstance(value, str) and CODE.fullmatch(value.removeprefix(CHAIN_PREFIX)) is not None


def parse_content(kind: str, content: Mapping[str, Any]) -> Content:
    """The typed content of an agreement of `kind`. Raises Refused(AGREEMENT_INVALID) naming the first wrong field."""
    fields = _Fields(content)
    parsed: Content
    match kind:
        case "TERMS":
            parsed = _terms(fields)
        case "ACCEPTANCE":
            parsed = _acceptance(fields)
        case "ACQUIRING":
            parsed = Acquiring(
                acquirer=fields.party("acquirer"),
                operator_fee=fields.rate("operator_fee", "0"),
                commission=fields.rate("commission", "0"),
                commission_to=fields.code("commission_to", RECRUITER, also=RECRUITER),
                fee_base=fields.choice("fee_base", BASES),
                fees_return=fields.flag("fees_return", default=True),
                calendar=fields.code("calendar", "monthly"),
                returns_at=fields.parties("returns_at", [], may_be_none=True),
            )
        case "CARD_RULES":
            parsed = _card_rules(fields)
        case "LIMITS":
            parsed = DayLimits(
                acquirer=fields.party("acquirer"),
                terminal_purchase_minor=fields.whole("terminal_purchase_minor", None),
                terminal_top_up_minor=fields.whole("terminal_top_up_minor", None),
                terminal_refund_minor=fields.whole("terminal_refund_minor", None),
                participant_purchase_minor=fields.whole("participant_purchase_minor", None),
                participant_top_up_minor=fields.whole("participant_top_up_minor", None),
                participant_refund_minor=fields.whole("participant_refund_minor", None),
            )
        case _:
            raise Refused(Reason.AGREEMENT_INVALID, field="kind", metadata={"expected": " or ".join(KINDS)})
    fields.finish()
    return parsed


def _acceptance(fields: _Fields) -> Acceptance:
    acceptance = Acceptance(
        issuer=fields.party("issuer"),
        acquirer=fields.party("acquirer"),
        accepted=fields.flag("accepted", default=True),
        issuer_bonus_share=fields.rate("issuer_bonus_share", "1"),
        interchange=fields.rate("interchange", "0"),
        interchange_base=fields.choice("interchange_base", BASES),
        fees_return=fields.flag("fees_return", default=True),
        offline_limit_minor=fields.whole("offline_limit_minor", None),
        shortfall_bearer=fields.choice("shortfall_bearer", SHORTFALL_BEARERS),
        calendar=fields.code("calendar", "monthly"),
    )
    if acceptance.shortfall_bearer == "ISSUER" and acceptance.offline_limit_minor is None:
        raise fields.bad("offline_limit_minor", "a limit, because shortfall_bearer is ISSUER")
    return acceptance


def _terms(fields: _Fields) -> Terms:
    issuer = fields.party("issuer")
    terms = Terms(
        issuer=issuer,
        custody=fields.choice("custody", CUSTODIES),
        sellers=fields.parties("sellers", [issuer]),
        tiers=fields.tiers("tiers"),
        minimum_minor=fields.whole("minimum_minor", 1) or 1,
        bonus_months=fields.whole("bonus_months", None, BONUS_MONTHS_MAX),
        sponsor=fields.optional_code("sponsor"),
        sponsor_share=fields.rate("sponsor_share", "0"),
        seller_commission=fields.rate("seller_commission", "0"),
        balance_limit_minor=fields.whole("balance_limit_minor", None),
        top_up_loss=fields.choice("top_up_loss", LOSS_BEARERS),
        calendar=fields.code("calendar", "monthly"),
    )
    if terms.sponsor_share != ZERO and terms.sponsor is None:
        raise fields.bad("sponsor", "a sponsor, because sponsor_share is not 0")
    return terms


def _card_rules(fields: _Fields) -> CardRules:
    return CardRules(
        named_balance_limit_minor=fields.whole("named_balance_limit_minor", None),
        bearer_balance_limit_minor=fields.whole("bearer_balance_limit_minor", None),
        real_name_top_up_from_minor=fields.whole("real_name_top_up_from_minor", None),
        transfer_top_up_from_minor=fields.whole("transfer_top_up_from_minor", None),
        credit_funding_allowed=fields.flag("credit_funding_allowed", default=True),
        bearer_bonus_months_min=fields.whole("bearer_bonus_months_min", None, BONUS_MONTHS_MAX),
        no_pin_limit_minor=fields.whole("no_pin_limit_minor", None),
        number_day_limit_minor=fields.whole("number_day_limit_minor", None),
        code_day_limit_minor=fields.whole("code_day_limit_minor", None),
        code_pin_day_limit_minor=fields.whole("code_pin_day_limit_minor", None),
        wallet_day_limit_minor=fields.whole("wallet_day_limit_minor", None),
        wallet_day_count=fields.whole("wallet_day_count", None, COUNT_MAX),
        card_hour_count=fields.whole("card_hour_count", None, COUNT_MAX),
        return_days=fields.whole("return_days", None, RETURN_DAYS_MAX),
    )
