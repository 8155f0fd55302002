"""A device's seed on its way from the house to the phone: sealed to the phone's key, for one member and one card."""

from typing import Final
from uuid import UUID

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from keys import BoxKeyBroken, labelled, open_box, seal

LABEL: Final = b"coalition device seed 1"


def seal_seed(public_key: bytes, seed: bytes, member_id: UUID, card_id: int) -> bytes:
    """The box that only the device opens. Raises Refused(FIELD_INVALID) for what is no X25519 public key."""
    try:
        return seal(public_key, seed, _context(member_id, card_id))
    except BoxKeyBroken:
        raise Refused(
            Reason.FIELD_INVALID, "device_public_key", {"expected": "the X25519 public key of the device"}
        ) from None


def open_seed(private_key: bytes, sealed_seed: bytes, member_id: UUID, card_id: int) -> bytes:
    """The seed, on the device. Raises SealBroken (keys) for another device's box, or another member's or card's."""
    return open_box(private_key, sealed_seed, _context(member_id, card_id))


def _context(member_id: UUID, card_id: int) -> bytes:
    return labelled(LABEL, str(member_id), str(card_id))
