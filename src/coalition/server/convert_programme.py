"""Participants, stores, terminals and agreements between the messages of the door and the words of the rooms."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from google.protobuf.message import Message

from coalition.domain.acts import JSON
from coalition.domain.agreements import Acceptance, Acquiring, Terms, parse_content
from coalition.domain.caps import Caps
from coalition.domain.card_rules import CardRules
from coalition.domain.day_limits import DayLimits
from coalition.domain.directory import AgreementRecord, ParticipantRecord, StoreRecord, TerminalRecord
from coalition.domain.errors import Refused
from coalition.domain.pass_terms import PassTerms
from coalition.domain.points_programme import Conversion, PointsProgramme, Repayment
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from coalition.domain.window_fees import WindowFees
from coalition.server.convert import timestamp_of
from coalition.v1 import programme_pb2

KIND_OF_FIELD: Mapping[str, str] = {
    "terms": "TERMS",
    "acceptance": "ACCEPTANCE",
    "acquiring": "ACQUIRING",
    "card_rules": "CARD_RULES",
    "limits": "LIMITS",
    "fees": "FEES",
    "caps": "CAPS",
    "passes": "PASSES",
    "points": "POINTS",
}
RATES = frozenset(
    {
        *("bonus", "sponsor_share", "seller_commission", "issuer_bonus_share", "interchange", "operator_fee"),
        *("commission", "rate", "value"),
    }
)
CHOICES: Mapping[str, tuple[type[Any], str]] = {
    "custody": (programme_pb2.Custody, "CUSTODY_"),
    "top_up_loss": (programme_pb2.LossBearer, "LOSS_BEARER_"),
    "when_used_up": (programme_pb2.WhenUsedUp, "WHEN_USED_UP_"),
    "interchange_base": (programme_pb2.FeeBase, "FEE_BASE_"),
    "fee_base": (programme_pb2.FeeBase, "FEE_BASE_"),
    "base": (programme_pb2.WindowBase, "WINDOW_BASE_"),
    "measured": (programme_pb2.Measured, "MEASURED_"),
    "banding": (programme_pb2.Banding, "BANDING_"),
    "borne_by": (programme_pb2.PointsBearer, "POINTS_BEARER_"),
    "shortfall_bearer": (programme_pb2.ShortfallBearer, "SHORTFALL_BEARER_"),
}


def role_word(role: programme_pb2.ParticipantRole.ValueType) -> str:
    """A role as the rooms write it: CHAIN, STORE, ALLIANCE, OPERATOR or CUSTODY."""
    return programme_pb2.ParticipantRole.Name(role).removeprefix("PARTICIPANT_ROLE_")


def state_word(state: programme_pb2.OperatingState.ValueType) -> str:
    """A state as the rooms write it: ACTIVE or SUSPENDED."""
    return programme_pb2.OperatingState.Name(state).removeprefix("OPERATING_STATE_")


def state_value(word: str) -> programme_pb2.OperatingState.ValueType:
    """The same the other way."""
    return programme_pb2.OperatingState.Value(f"OPERATING_STATE_{word}")


def participant_message(record: ParticipantRecord, state: str | None = None) -> programme_pb2.Participant:
    """The participant; `state` is what an act made of it then, so that a repetition answers the same."""
    return programme_pb2.Participant(
        code=record.code,
        display_name=record.display_name,
        role=programme_pb2.ParticipantRole.Value(f"PARTICIPANT_ROLE_{record.role}"),
        chain_code=record.chain_code or "",
        state=state_value(state or record.state),
        create_time=timestamp_of(record.create_time),
    )


def store_message(record: StoreRecord, state: str | None = None) -> programme_pb2.Store:
    """The store; `state` as for a participant."""
    return programme_pb2.Store(
        participant=record.participant,
        code=record.code,
        display_name=record.display_name,
        state=state_value(state or record.state),
        create_time=timestamp_of(record.create_time),
    )


def terminal_message(record: TerminalRecord, state: str | None = None) -> programme_pb2.Terminal:
    """The terminal; `state` as for a participant."""
    return programme_pb2.Terminal(
        participant=record.participant,
        store=record.store,
        code=record.code,
        state=state_value(state or record.state),
        create_time=timestamp_of(record.create_time),
    )


def business_date(text: str, field: str) -> date:
    """Raises Refused(FIELD_INVALID) for a date that is not in the calendar."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, field, {"expected": "a date such as 2017-01-31"}) from None


