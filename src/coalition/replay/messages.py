"""Agreements between their two forms: the stored content (JSON) and the messages of ProgrammeService. Sends nothing."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any, Final

from coalition.replay.trade import Agreement
from coalition.v1 import programme_pb2 as pb

CUSTODY: Final = {"ISSUER_HELD": pb.CUSTODY_ISSUER_HELD, "OPERATOR_HELD": pb.CUSTODY_OPERATOR_HELD}
FEE_BASE: Final = {"GROSS": pb.FEE_BASE_GROSS, "PRINCIPAL": pb.FEE_BASE_PRINCIPAL}
BEARERS: Final = {"DEBTOR": pb.POINTS_BEARER_DEBTOR, "ACQUIRER": pb.POINTS_BEARER_ACQUIRER}
BANDING: Final = "BANDING_"
MEASURED: Final = "MEASURED_"
WHEN_USED_UP: Final = "WHEN_USED_UP_"
WINDOW_BASE: Final = "WINDOW_BASE_"


def create_request(agreement: Agreement, request_id: str, effective_from: date) -> pb.CreateAgreementRequest:
    """The message that makes version 1 of the agreement, in force from `effective_from` on."""
    request = pb.CreateAgreementRequest(
        request_id=request_id, code=agreement.code, effective_from=effective_from.isoformat()
    )
    _say(request, agreement)
    return request


def revise_request(
    agreement: Agreement, request_id: str, effective_from: date, latest: int
) -> pb.ReviseAgreementRequest:
    """The message that makes the version after `latest`."""
    request = pb.ReviseAgreementRequest(
        request_id=request_id,
        code=agreement.code,
        expected_version=latest,
        effective_from=effective_from.isoformat(),
    )
    _say(request, agreement)
    return request


def stored_content(agreement: pb.Agreement) -> tuple[str, dict[str, Any]]:
    """The kind and the content of an agreement as the service tells it; what moves no value is told by its kind."""
    match agreement.WhichOneof("content"):
        case "terms":
            return "TERMS", _terms_content(agreement.terms)
        case "acceptance":
            return "ACCEPTANCE", _acceptance_content(agreement.acceptance)
        case "acquiring":
            return "ACQUIRING", _acquiring_content(agreement.acquiring)
        case "fees":
            return "FEES", _fees_content(agreement.fees)
        case "points":
            return "POINTS", _points_content(agreement.points)
        case "passes":
            return "PASSES", _passes_content(agreement.passes)
        case "caps":
            return "CAPS", _caps_content(agreement.caps)
        case other:
            return str(other).upper(), {}


def _say(request: pb.CreateAgreementRequest | pb.ReviseAgreementRequest, agreement: Agreement) -> None:
    match agreement.kind:
        case "TERMS":
            request.terms.CopyFrom(_terms(agreement.content))
        case "ACCEPTANCE":
            request.acceptance.CopyFrom(_acceptance(agreement.content))
        case "ACQUIRING":
            request.acquiring.CopyFrom(_acquiring(agreement.content))
        case "FEES":
            request.fees.CopyFrom(_fees(agreement.content))
        case "POINTS":
            request.points.CopyFrom(_points(agreement.content))
        case "PASSES":
            request.passes.CopyFrom(_passes(agreement.content))
        case "CAPS":
            request.caps.CopyFrom(pb.Caps(**agreement.content))


def _rate(text: str) -> pb.Rate:
    rate = Fraction(text)
    return pb.Rate(numerator=rate.numerator, denominator=rate.denominator)


def _text(rate: pb.Rate) -> str:
    """An absent rate is 0."""
    return str(Fraction(rate.numerator, rate.denominator or 1))


def _terms(content: Mapping[str, Any]) -> pb.Terms:
    message = pb.Terms(
        issuer=content["issuer"],
        custody=CUSTODY[content["custody"]],
        sellers=content["sellers"],
        tiers=[pb.Tier(from_minor=tier["from_minor"], bonus=_rate(tier["bonus"])) for tier in content["tiers"]],
        minimum_minor=content.get("minimum_minor", 0),
        sponsor=content.get("sponsor") or "",
        sponsor_share=_rate(content.get("sponsor_share", "0")),
        seller_commission=_rate(content.get("seller_commission", "0")),
        calendar=content.get("calendar", ""),
    )
    if content.get("bonus_months") is not None:
        message.bonus_months = content["bonus_months"]
    if content.get("sponsor_limit_minor") is not None:
        message.sponsor_limit_minor = content["sponsor_limit_minor"]
        message.when_used_up = pb.WhenUsedUp.Value(WHEN_USED_UP + content.get("when_used_up", "END"))
    return message


def _acceptance(content: Mapping[str, Any]) -> pb.Acceptance:
    return pb.Acceptance(
        issuer=content["issuer"],
        acquirer=content["acquirer"],
        accepted=content.get("accepted", True),
        issuer_bonus_share=_rate(content.get("issuer_bonus_share", "1")),
        interchange=_rate(content.get("interchange", "0")),
        interchange_base=FEE_BASE[content.get("interchange_base", "GROSS")],
        fees_return=content.get("fees_return", True),
        calendar=content.get("calendar", ""),
    )


def _acquiring(content: Mapping[str, Any]) -> pb.Acquiring:
    return pb.Acquiring(
        acquirer=content["acquirer"],
        operator_fee=_rate(content.get("operator_fee", "0")),
        commission=_rate(content.get("commission", "0")),
        commission_to=content.get("commission_to", ""),
        fee_base=FEE_BASE[content.get("fee_base", "GROSS")],
        fees_return=content.get("fees_return", True),
        calendar=content.get("calendar", ""),
    )


def _fees(content: Mapping[str, Any]) -> pb.WindowFees:
    """Amounts that are absent bind not, and stay absent."""
    amounts = {name: content[name] for name in ("flat_minor", "minimum_minor", "maximum_minor") if name in content}
    return pb.WindowFees(
        payer=content["payer"],
        payee=content.get("payee", ""),
        base=pb.WindowBase.Value(WINDOW_BASE + content["base"]),
        bands=[pb.FeeBand(from_volume=band["from_volume"], rate=_rate(band["rate"])) for band in content["bands"]],
        banding=pb.Banding.Value(BANDING + content.get("banding", "MARGINAL")),
        measured=pb.Measured.Value(MEASURED + content.get("measured", "PAYER")),
        calendar=content.get("calendar", ""),
        **amounts,
    )


def _points(content: Mapping[str, Any]) -> pb.Points:
    return pb.Points(
        debtor=content["debtor"],
        earned_at=content.get("earned_at", []),
        steps=[pb.EarnStep(from_minor=step["from_minor"], rate=_rate(step["rate"])) for step in content["steps"]],
        value=_rate(content["value"]),
        borne_by=BEARERS[content["borne_by"]],
        spent_at=content.get("spent_at", []),
        calendar=content.get("calendar", ""),
    )


def _passes(content: Mapping[str, Any]) -> pb.Passes:
    months = {} if content.get("months") is None else {"months": content["months"]}
    return pb.Passes(
        issuer=content["issuer"],
        custody=CUSTODY[content["custody"]],
        sellers=content["sellers"],
        price_minor=content["price_minor"],
        visits=content["visits"],
        honoured_at=content.get("honoured_at", []),
        seller_commission=_rate(content.get("seller_commission", "0")),
        calendar=content.get("calendar", ""),
        **months,
    )


def _terms_content(terms: pb.Terms) -> dict[str, Any]:
    return {
        "issuer": terms.issuer,
        "custody": "OPERATOR_HELD" if terms.custody == pb.CUSTODY_OPERATOR_HELD else "ISSUER_HELD",
        "sellers": list(terms.sellers),
        "tiers": [{"from_minor": tier.from_minor, "bonus": _text(tier.bonus)} for tier in terms.tiers],
        "minimum_minor": terms.minimum_minor,
        "bonus_months": terms.bonus_months if terms.HasField("bonus_months") else None,
        "sponsor": terms.sponsor or None,
        "sponsor_share": _text(terms.sponsor_share),
        **_limit_content(terms),
        "seller_commission": _text(terms.seller_commission),
        "calendar": terms.calendar or "monthly",
    }


def _limit_content(terms: pb.Terms) -> dict[str, Any]:
    """Terms without a sponsor's limit say nothing of it, as ever."""
    if not terms.HasField("sponsor_limit_minor"):
        return {}
    after = pb.WhenUsedUp.Name(terms.when_used_up or pb.WHEN_USED_UP_END).removeprefix(WHEN_USED_UP)
    return {"sponsor_limit_minor": terms.sponsor_limit_minor, "when_used_up": after}


