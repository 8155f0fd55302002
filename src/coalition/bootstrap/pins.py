"""PINs between the rooms and the strongroom: sealed on the way, compared there, kept as a tag."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from coalition.domain.errors import Refused
from coalition.domain.pins import PinRow, PinTag, SealedPin
from coalition.domain.reasons import Reason
from keys import KeyMissing, KeyPurpose, KeyRing, SealBroken, labelled, seal


class RingPins:
    """Opens, compares and keeps PINs by the keys of a ring. Callable from any thread.

    Raises Refused(PIN_KEY_MISSING) where the ring, made by an earlier release, has no keys for PINs yet.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def open(self, request_id: UUID, pin: SealedPin) -> "OpenedPin | None":
        """For the desk: what can be compared, and tells nothing; None as in `plain`, and where there are no keys."""
        try:
            plain = self.plain(request_id, pin)
        except Refused:
            return None
        return None if plain is None else OpenedPin(self._ring, plain)

    def plain(self, request_id: UUID, pin: SealedPin) -> str | None:
        """The PIN; None where it is not sealed to an enabled key of the ring, for this request at this place."""
        with _keys_are_there():
            try:
                return self._ring.open_pin(pin.sealed, pin_context(str(request_id), pin.place))
            except SealBroken:
                return None

    def tagged(self, wallet_id: int, pin: str, salt: bytes) -> PinTag:
        """What is kept of a PIN. `salt` has 16 fresh bytes."""
        with _keys_are_there():
            tag = self._ring.pin_tag(_owner(wallet_id), salt, pin)
            return PinTag(tag, self._ring.primary(KeyPurpose.PIN))

    def public_key(self) -> tuple[bytes, bytes]:
        """What terminals seal PINs to: its id (8 bytes) and the public key (32)."""
        with _keys_are_there():
            self._ring.primary(KeyPurpose.PIN)  # no use in sealing what could not be compared
            return self._ring.pin_public_key()


@dataclass(frozen=True, slots=True)
class OpenedPin:
    """One PIN for as long as it takes to compare it."""

    _ring: KeyRing
    _pin: str = field(repr=False)

    def matches(self, row: PinRow) -> bool:
        """Whether it is the PIN of that row. Count the try first, durably."""
        return self._ring.pin_matches(_owner(row.wallet_id), row.salt, self._pin, row.tag)


def seal_pin(public_key: bytes, pin: str, request_id: str, place: str) -> bytes:
    """Seal a PIN as a terminal does, to the server's PIN key (32 bytes): it opens for this request at this place."""
    return seal(public_key, pin.encode(), pin_context(request_id, place))


def pin_context(request_id: str, place: str) -> bytes:
    """What a sealed PIN belongs to. `place` is `participant/store/terminal`, or `member/ID` where it is being set."""
    return labelled(b"pin-block1", request_id.lower(), place)


def _owner(wallet_id: int) -> str:
    """Whom a tag belongs to: the desk knows wallets, and no member."""
    return f"wallet {wallet_id}"


@contextmanager
def _keys_are_there() -> Iterator[None]:
    try:
        yield
    except KeyMissing:
        raise Refused(Reason.PIN_KEY_MISSING) from None
