"""Is a message well formed: bytes, size, and the field rules written in the protos. Knows nothing of what exists."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import protovalidate
from google.protobuf.message import DecodeError, Message

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.server.status import FieldsInvalid

UNARY_BYTES_MAX: Final = 64 * 1024
BATCH_BYTES_MAX: Final = 1024 * 1024
VIOLATIONS_MAX: Final = 16  # told to the client; a message with more has a client with more to do than read

# Fields whose violation has a reason of its own; every other one is FIELD_INVALID.
FIELD_REASONS: Final = {"request_id": Reason.REQUEST_ID_MALFORMED, "currency_code": Reason.CURRENCY_UNKNOWN}

_validator: Final = protovalidate.Validator()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a message's place when its bytes are none, or too many: refused after who sent it is known."""

    reason: Reason
    metadata: dict[str, str] | None = None


def reader(parse: Callable[[bytes], Any], bytes_max: int) -> Callable[[bytes], Any]:
    """A deserializer that never raises: gRPC itself answers UNKNOWN with a traceback, and reads what is too large."""
    malformed = Unreadable(Reason.MESSAGE_MALFORMED)
    too_large = Unreadable(Reason.MESSAGE_TOO_LARGE, {"bytes_max": str(bytes_max)})

    def read(content: bytes) -> Any:
        if len(content) > bytes_max:
            return too_large
        try:
            return parse(content)
        except DecodeError:
            return malformed

    return read


def check_message(message: Message, *, bytes_max: int = UNARY_BYTES_MAX) -> None:
    """Raise Refused(MESSAGE_TOO_LARGE), or FieldsInvalid with every violated field, unless the message is well formed.

    Never quotes a value. 5 us for a well-formed operation.
    """
    if message.ByteSize() > bytes_max:
        raise Refused(Reason.MESSAGE_TOO_LARGE, metadata={"bytes_max": str(bytes_max)})
    check_fields(message)


def check_fields(message: Message | Unreadable) -> None:
    """Raise FieldsInvalid with every violated field, or Refused for what `reader` could not read."""
    if isinstance(message, Unreadable):
        raise Refused(message.reason, metadata=message.metadata)
    violations = _validator.collect_violations(message)
    if violations:
        found = [_told(violation) for violation in violations[:VIOLATIONS_MAX]]
        raise FieldsInvalid(found[0][0], [(field, sentence) for _, field, sentence in found])


def _told(violation: protovalidate.Violation) -> tuple[Reason, str, str]:
    """Reason, field path and sentence of a violation."""
    proto = violation.proto
    field = ".".join(_step(element) for element in proto.field.elements)
    if field == "amount_minor":
        value = violation.field_value
        below = isinstance(value, int) and value <= 0
        return Reason.AMOUNT_NOT_POSITIVE if below else Reason.AMOUNT_TOO_LARGE, field, proto.message
    return FIELD_REASONS.get(field, Reason.FIELD_INVALID), field, proto.message


def _step(element: Any) -> str:
    """A field's name, with its place where it is one of many: items[3]."""
    place = element.subscript
    return str(element.field_name) if place is None else f"{element.field_name}[{place.value}]"