def _acceptance_content(acceptance: pb.Acceptance) -> dict[str, Any]:
    return {
        "issuer": acceptance.issuer,
        "acquirer": acceptance.acquirer,
        "accepted": acceptance.accepted if acceptance.HasField("accepted") else True,
        "issuer_bonus_share": _text(acceptance.issuer_bonus_share)
        if acceptance.HasField("issuer_bonus_share")
        else "1",
        "interchange": _text(acceptance.interchange),
        "interchange_base": "PRINCIPAL" if acceptance.interchange_base == pb.FEE_BASE_PRINCIPAL else "GROSS",
        "fees_return": acceptance.fees_return if acceptance.HasField("fees_return") else True,
        "calendar": acceptance.calendar or "monthly",
    }


def _acquiring_content(acquiring: pb.Acquiring) -> dict[str, Any]:
    return {
        "acquirer": acquiring.acquirer,
        "operator_fee": _text(acquiring.operator_fee),
        "commission": _text(acquiring.commission),
        "commission_to": acquiring.commission_to or "RECRUITER",
        "fee_base": "PRINCIPAL" if acquiring.fee_base == pb.FEE_BASE_PRINCIPAL else "GROSS",
        "fees_return": acquiring.fees_return if acquiring.HasField("fees_return") else True,
        "calendar": acquiring.calendar or "monthly",
    }


