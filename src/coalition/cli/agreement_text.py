"""An agreement as people read it: one line for a list, one field a line for itself."""

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from coalition.cli.agreement_content import Content, content_of, rate_text
from coalition.cli.money import format_amount
from coalition.cli.output import short_name
from coalition.v1.programme_pb2 import (
    Acceptance,
    Acquiring,
    Agreement,
    Caps,
    CardRules,
    EarnStep,
    FeeBand,
    Limits,
    Passes,
    Points,
    PointsConversion,
    PointsRepayment,
    Rate,
    Terms,
    Tier,
    WindowFees,
)

MINOR_SUFFIX: Final = "_minor"


def parties(content: Content) -> str:
    """Who an agreement is between."""
    match content:
        case Terms():
            return f"{content.issuer} sells"
        case Acceptance():
            refused = content.HasField("accepted") and not content.accepted
            return f"{content.acquirer} {'refuses' if refused else 'takes'} value of {content.issuer}"
        case Acquiring():
            return f"{content.acquirer} pays"
        case CardRules():
            return "the scheme and everybody"
        case Limits():
            return f"{content.acquirer} takes in"
        case WindowFees():
            return f"{content.payer} pays {content.payee or 'OPERATOR'} for each window"
        case Caps():
            return f"{content.participant} may owe"
        case Passes():
            return f"{content.issuer} sells {content.visits} visits"
        case Points():
            return f"{content.debtor} owes points"


def described(currency_code: str, agreement: Agreement) -> str:
    """An agreement, one field a line; a list has a line for each of its items."""
    until = f" until the day before {agreement.effective_until}" if agreement.effective_until else ""
    kind = str(agreement.WhichOneof("content")).upper()
    fields = [
        f"  {field.name.removesuffix(MINOR_SUFFIX)}: {_value_text(currency_code, field, item)}"
        for field, value in content_of(agreement).ListFields()
        for item in (value if field.is_repeated else [value])
    ]
    first = f"{kind} {agreement.code}, version {agreement.version}, in force from {agreement.effective_from}{until}"
    waits = ["  waits for approval: it does not hold yet"] if agreement.waits_for_approval else []
    return "\n".join([first, *waits, *fields])


def _value_text(currency_code: str, field: FieldDescriptor, value: Any) -> str:
    if isinstance(value, Rate):
        return rate_text(value)
    if isinstance(value, Tier):
        return f"from {format_amount(value.from_minor, currency_code)} a bonus of {rate_text(value.bonus)}"
    if isinstance(value, EarnStep):
        return f"from {format_amount(value.from_minor, currency_code)} {rate_text(value.rate)} points a minor unit"
    if isinstance(value, PointsRepayment):
        return f"{value.programme}, {rate_text(value.rate)} for one"
    if isinstance(value, PointsConversion):
        return _conversion_text(value)
    if isinstance(value, FeeBand):
        return f"from a volume of {value.from_volume}: {rate_text(value.rate)}"
    if field.name.endswith(MINOR_SUFFIX):
        return format_amount(value, currency_code)
    if field.enum_type is not None:
        return short_name(field, value)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _conversion_text(conversion: PointsConversion) -> str:
    under = f" under {conversion.terms}" if conversion.terms else ""
    months = conversion.voucher_months
    what = f"a voucher of {months} months" if months else f"value of {conversion.issuer or 'the debtor'}"
    rate = f"{rate_text(conversion.rate)} minor units a point"
    return (
        f"{what}{under}, {rate}, from {conversion.minimum_points or 1} points in steps of {conversion.step_points or 1}"
    )
