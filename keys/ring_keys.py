"""The ENABLED keys of a ring, opened and each proven to be the one the ring file recorded. Shows no key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from keys.custody import FileCustody, KeyedHash, KeyWrapper, Opener, Signer
from keys.errors import KeyFileBroken
from keys.ring_file import KeyPurpose, KeyState, KeyVersion, RingFile

AnyKey: TypeAlias = KeyWrapper | KeyedHash | Signer | Opener
Key = TypeVar("Key", KeyWrapper, KeyedHash, Signer, Opener)


@dataclass(frozen=True, slots=True)
class RingKeys:
    """By version, ascending. `hashes` has an entry for each purpose that hashes, empty where the ring has no key."""

    wrappers: Mapping[int, KeyWrapper] = field(repr=False)
    hashes: Mapping[KeyPurpose, Mapping[int, KeyedHash]] = field(repr=False)
    signers: Mapping[int, Signer] = field(repr=False)
    openers: Mapping[int, Opener] = field(repr=False)


HASHING = (KeyPurpose.BLIND_INDEX, KeyPurpose.CARD_TOKEN, KeyPurpose.PIN)


def open_keys(path: Path, file: RingFile, custody: FileCustody) -> RingKeys:
    """Every ENABLED key of the ring file at `path`. Raises the errors of a key directory, CustodyUnknown."""

    def of(purpose: KeyPurpose) -> list[KeyVersion]:
        enabled = (v for v in file.versions if v.purpose is purpose and v.state is KeyState.ENABLED)
        return sorted(enabled, key=lambda version: version.version)

    return RingKeys(
        wrappers={v.version: _checked(path, v, custody.wrapper(v.uri)) for v in of(KeyPurpose.KEY_ENCRYPTION)},
        hashes={
            purpose: {v.version: _checked(path, v, custody.keyed_hash(v.uri)) for v in of(purpose)}
            for purpose in HASHING
        },
        signers={v.version: _checked(path, v, custody.signer(v.uri)) for v in of(KeyPurpose.BATCH_SIGNING)},
        openers={v.version: _checked(path, v, custody.opener(v.uri)) for v in of(KeyPurpose.PIN_SEALING)},
    )


def open_key(custody: FileCustody, purpose: KeyPurpose, uri: str) -> AnyKey:
    """The key of that URI, as its purpose uses it."""
    match purpose:
        case KeyPurpose.KEY_ENCRYPTION:
            return custody.wrapper(uri)
        case KeyPurpose.BLIND_INDEX | KeyPurpose.CARD_TOKEN | KeyPurpose.PIN:
            return custody.keyed_hash(uri)
        case KeyPurpose.BATCH_SIGNING:
            return custody.signer(uri)
        case KeyPurpose.PIN_SEALING:
            return custody.opener(uri)


def _checked(ring_path: Path, version: KeyVersion, key: Key) -> Key:
    if key.check() != version.check:
        raise KeyFileBroken(
            ring_path, f"records another {version.purpose.value} key than {version.uri} holds; restore the right file"
        )
    return key
