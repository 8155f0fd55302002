"""Agreements: what an issuer sells, what an acquirer accepts, what it pays for it; and the scheme's card rules.

They are versioned, effective-dated and never edited. Content arrives as JSON (the form that is stored); `parse_content`
turns it into a frozen type or says which field is wrong. A party is a participant code or `chain:<code>`, every
participant of that chain; card rules have none, they are the whole scheme's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from coalition.domain.agreement_fields import COUNT_MAX, CUSTODIES, MONTHS_MAX, Fields
from coalition.domain.calendars import months_later
from coalition.domain.caps import WARNING_PERCENT_DEFAULT, WARNING_PERCENT_MAX, Caps
from coalition.domain.card_rules import CardRules
from coalition.domain.day_limits import DayLimits
from coalition.domain.errors import Refused
from coalition.domain.pass_terms import PassTerms, pass_terms
from coalition.domain.points_programme import PointsProgramme, points_programme
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from coalition.domain.window_fees import WindowFees, window_fees

KINDS: Final = ("TERMS", "ACCEPTANCE", "ACQUIRING", "CARD_RULES", "LIMITS", "FEES", "CAPS", "PASSES", "POINTS")
BASES: Final = ("GROSS", "PRINCIPAL")
LOSS_BEARERS: Final = ("SELLER", "ISSUER")
SHORTFALL_BEARERS: Final = ("ACQUIRER", "ISSUER")
AFTER_LIMIT: Final = ("END", "ISSUER")
RECRUITER: Final = "RECRUITER"
# No bonus is more than ten times what was paid.
BONUS_RATE_MAX: Final = 10
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
    """What a lot is sold under. `top_up_loss` says who bears what was spent of a top-up whose money bounced.

    `when_used_up` says what happens once the sponsor's share of all bonus granted under the agreement comes to
    `sponsor_limit_minor`: END, no bonus is granted; ISSUER, it bears what the limit does not cover (sponsorship.py).
    """

    issuer: str
    custody: str
    sellers: tuple[str, ...]
    tiers: tuple[Tier, ...]
    minimum_minor: int
    bonus_months: int | None
    sponsor: str | None
    sponsor_share: Rate
    sponsor_limit_minor: int | None
    when_used_up: str
    seller_commission: Rate
    balance_limit_minor: int | None
    top_up_loss: str
    calendar: str

    def bonus_for(self, principal_minor: int) -> int:
        """The bonus of the highest tier reached, minor units; 0 below the first."""
        reached = [tier for tier in self.tiers if tier.from_minor <= principal_minor]
        return reached[-1].bonus.floor(principal_minor) if reached else 0

    def sponsored_part(self, bonus_minor: int) -> int:
        """What the sponsor bears of a bonus that the issuer would bear all of; of a sum, within a fen a lot in it."""
        return bonus_minor - self.sponsor_share.complement().floor(bonus_minor)

    def bonus_expiry(self, business_date: date) -> date | None:
        """The last day of the bonus: the same day `bonus_months` later, or that month's last day."""
        return None if self.bonus_months is None else months_later(business_date, self.bonus_months)


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


