"""The ENABLED keys of a ring, opened and each proven to be the one the ring file recorded. Shows no key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from keys.custodians import Custodians
from keys.custody import Custody, KeyedHash, KeyName, KeyWrapper, Opener, Signer
from keys.errors import KeyFileBroken
from keys.ring_file import KeyPurpose, KeyState, KeyVersion, RingFile

Key = TypeVar("Key", KeyWrapper, KeyedHash, Signer, Opener)


@dataclass(frozen=True, slots=True)
class RingKeys:
    """By version, ascending. `hashes` has an entry for each purpose that hashes, empty where the ring has no key."""

    wrappers: Mapping[int, KeyWrapper] = field(repr=False)
    hashes: Mapping[KeyPurpose, Mapping[int, KeyedHash]] = field(repr=False)
    signers: Mapping[int, Signer] = field(repr=False)
    openers: Mapping[int, Opener] = field(repr=False)


HASHING = (KeyPurpose.BLIND_INDEX, KeyPurpose.CARD_TOKEN, KeyPurpose.PIN)


def open_keys(path: Path, file: RingFile, custodians: Custodians) -> RingKeys:
    """Every ENABLED key of the ring file at `path`. Raises the errors of a key directory and of custodies."""

    def of(purpose: KeyPurpose) -> list[KeyVersion]:
        return [version for version in file.of(purpose) if version.state is KeyState.ENABLED]

    def custody(version: KeyVersion) -> Custody:
        return custodians.of(version.uri)

    def checked(version: KeyVersion, use: Callable[[KeyName, str], Key]) -> Key:
        key = use(name_of(file, version), version.uri)
        if key.check() != version.check:
            raise KeyFileBroken(
                path, f"records another {version.purpose.value} key than {version.uri} holds; restore the right file"
            )
        return key

    return RingKeys(
        wrappers={v.version: checked(v, custody(v).wrapper) for v in of(KeyPurpose.KEY_ENCRYPTION)},
        hashes={purpose: {v.version: checked(v, custody(v).keyed_hash) for v in of(purpose)} for purpose in HASHING},
        signers={v.version: checked(v, custody(v).signer) for v in of(KeyPurpose.BATCH_SIGNING)},
        openers={v.version: checked(v, custody(v).opener) for v in of(KeyPurpose.PIN_SEALING)},
    )


def check_value(custody: Custody, name: KeyName, uri: str) -> bytes:
    """The public value that tells this key from another, made by the key itself."""
    match name.purpose:
        case KeyPurpose.KEY_ENCRYPTION:
            return custody.wrapper(name, uri).check()
        case KeyPurpose.BLIND_INDEX | KeyPurpose.CARD_TOKEN | KeyPurpose.PIN:
            return custody.keyed_hash(name, uri).check()
        case KeyPurpose.BATCH_SIGNING:
            return custody.signer(name, uri).check()
        case KeyPurpose.PIN_SEALING:
            return custody.opener(name, uri).check()


def name_of(file: RingFile, version: KeyVersion) -> KeyName:
    """What custodies call a version."""
    return KeyName(file.deployment_id, version.purpose, version.version)
