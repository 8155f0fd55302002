"""ring.json: which keys exist, in which versions and states, and where each lives. It holds no key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from keys.errors import RingBroken
from keys.index_plan import BITS_MAX
from keys.passphrase import Lock
from keys.suites import RecordSuite

FORMAT = "coalition-keyring-1"
NAME = "ring.json"
VERSION_MAX = 2**32 - 1
"""Key versions are four bytes in the header of a sealed record."""

Value = TypeVar("Value")


class KeyPurpose(StrEnum):
    """What a key is for; a key serves one purpose only."""

    KEY_ENCRYPTION = "key-encryption"
    BLIND_INDEX = "blind-index"
    CARD_TOKEN = "card-token"  # noqa: S105 a purpose, not a password
    BATCH_SIGNING = "batch-signing"
    PIN = "pin"
    PIN_SEALING = "pin-sealing"


ADDED_LATER: Final = frozenset({KeyPurpose.PIN, KeyPurpose.PIN_SEALING})
"""A ring made before these were known has none of them; `python -m keys add` makes them."""


class KeyState(StrEnum):
    """ENABLED may be used. DISABLED may come back. DESTROY_SCHEDULED waits for its day. DESTROYED is gone."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DESTROY_SCHEDULED = "DESTROY_SCHEDULED"
    DESTROYED = "DESTROYED"


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key. `check` is public: it tells a swapped key file; for a signing key it is the public key."""

    purpose: KeyPurpose
    version: int
    state: KeyState
    primary: bool
    uri: str
    check: bytes
    create_time: datetime | None
    destroy_time: datetime | None = None
    """DESTROY_SCHEDULED: not before; DESTROYED: when it was done."""
    index_bits: int | None = None
    """Of a blind-index version: how long its values are. None before releases that plan it: 16."""


@dataclass(frozen=True, slots=True)
class RingFile:
    """The content of ring.json: every purpose has exactly one primary version, and it is ENABLED.

    Only a purpose of ADDED_LATER may have no version at all.
    """

    deployment_id: UUID
    versions: tuple[KeyVersion, ...]
    lock: Lock | None = None
    suite: RecordSuite = RecordSuite.AES

    def of(self, purpose: KeyPurpose) -> tuple[KeyVersion, ...]:
        """The versions of a purpose, oldest first."""
        found = (version for version in self.versions if version.purpose is purpose)
        return tuple(sorted(found, key=lambda version: version.version))

    def primary(self, purpose: KeyPurpose) -> KeyVersion | None:
        """The version that new things are made with; None where the purpose has no key yet."""
        return next((version for version in self.of(purpose) if version.primary), None)


def render(ring: RingFile) -> bytes:
    """Canonical, readable JSON."""
    document: dict[str, object] = {
        "format": FORMAT,
        "deployment_id": str(ring.deployment_id),
        "versions": [
            {
                "purpose": version.purpose.value,
                "version": version.version,
                "state": version.state.value,
                "primary": version.primary,
                "uri": version.uri,
                "check": version.check.hex(),
                "create_time": version.create_time.isoformat() if version.create_time else None,
            }
            | ({"destroy_time": version.destroy_time.isoformat()} if version.destroy_time else {})
            | ({"index_bits": version.index_bits} if version.index_bits else {})
            for version in ring.versions
        ],
    }
    # Left out where they say nothing new, so that releases that do not know them read the file.
    if ring.suite is not RecordSuite.AES:
        document["record_suite"] = ring.suite.value
    if ring.lock:
        document["passphrase"] = {
            "argon2id": {"memory_kib": ring.lock.memory_kib, "passes": ring.lock.passes, "lanes": ring.lock.lanes},
            "salt": ring.lock.salt.hex(),
            "file_key": ring.lock.sealed.hex(),
        }
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def parse(path: Path, content: bytes) -> RingFile:
    """Read what `render` wrote. Raises RingBroken naming `path` and the field that is wrong."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as trouble:
        raise RingBroken(path, "is not JSON; restore it from the backup of the key directory") from trouble
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RingBroken(path, f"field format must be {FORMAT!r}")
    try:
        deployment_id = UUID(_field(path, document, "deployment_id", str))
        versions = tuple(_version(path, entry) for entry in _field(path, document, "versions", list))
        lock = _lock(path, document["passphrase"]) if "passphrase" in document else None
        suite = RecordSuite(_field(path, {"record_suite": 1} | document, "record_suite", int))
    except ValueError as trouble:
        raise RingBroken(path, f"holds a value that is not valid: {trouble}") from trouble
    _check(path, versions)
    return RingFile(deployment_id, versions, lock, suite)


def _version(path: Path, entry: object) -> KeyVersion:
    if not isinstance(entry, dict):
        raise RingBroken(path, "field versions must be a list of objects")
    return KeyVersion(
        purpose=KeyPurpose(_field(path, entry, "purpose", str)),
        version=_field(path, entry, "version", int),
        state=KeyState(_field(path, entry, "state", str)),
        primary=_field(path, entry, "primary", bool),
        uri=_field(path, entry, "uri", str),
        check=bytes.fromhex(_field(path, entry, "check", str)),
        create_time=_time(path, entry, "create_time"),
        destroy_time=_time(path, entry, "destroy_time"),
        index_bits=_field(path, entry, "index_bits", int) if "index_bits" in entry else None,
    )


def _time(path: Path, entry: Mapping[str, object], name: str) -> datetime | None:
    return None if entry.get(name) is None else datetime.fromisoformat(_field(path, entry, name, str))


def _lock(path: Path, entry: object) -> Lock:
    stretch = entry.get("argon2id") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(stretch, dict):
        raise RingBroken(path, "field passphrase must be an object with argon2id")
    lock = Lock(
        salt=bytes.fromhex(_field(path, entry, "salt", str)),
        memory_kib=_field(path, stretch, "memory_kib", int),
        passes=_field(path, stretch, "passes", int),
        lanes=_field(path, stretch, "lanes", int),
        sealed=bytes.fromhex(_field(path, entry, "file_key", str)),
    )
    if not lock.is_sound():
        raise RingBroken(path, "field passphrase holds sizes this release never writes; restore it from the backup")
    return lock


def _field(path: Path, entry: Mapping[str, object], name: str, kind: type[Value]) -> Value:
    value = entry.get(name)
    # Python counts True as the number 1; a ring file must not.
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise RingBroken(path, f"field {name} must be a {kind.__name__}")
    return value


def _check(path: Path, versions: tuple[KeyVersion, ...]) -> None:
    if len({(version.purpose, version.version) for version in versions}) != len(versions):
        raise RingBroken(path, "field versions lists a key version twice")
    if any(not 1 <= version.version <= VERSION_MAX for version in versions):
        raise RingBroken(path, f"field version must be from 1 to {VERSION_MAX}")
    if any(version.index_bits is not None and not 1 <= version.index_bits <= BITS_MAX for version in versions):
        raise RingBroken(path, f"field index_bits must be from 1 to {BITS_MAX}")
    for purpose in KeyPurpose:
        of_purpose = [version for version in versions if version.purpose is purpose]
        if not of_purpose and purpose in ADDED_LATER:
            continue
        primaries = [version for version in of_purpose if version.primary]
        if len(primaries) != 1:
            raise RingBroken(path, f"{purpose.value} must have exactly one primary version, it has {len(primaries)}")
        if primaries[0].state is not KeyState.ENABLED:
            raise RingBroken(path, f"the primary version of {purpose.value} must be ENABLED")
