"""A member's device as a file, for trying things out: its key, the seed it was told, the counter of its codes.

What an app does: the key is made and kept before anybody is asked, so that a lost answer is asked for again; and the
counter moves on, durably, before a code is shown, so that no two codes share a ticket. One file, 0600, for its owner.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from coalition.bootstrap.errors import strongroom_errors
from coalition.bootstrap.seeds import open_seed
from coalition.domain.errors import CoalitionError
from coalition.domain.payment_codes import SEED_BYTES, make_code
from keys import generate_box_key, private_files

FORM: Final = 1
MAKE_ONE: Final = "make one with: coalition card device --member MEMBER_ID --to"


class DeviceRefused(CoalitionError):
    """The device file cannot be used so; the message names the cure."""


@dataclass(frozen=True, slots=True)
class Device:
    """What the file holds. `card_id` is 0 and `seed` empty until the coalition has enrolled the device."""

    request_id: str
    member_id: str
    public_key: str
    private_key: str = field(repr=False)
    card_id: int = 0
    seed: str = field(default="", repr=False)
    counter: int = 0
    form: int = FORM

    @property
    def is_enrolled(self) -> bool:
        return bool(self.seed)


def begin(path: Path, member_id: str, request_id: str) -> Device:
    """A new device in a new file, or the one of an enrolment whose answer never came. Raises DeviceRefused."""
    if path.exists():
        device = _read(path)
        if device.is_enrolled or device.member_id != member_id:
            raise DeviceRefused(f"{path} holds a device already; name a new file")
        return device
    private, public = generate_box_key()
    device = Device(request_id, member_id, public.hex(), private.hex())
    with strongroom_errors():
        private_files.write_new(path, _written(device))
    return device


def enrolled(path: Path, device: Device, card_id: int, sealed_seed: bytes) -> None:
    """Open the seed that was told and keep it. Raises StrongroomRefused for another device's."""
    with strongroom_errors():
        seed = open_seed(bytes.fromhex(device.private_key), sealed_seed, UUID(device.member_id), card_id)
        private_files.replace(path, _written(replace(device, card_id=card_id, seed=seed.hex())))


def next_code(path: Path, unix_seconds: int) -> tuple[str, int]:
    """The next payment code and its counter, which the file has moved past before this returns.

    Asks nobody. Raises DeviceRefused, StrongroomRefused.
    """
    with strongroom_errors(), private_files.locked(path.parent):
        device = _read(path)
        if not device.is_enrolled:
            raise DeviceRefused(f"{path} is not enrolled yet; {MAKE_ONE} {path}")
        private_files.replace(path, _written(replace(device, counter=device.counter + 1)))
    return make_code(bytes.fromhex(device.seed), device.counter, unix_seconds), device.counter


def _read(path: Path) -> Device:
    with strongroom_errors():
        content = private_files.read_private(path, f"{MAKE_ONE} {path}")
    with suppress(ValueError, TypeError):
        told: dict[str, Any] = json.loads(content)
        device = Device(**told)
        if device.form == FORM and len(bytes.fromhex(device.seed)) in (0, SEED_BYTES) and device.counter >= 0:
            return device
    raise DeviceRefused(f"{path} is no device of this release; {MAKE_ONE} a new file")


def _written(device: Device) -> bytes:
    return json.dumps(asdict(device), indent=2).encode() + b"\n"