def content_of(message: Message) -> dict[str, JSON]:
    """The stored form of an agreement's content: what was said, without the defaults of what was not."""
    content: dict[str, JSON] = {}
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if name in RATES:
            content[name] = str(_rate(value))
        elif name in CHOICES:
            kind, prefix = CHOICES[name]
            content[name] = kind.Name(value).removeprefix(prefix)
        elif name == "conversion":
            content[name] = content_of(value)
        elif name in {"tiers", "bands", "steps", "repays", "repaid_with"}:
            content[name] = [content_of(row) for row in value]
        elif name in {"sellers", "returns_at", "honoured_at", "earned_at", "spent_at"}:
            content[name] = list(value)
        else:
            content[name] = value
    return content


def agreement_message(record: AgreementRecord) -> programme_pb2.Agreement:
    """One version, every default spelt out."""
    message = programme_pb2.Agreement(
        code=record.code,
        version=record.version,
        effective_from=record.effective_from.isoformat(),
        effective_until=record.effective_until.isoformat() if record.effective_until else "",
        create_time=timestamp_of(record.create_time),
        waits_for_approval=not record.is_signed,
        unit=record.unit or 0,
    )
    match parse_content(record.kind, record.content):
        case Terms() as terms:
            message.terms.CopyFrom(_terms(terms))
        case Acceptance() as acceptance:
            message.acceptance.CopyFrom(_acceptance(acceptance))
        case Acquiring() as acquiring:
            message.acquiring.CopyFrom(_acquiring(acquiring))
        case CardRules() as rules:
            message.card_rules.CopyFrom(_card_rules(rules))
        case DayLimits() as limits:
            message.limits.CopyFrom(programme_pb2.Limits(**asdict(limits)))
        case WindowFees() as fees:
            message.fees.CopyFrom(_fees(fees))
        case Caps() as caps:
            message.caps.CopyFrom(
                programme_pb2.Caps(**asdict(caps) | {"net_debit_minor": caps.net_debit_minor or None})
            )
        case PassTerms() as passes:
            message.passes.CopyFrom(_passes(passes))
        case PointsProgramme() as points:
            message.points.CopyFrom(_points(points))
    return message


def with_content_field(refused: Refused, content_field: str) -> Refused:
    """The same complaint with the field's place in the message: "content.issuer" becomes "terms.issuer"."""
    if refused.field is not None and refused.field.startswith("content."):
        refused.field = refused.field.replace("content", content_field, 1)
    return refused


def _terms(terms: Terms) -> programme_pb2.Terms:
    return programme_pb2.Terms(
        issuer=terms.issuer,
        custody=programme_pb2.Custody.Value(f"CUSTODY_{terms.custody}"),
        sellers=terms.sellers,
        tiers=[programme_pb2.Tier(from_minor=tier.from_minor, bonus=_rate_message(tier.bonus)) for tier in terms.tiers],
        minimum_minor=terms.minimum_minor,
        bonus_months=terms.bonus_months,
        sponsor=terms.sponsor or "",
        sponsor_share=_rate_message(terms.sponsor_share),
        sponsor_limit_minor=terms.sponsor_limit_minor,
        when_used_up=programme_pb2.WhenUsedUp.Value(f"WHEN_USED_UP_{terms.when_used_up}"),
        seller_commission=_rate_message(terms.seller_commission),
        balance_limit_minor=terms.balance_limit_minor,
        top_up_loss=programme_pb2.LossBearer.Value(f"LOSS_BEARER_{terms.top_up_loss}"),
        calendar=terms.calendar,
    )


