"""PINs between the rooms and the strongroom: sealed on the way, compared there, kept as a tag. Plain ones stay here."""

from dataclasses import dataclass, field
from uuid import UUID

from coalition.domain.pins import PinRow, SealedPin
from keys import KeyRing, SealBroken, labelled, seal


class RingPins:
    """Opens and compares PINs by the keys of a ring. Callable from any thread."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def open(self, request_id: UUID, pin: SealedPin) -> "OpenedPin | None":
        """None where it is not sealed to an enabled key of the ring, for this request at this place."""
        try:
            return OpenedPin(self._ring, self._ring.open_pin(pin.sealed, pin_context(str(request_id), pin.place)))
        except SealBroken:
            return None


@dataclass(frozen=True, slots=True)
class OpenedPin:
    """One PIN for as long as it takes to compare it."""

    _ring: KeyRing
    _pin: str = field(repr=False)

    def matches(self, row: PinRow) -> bool:
        """Whether it is the PIN of that row. Count the try first, durably."""
        return self._ring.pin_matches(pin_owner(row.wallet_id), row.salt, self._pin, row.tag)


def seal_pin(public_key: bytes, pin: str, request_id: str, place: str) -> bytes:
    """Seal a PIN as a terminal does, to the server's PIN key (32 bytes): it opens for this request at this place."""
    return seal(public_key, pin.encode(), pin_context(request_id, place))


def pin_context(request_id: str, place: str) -> bytes:
    """What a sealed PIN belongs to. `place` is `participant/store/terminal`, or `member/ID` where it is being set."""
    return labelled(b"pin-block1", request_id, place)


def pin_owner(wallet_id: int) -> str:
    """Whom a tag belongs to: the desk knows wallets, and no member."""
    return f"wallet {wallet_id}"
