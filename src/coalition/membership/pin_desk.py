"""The PIN desk: sets a member's PIN at the counter. What is kept of it is a keyed hash; which tries it takes is the
desk's matter (coalition.clearing.pins), not reception's.
"""

from typing import Final, Generic, Protocol
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.pins import PinTag, SealedPin, check_pin_form, check_pin_strength
from coalition.domain.reasons import Reason
from coalition.membership.keyed_act import keyed
from coalition.membership.random_ids import Random
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore

SALT_BYTES: Final = 16


class PinRoom(Protocol):
    """What is asked of the strongroom. Raises Refused(PIN_KEY_MISSING) where it has no keys for PINs."""

    def plain(self, request_id: UUID, pin: SealedPin) -> str | None:
        """The PIN; None where it is not sealed to a key of this house for this request and place."""

    def tagged(self, wallet_id: int, pin: str, salt: bytes) -> PinTag: ...


class PinDesk(Generic[Key]):
    """Callable from any thread."""

    def __init__(self, store: MemberStore, keys: Keys[Key], pins: PinRoom, random: Random) -> None:
        self._store = store
        self._keys = keys
        self._pins = pins
        self._random = random

    def set(self, act: Act, member_id: UUID, sealed: bytes, birth_month: int | None) -> ActAnswer:
        """Give the member this PIN and all its tries; whoever asks has checked who the member is.

        PIN_WEAK, MEMBER_UNKNOWN, WALLET_CLOSED; PIN_UNREADABLE, PIN_KEY_MISSING; FIELD_INVALID.
        """
        salt = self._random(SALT_BYTES)

        def apply(books: MemberBooks) -> Answer:
            wallet_id = books.wallet_of_member(member_id)
            if wallet_id is None:
                raise Refused(Reason.MEMBER_UNKNOWN, "member_id", {"member_id": str(member_id)})
            pin = self._pins.plain(act.request_id, SealedPin(sealed, f"member/{member_id}"))
            if pin is None:
                raise Refused(Reason.PIN_UNREADABLE, "sealed_pin")
            check_pin_form(pin, "sealed_pin")
            check_pin_strength(pin, birth_month, "sealed_pin")
            if not books.lock_wallet(wallet_id):
                raise Refused(Reason.WALLET_CLOSED, "member_id")
            books.set_pin(wallet_id, salt, self._pins.tagged(wallet_id, pin, salt))
            return {"wallet_id": wallet_id}

        return self._store.perform(keyed(act, self._keys), apply)
