"""What a caller may say to a terminal: names of terminals, of earlier operations, and references fit to be stored."""

import re
from typing import Any, Final

from coalition.client.errors import FieldRefused
from coalition.v1.operations_pb2 import Receipt, TerminalRef

REFERENCE_LENGTH_MAX: Final = 64
_CARD_NUMBER: Final = re.compile(r"[0-9]{12,22}")
_BETWEEN_DIGITS: Final = re.compile(r"[\s./_-]+")


def terminal_ref(text: str) -> TerminalRef:
    """Of "cafe/main/till-1". Raises FieldRefused."""
    elements = text.strip("/").split("/")
    if len(elements) != len(TerminalRef.DESCRIPTOR.fields) or not all(elements):
        raise FieldRefused("at", "write PARTICIPANT/STORE/TERMINAL, such as cafe/main/till-1")
    participant, store, terminal = elements
    return TerminalRef(participant=participant, store=store, terminal=terminal)


def place_of(ref: TerminalRef) -> str:
    """The reverse of `terminal_ref`."""
    return f"{ref.participant}/{ref.store}/{ref.terminal}"


def name_original(request: Any, which: str, operation: Receipt | str | int) -> None:
    """Name an earlier operation in a request, by its entry or by its request_id."""
    if isinstance(operation, int):
        setattr(request, f"{which}_entry_id", operation)
    else:
        request_id = operation.request_id if isinstance(operation, Receipt) else operation
        setattr(request, f"{which}_request_id", request_id)


def reference_of(request: Any) -> str:
    """The sale reference, which is stored: so it must be short and must not hold what was presented."""
    reference: str = getattr(request, "sale_reference", "")
    if len(reference) > REFERENCE_LENGTH_MAX:
        raise FieldRefused("sale_reference", f"write at most {REFERENCE_LENGTH_MAX} characters")
    plain = _BETWEEN_DIGITS.sub("", reference)
    for said in (getattr(request, name, "").lstrip("+") for name in ("card_number", "payment_code", "phone")):
        if said and said in plain:
            raise FieldRefused("sale_reference", "leave the card's number out: references are stored and printed")
    return reference


def check_offline_sale(request: Any) -> None:
    """What the service would refuse is refused before a sale is approved without it. Raises FieldRefused."""
    if not _CARD_NUMBER.fullmatch(request.card_number):
        raise FieldRefused("card_number", "12 to 22 digits")
    if request.amount_minor <= 0:
        raise FieldRefused("amount_minor", "above 0, minor units")
