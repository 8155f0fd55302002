"""Members' phones and PINs in the contract tests: what is added to a request when it is sent, and forgotten then."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from coalition.bootstrap.pins import seal_pin
from coalition.bootstrap.seeds import open_seed
from coalition.client import new_request_id
from coalition.domain.payment_codes import make_code
from coalition.v1 import member_pb2
from coalition.v1.operations_pb2 import Operation
from keys import generate_box_key
from tests.contract.history import Intent
from tests.contract.scheme import CARD_ISSUER, STORE, TILL
from tests.phones import mistyped

PIN, WRONG_PIN = "280619", "905127"


def phone_of(card: str) -> str:
    """The name of the phone of whoever has the card."""
    return f"phone of {card}"


@dataclass
class Phone:
    """Of a member; `counter` is that of the next opening of its payment page."""

    seed: bytes = field(repr=False)
    counter: int = 0

    def ticket(self, counter: int) -> str:
        """A code that stands for all of this opening: its password is stale."""
        return make_code(self.seed, counter, 0)

    def code(self, counter: int, *, is_right: bool) -> str:
        """What it shows now."""
        code = make_code(self.seed, counter, int(time.time()))
        return code if is_right else mistyped(code)


def enrolled(members: Any, timeout: float) -> tuple[str, Phone]:
    """A new member's id and phone; `members` is a MemberService stub of headquarters."""
    profile = member_pb2.Profile(name="Li Na", phone=f"+86139{secrets.randbelow(10**8):08d}")
    member = members.EnrolMember(
        member_pb2.EnrolMemberRequest(request_id=new_request_id(), profile=profile, recruiter=CARD_ISSUER),
        timeout=timeout,
    )
    private, public = generate_box_key()
    device = members.EnrolDevice(
        member_pb2.EnrolDeviceRequest(
            request_id=new_request_id(), member_id=member.member_id, device_public_key=public, issuer=CARD_ISSUER
        ),
        timeout=timeout,
    )
    seed = open_seed(private, device.sealed_seed, UUID(member.member_id), device.card.card_id)
    return str(member.member_id), Phone(seed)


def with_shown(intent: Intent, phones: dict[str, Phone], pin_key: bytes) -> Operation:
    """What is sent of it now: a code with the password of this half minute, a PIN sealed anew.

    A till keeps neither: what has its answer is sent again with a stale code, and every other time without the PIN.
    """
    operation = Operation()
    assert intent.operation is not None
    operation.CopyFrom(intent.operation)
    request, shown = getattr(operation, intent.which), intent.shown
    if shown.phone and not intent.answers:
        request.payment_code = phones[shown.phone].code(shown.counter, is_right=shown.is_right)
    if shown.pin and not (intent.answers and len(intent.sendings) % 2):
        place = f"{intent.participant}/{STORE}/{TILL}"
        request.sealed_pin = seal_pin(pin_key, shown.pin, intent.request_id, place)
    return operation
