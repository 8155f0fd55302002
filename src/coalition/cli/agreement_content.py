"""The content of an agreement, between the JSON that headquarters keeps in files and the messages of the protos.

Checks shape only (names, rates, amounts); whether an agreement makes sense is the service's business.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, TypeAlias, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from coalition.cli.money import format_rate, parse_rate
from coalition.cli.output import fields_of, short_name
from coalition.v1.programme_pb2 import (
    Acceptance,
    Acquiring,
    Agreement,
    Caps,
    CardRules,
    Limits,
    Passes,
    Points,
    Rate,
    Terms,
    WindowFees,
)

Content: TypeAlias = Terms | Acceptance | Acquiring | CardRules | Limits | WindowFees | Caps | Passes | Points

KINDS: Final[Mapping[str, type[Content]]] = {
    "terms": Terms,
    "acceptance": Acceptance,
    "acquiring": Acquiring,
    "card_rules": CardRules,
    "limits": Limits,
    "fees": WindowFees,
    "caps": Caps,
    "passes": Passes,
    "points": Points,
}


def rate_message(text: str) -> Rate:
    """The message of a rate as people write it. Raises ValueError with the cure."""
    rate = parse_rate(text)
    return Rate(numerator=rate.numerator, denominator=rate.denominator)


def rate_text(rate: Rate) -> str:
    """A rate for people."""
    return format_rate(Fraction(rate.numerator, rate.denominator or 1))


def content_message(kind: str, content: Mapping[str, Any]) -> Content:
    """Build the content of a kind from JSON: rates are texts, enums their short names, amounts minor units.

    Raises ValueError that names the field.
    """
    message = KINDS[kind]()
    _fill(message, content, "")
    return message


def content_of(agreement: Agreement) -> Content:
    """The content an agreement has."""
    match agreement.WhichOneof("content"):
        case "terms":
            return agreement.terms
        case "acceptance":
            return agreement.acceptance
        case "card_rules":
            return agreement.card_rules
        case "limits":
            return agreement.limits
        case "fees":
            return agreement.fees
        case "caps":
            return agreement.caps
        case "passes":
            return agreement.passes
        case "points":
            return agreement.points
        case _:
            return agreement.acquiring


def content_json(message: Message) -> dict[str, Any]:
    """The JSON that `content_message` reads, with every field that is set."""
    return {field.name: _json(field, value) for field, value in message.ListFields()}


def _fill(message: Message, content: Mapping[str, Any], path: str) -> None:
    fields = {field.name: field for field in fields_of(message)}
    for name, value in content.items():
        if name not in fields:
            raise ValueError(f"{path}{name}: no such field; there are {', '.join(fields)}")
        if value is None:
            continue
        field, here = fields[name], f"{path}{name}"
        if field.is_repeated:
            if not isinstance(value, list):
                raise ValueError(f"{here}: must be a list")
            getattr(message, name).extend(_value(field, item, f"{here}[{place}]") for place, item in enumerate(value))
        elif field.message_type is not None:
            getattr(message, name).CopyFrom(_value(field, value, here))
        else:
            plain = _value(field, value, here)
            try:
                setattr(message, name, plain)
            except (TypeError, ValueError):
                kind = "text" if field.type == field.TYPE_STRING else "number"
                raise ValueError(f"{here}: must be a {kind}") from None


def _value(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.message_type is Rate.DESCRIPTOR:
        try:
            return rate_message(str(value))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    if field.message_type is not None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{path}: must be an object with {', '.join(field.message_type.fields_by_name)}")
        row = GetMessageClass(field.message_type)()
        _fill(row, value, f"{path}.")
        return row
    if field.enum_type is not None:
        return _enum_number(field, value, path)
    if isinstance(value, bool) is not (field.type == field.TYPE_BOOL):
        raise ValueError(f"{path}: must be {'true or false' if field.type == field.TYPE_BOOL else 'no true or false'}")
    return value


def _enum_number(field: FieldDescriptor, value: Any, path: str) -> int:
    names = {
        short_name(field, number): number
        for number in cast("EnumDescriptor", field.enum_type).values_by_number
        if number
    }
    if value not in names:
        raise ValueError(f"{path}: must be one of {', '.join(names)}")
    return names[value]


def _json(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated:
        return [_json_one(field, item) for item in value]
    return _json_one(field, value)


def _json_one(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Rate):
        rate = Fraction(value.numerator, value.denominator or 1)
        return str(rate)
    if isinstance(value, Message):
        return content_json(value)
    return short_name(field, value) if field.enum_type is not None else value