def _acceptance(acceptance: Acceptance) -> programme_pb2.Acceptance:
    return programme_pb2.Acceptance(
        issuer=acceptance.issuer,
        acquirer=acceptance.acquirer,
        accepted=acceptance.accepted,
        issuer_bonus_share=_rate_message(acceptance.issuer_bonus_share),
        interchange=_rate_message(acceptance.interchange),
        interchange_base=programme_pb2.FeeBase.Value(f"FEE_BASE_{acceptance.interchange_base}"),
        fees_return=acceptance.fees_return,
        calendar=acceptance.calendar,
        offline_limit_minor=acceptance.offline_limit_minor,
        shortfall_bearer=programme_pb2.ShortfallBearer.Value(f"SHORTFALL_BEARER_{acceptance.shortfall_bearer}"),
    )


def _acquiring(acquiring: Acquiring) -> programme_pb2.Acquiring:
    return programme_pb2.Acquiring(
        acquirer=acquiring.acquirer,
        operator_fee=_rate_message(acquiring.operator_fee),
        commission=_rate_message(acquiring.commission),
        commission_to=acquiring.commission_to,
        fee_base=programme_pb2.FeeBase.Value(f"FEE_BASE_{acquiring.fee_base}"),
        fees_return=acquiring.fees_return,
        calendar=acquiring.calendar,
        returns_at=acquiring.returns_at,
    )


def _passes(terms: PassTerms) -> programme_pb2.Passes:
    return programme_pb2.Passes(
        issuer=terms.issuer,
        custody=programme_pb2.Custody.Value(f"CUSTODY_{terms.custody}"),
        sellers=terms.sellers,
        price_minor=terms.price_minor,
        visits=terms.visits,
        months=terms.months,
        honoured_at=terms.honoured_at,
        seller_commission=_rate_message(terms.seller_commission),
        calendar=terms.calendar,
    )


def _points(programme: PointsProgramme) -> programme_pb2.Points:
    steps = [
        programme_pb2.EarnStep(from_minor=step.from_minor, rate=_rate_message(step.rate)) for step in programme.steps
    ]
    return programme_pb2.Points(
        debtor=programme.debtor,
        earned_at=programme.earned_at,
        steps=steps,
        value=_rate_message(programme.value),
        borne_by=programme_pb2.PointsBearer.Value(f"POINTS_BEARER_{programme.borne_by}"),
        spent_at=programme.spent_at,
        calendar=programme.calendar,
        months=programme.months,
        repays=map(_repayment, programme.repays),
        repaid_with=map(_repayment, programme.repaid_with),
        conversion=None if programme.conversion is None else _conversion(programme.conversion),
    )


def _repayment(repayment: Repayment) -> programme_pb2.PointsRepayment:
    return programme_pb2.PointsRepayment(programme=repayment.programme, rate=_rate_message(repayment.rate))


def _conversion(conversion: Conversion) -> programme_pb2.PointsConversion:
    return programme_pb2.PointsConversion(
        issuer=conversion.issuer,
        terms=conversion.terms or "",
        rate=_rate_message(conversion.rate),
        minimum_points=conversion.minimum_points,
        step_points=conversion.step_points,
        voucher_months=conversion.voucher_months,
    )


def _fees(fees: WindowFees) -> programme_pb2.WindowFees:
    return programme_pb2.WindowFees(
        payer=fees.payer,
        payee=fees.payee,
        base=programme_pb2.WindowBase.Value(f"WINDOW_BASE_{fees.base.value}"),
        measured=programme_pb2.Measured.Value(f"MEASURED_{fees.measured.value}"),
        bands=[programme_pb2.FeeBand(from_volume=band.start, rate=_rate_message(band.rate)) for band in fees.bands],
        banding=programme_pb2.Banding.Value(f"BANDING_{fees.banding.value}"),
        flat_minor=fees.flat_minor or None,
        minimum_minor=fees.minimum_minor,
        maximum_minor=fees.maximum_minor,
        calendar=fees.calendar,
    )


def _card_rules(rules: CardRules) -> programme_pb2.CardRules:
    # The message has the rules' own names; an absent bound stays absent.
    return programme_pb2.CardRules(**asdict(rules))


def _rate(message: programme_pb2.Rate) -> Rate:
    return Rate.of(message.numerator, message.denominator)


def _rate_message(rate: Rate) -> programme_pb2.Rate:
    return programme_pb2.Rate(numerator=rate.numerator, denominator=rate.denominator)
