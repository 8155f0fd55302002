"""Agreements as they were exported, typed: what each version says, and when it is in force. Computes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from coalition.replay.benefit_sums import PassFacts, PointsFacts
from coalition.replay.sums import AcceptanceFacts, AcquiringFacts, CapsFacts, FeesFacts, TermsFacts

Content = TermsFacts | AcceptanceFacts | AcquiringFacts | FeesFacts | CapsFacts | PointsFacts | PassFacts


class FactsMissing(Exception):
    """The export does not say what an entry needs to be computed again."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an agreement; in force from its first day until the day before `until`."""

    code: str
    version: int
    kind: str
    first: date
    until: date | None
    parties: tuple[str, ...]
    content: Content

    def in_force(self, day: date) -> bool:
        return self.first <= day and (self.until is None or day < self.until)


def read_version(code: str, version: int, kind: str, first: str, until: str, content: str) -> Version:
    """A row of the exported agreements. Raises FactsMissing for a kind that is unknown."""
    told: Mapping[str, Any] = json.loads(content)
    parties: tuple[str, ...]
    match kind:
        case "TERMS":
            parties, facts = (told["issuer"],), _terms(told)
        case "ACCEPTANCE":
            parties, facts = (told["issuer"], told["acquirer"]), _acceptance(code, version, told)
        case "ACQUIRING":
            parties, facts = (told["acquirer"],), _acquiring(told)
        case "FEES":
            parties, facts = (told["payer"], told["payee"], told["base"]), _fees(told)
        case "CAPS":
            parties, facts = (
                (told["participant"],),
                CapsFacts(
                    told["participant"], told["net_debit_minor"], told["warning_percent"], told["collateral_counts"]
                ),
            )
        case "POINTS":
            parties, facts = (told["debtor"],), points_facts(told)
        case "PASSES":
            parties, facts = (told["issuer"],), pass_facts(told)
        case _:
            raise FactsMissing(f"agreement {code} is of unknown kind {kind}")
    end = date.fromisoformat(until) if until else None
    return Version(code, version, kind, date.fromisoformat(first), end, parties, facts)


def _terms(told: Mapping[str, Any]) -> Content:
    return TermsFacts(
        issuer=told["issuer"],
        operator_held=told.get("custody") == "OPERATOR_HELD",
        tiers=tuple((int(tier["from_minor"]), Fraction(tier["bonus"])) for tier in told.get("tiers", [])),
        bonus_months=told.get("bonus_months"),
        sponsor=told.get("sponsor") or "",
        sponsor_share=Fraction(told.get("sponsor_share", "0")),
        held_limit=told["sponsor_limit_minor"] if told.get("when_used_up") == "ISSUER" else None,
        seller_commission=Fraction(told.get("seller_commission", "0")),
        calendar=told.get("calendar", "monthly"),
    )


def _acceptance(code: str, version: int, told: Mapping[str, Any]) -> Content:
    return AcceptanceFacts(
        agreement=code,
        version=version,
        accepted=bool(told.get("accepted", True)),
        issuer_bonus_share=Fraction(told.get("issuer_bonus_share", "1")),
        interchange=Fraction(told.get("interchange", "0")),
        interchange_on_gross=told.get("interchange_base", "GROSS") == "GROSS",
        fees_return=bool(told.get("fees_return", True)),
        calendar=told.get("calendar", "monthly"),
    )


def _acquiring(told: Mapping[str, Any]) -> Content:
    return AcquiringFacts(
        operator_fee=Fraction(told.get("operator_fee", "0")),
        commission=Fraction(told.get("commission", "0")),
        commission_to=told.get("commission_to", "RECRUITER"),
        on_gross=told.get("fee_base", "GROSS") == "GROSS",
        fees_return=bool(told.get("fees_return", True)),
        calendar=told.get("calendar", "monthly"),
    )


def _fees(told: Mapping[str, Any]) -> Content:
    return FeesFacts(
        payer=told["payer"],
        payee=told["payee"],
        base=told["base"],
        of_payee=told["measured"] == "PAYEE",
        bands=tuple((band["from_volume"], Fraction(band["rate"])) for band in told["bands"]),
        by_whole=told["banding"] == "WHOLE",
        flat=told.get("flat_minor", 0),
        minimum=told.get("minimum_minor"),
        maximum=told.get("maximum_minor"),
        calendar=told["calendar"],
    )


def points_facts(told: Mapping[str, Any]) -> PointsFacts:
    """The content of an agreement of kind POINTS."""
    return PointsFacts(
        debtor=told["debtor"],
        earned_at=tuple(told.get("earned_at") or [told["debtor"]]),
        steps=tuple((int(step["from_minor"]), Fraction(step["rate"])) for step in told.get("steps", [])),
        value=Fraction(told.get("value", "0")),
        by_acquirer=told.get("borne_by") == "ACQUIRER",
        calendar=told.get("calendar", "monthly"),
    )


def pass_facts(told: Mapping[str, Any]) -> PassFacts:
    """The content of an agreement of kind PASSES."""
    return PassFacts(
        issuer=told["issuer"],
        operator_held=told.get("custody") == "OPERATOR_HELD",
        price=int(told["price_minor"]),
        visits=int(told["visits"]),
        months=told.get("months"),
        honoured_at=tuple(told.get("honoured_at", [])),
        seller_commission=Fraction(told.get("seller_commission", "0")),
        calendar=told.get("calendar", "monthly"),
    )