def _fees_content(fees: pb.WindowFees) -> dict[str, Any]:
    told: dict[str, Any] = {
        "payer": fees.payer,
        "payee": fees.payee or "OPERATOR",
        "base": pb.WindowBase.Name(fees.base or pb.WINDOW_BASE_PURCHASES).removeprefix(WINDOW_BASE),
        "bands": [{"from_volume": band.from_volume, "rate": _text(band.rate)} for band in fees.bands],
        "banding": pb.Banding.Name(fees.banding or pb.BANDING_MARGINAL).removeprefix(BANDING),
        "measured": pb.Measured.Name(fees.measured or pb.MEASURED_PAYER).removeprefix(MEASURED),
        "calendar": fees.calendar or "monthly",
    }
    for name in ("flat_minor", "minimum_minor", "maximum_minor"):
        if fees.HasField(name):
            told[name] = getattr(fees, name)
    return told


def _caps_content(caps: pb.Caps) -> dict[str, Any]:
    return {
        "participant": caps.participant,
        "net_debit_minor": caps.net_debit_minor,
        "warning_percent": caps.warning_percent if caps.HasField("warning_percent") else 80,
        "collateral_counts": caps.collateral_counts if caps.HasField("collateral_counts") else True,
    }


def _points_content(points: pb.Points) -> dict[str, Any]:
    return {
        "debtor": points.debtor,
        "earned_at": list(points.earned_at),
        "steps": [{"from_minor": step.from_minor, "rate": _text(step.rate)} for step in points.steps],
        "value": _text(points.value),
        "borne_by": "ACQUIRER" if points.borne_by == pb.POINTS_BEARER_ACQUIRER else "DEBTOR",
        "spent_at": list(points.spent_at),
        "calendar": points.calendar or "monthly",
    }


def _passes_content(passes: pb.Passes) -> dict[str, Any]:
    return {
        "issuer": passes.issuer,
        "custody": "OPERATOR_HELD" if passes.custody == pb.CUSTODY_OPERATOR_HELD else "ISSUER_HELD",
        "sellers": list(passes.sellers),
        "price_minor": passes.price_minor,
        "visits": passes.visits,
        "months": passes.months if passes.HasField("months") else None,
        "honoured_at": list(passes.honoured_at),
        "seller_commission": _text(passes.seller_commission),
        "calendar": passes.calendar or "monthly",
    }