Content = Terms | Acceptance | Acquiring | CardRules | DayLimits | WindowFees | Caps | PassTerms | PointsProgramme


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an agreement, in force from `effective_from` until the day before `effective_until`.

    From the day a higher version begins it is never in force again (see Programme). `unit` is that of its points, for a
    points programme.
    """

    agreement_id: int
    version: int
    code: str
    kind: str
    effective_from: date
    effective_until: date | None
    content: Content
    unit: int | None = None

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day and (self.effective_until is None or day < self.effective_until)


def parse_content(kind: str, content: Mapping[str, Any]) -> Content:
    """The typed content of an agreement of `kind`. Raises Refused(AGREEMENT_INVALID) naming the first wrong field."""
    fields = Fields(content)
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
        case "FEES":
            parsed = window_fees(fields)
        case "PASSES":
            parsed = pass_terms(fields)
        case "POINTS":
            parsed = points_programme(fields)
        case "CAPS":
            parsed = Caps(
                participant=fields.party("participant"),
                net_debit_minor=fields.whole("net_debit_minor", None) or 0,
                warning_percent=fields.whole("warning_percent", None, WARNING_PERCENT_MAX) or WARNING_PERCENT_DEFAULT,
                collateral_counts=fields.flag("collateral_counts", default=True),
            )
        case _:
            raise Refused(Reason.AGREEMENT_INVALID, field="kind", metadata={"expected": " or ".join(KINDS)})
    fields.finish()
    return parsed


def _acceptance(fields: Fields) -> Acceptance:
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


def _terms(fields: Fields) -> Terms:
    issuer = fields.party("issuer")
    terms = Terms(
        issuer=issuer,
        custody=fields.choice("custody", CUSTODIES),
        sellers=fields.parties("sellers", [issuer]),
        tiers=_tiers(fields),
        minimum_minor=fields.whole("minimum_minor", 1) or 1,
        bonus_months=fields.whole("bonus_months", None, MONTHS_MAX),
        sponsor=fields.optional_code("sponsor"),
        sponsor_share=fields.rate("sponsor_share", "0"),
        sponsor_limit_minor=fields.whole("sponsor_limit_minor", None),
        when_used_up=fields.choice("when_used_up", AFTER_LIMIT),
        seller_commission=fields.rate("seller_commission", "0"),
        balance_limit_minor=fields.whole("balance_limit_minor", None),
        top_up_loss=fields.choice("top_up_loss", LOSS_BEARERS),
        calendar=fields.code("calendar", "monthly"),
    )
    if terms.sponsor_share != ZERO and terms.sponsor is None:
        raise fields.bad("sponsor", "a sponsor, because sponsor_share is not 0")
    if terms.sponsor_limit_minor is not None and terms.sponsor_share == ZERO:
        raise fields.bad("sponsor_share", "above 0, because sponsor_limit_minor limits what it comes to")
    if terms.when_used_up == "ISSUER" and terms.sponsor_limit_minor is None:
        raise fields.bad("sponsor_limit_minor", "a limit, because when_used_up says who bears what is above it")
    return terms


def _card_rules(fields: Fields) -> CardRules:
    return CardRules(
        named_balance_limit_minor=fields.whole("named_balance_limit_minor", None),
        bearer_balance_limit_minor=fields.whole("bearer_balance_limit_minor", None),
        real_name_top_up_from_minor=fields.whole("real_name_top_up_from_minor", None),
        transfer_top_up_from_minor=fields.whole("transfer_top_up_from_minor", None),
        credit_funding_allowed=fields.flag("credit_funding_allowed", default=True),
        bearer_bonus_months_min=fields.whole("bearer_bonus_months_min", None, MONTHS_MAX),
        no_pin_limit_minor=fields.whole("no_pin_limit_minor", None),
        number_day_limit_minor=fields.whole("number_day_limit_minor", None),
        code_day_limit_minor=fields.whole("code_day_limit_minor", None),
        code_pin_day_limit_minor=fields.whole("code_pin_day_limit_minor", None),
        wallet_day_limit_minor=fields.whole("wallet_day_limit_minor", None),
        wallet_day_count=fields.whole("wallet_day_count", None, COUNT_MAX),
        card_hour_count=fields.whole("card_hour_count", None, COUNT_MAX),
        return_days=fields.whole("return_days", None, RETURN_DAYS_MAX),
        issuer_held_across_groups_allowed=fields.flag("issuer_held_across_groups_allowed", default=True),
    )


def _tiers(fields: Fields) -> tuple[Tier, ...]:
    tiers: list[Tier] = []
    for row in fields.rows("tiers", "tiers with from_minor and bonus"):
        from_minor = row.whole("from_minor", None)
        if from_minor is None or (tiers and from_minor <= tiers[-1].from_minor):
            raise row.bad("from_minor", "amounts in rising order")
        tiers.append(Tier(from_minor, row.rate("bonus", "0", BONUS_RATE_MAX)))
        row.finish()
    return tuple(tiers)
