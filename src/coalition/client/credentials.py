"""What a member presents at a till: a card's number, or what stands for it. Shown by no repr, kept by no outbox."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from coalition.client.errors import FieldRefused
from coalition.v1.operations_pb2 import VirtualId

CODE_DIGITS = 22


@dataclass(frozen=True, slots=True)
class PaymentCode:
    """The code a phone shows, as it was scanned or typed (blanks are left out). It pays once, within a minute."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Phone:
    """The member's phone number by E.164, such as +8613800138000. Tops up and looks; to pay needs a PIN besides."""

    number: str = field(repr=False)


Credential: TypeAlias = str | PaymentCode | Phone | VirtualId
"""A card number (text), a payment code, a phone, or what another system calls the member."""


def presented(credential: Credential) -> dict[str, Any]:
    """The field of a request that says it. Raises FieldRefused for a code that has not 22 digits."""
    match credential:
        case PaymentCode():
            digits = "".join(credential.digits.split())
            if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()):
                raise FieldRefused("payment_code", f"scan the {CODE_DIGITS} digits that the phone shows")
            return {"payment_code": digits}
        case Phone():
            return {"phone": credential.number}
        case VirtualId():
            return {"virtual_id": credential}
    return {"card_number": credential}
