"""Making keys: a whole ring, the key an older ring does not have yet, the next version of one. Never overwrites any."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from keys import file_custody, private_files, ring_file
from keys.custodians import Custodians
from keys.custody import KeyName
from keys.errors import KeyChangeRefused, KeyFileExists, KeyMissing, KeysError
from keys.index_plan import MEMBERS_DEFAULT, planned_bits
from keys.passphrase import KEY_BYTES, Passphrase, lock
from keys.randomness import Random, draw
from keys.ring import KeyRing
from keys.ring_file import KeyPurpose, KeyState, KeyVersion, RingFile
from keys.ring_keys import check_value
from keys.ring_reading import MAKE_RING, file_key, read_ring_file
from keys.suites import RecordSuite

NOT_ROTATED: Final = {
    KeyPurpose.CARD_TOKEN: "cannot be rotated: card numbers are not stored, so their tokens cannot be made again",
}


def create_ring(
    directory: Path,
    *,
    random: Random,
    create_time: datetime | None = None,
    place: str = file_custody.SCHEME,
    passphrase: Passphrase | None = None,
    suite: RecordSuite = RecordSuite.AES,
    members: int = MEMBERS_DEFAULT,
) -> KeyRing:
    """Make a ring with version 1 of every key in `directory` (made 0700 when missing) and load it.

    `place` is where its keys are made: `file:`, or the URI of a hardware module or cloud key (keys/custody.py). With a
    passphrase its key files are sealed. Its blind index is as long as so many `members` need (keys/index_plan.py).
    Existing keys are never overwritten: raises KeyFileExists and changes nothing, PassphraseWeak, CustodyRefused. What
    an error interrupts is removed.
    """
    private_files.make_directory(directory)
    ring_path = directory / ring_file.NAME
    for path in (ring_path, *(path for purpose in KeyPurpose for path in _files(directory, purpose, 1))):
        if path.exists():
            raise KeyFileExists(path)
    # Everything that may be refused comes before the first key.
    deployment_id = UUID(bytes=draw(random, 16), version=4)
    key = draw(random, KEY_BYTES) if passphrase else None
    locked = lock(passphrase(), key, deployment_id, random) if passphrase and key else None
    custodians = Custodians(directory, key)
    versions: list[KeyVersion] = []
    try:
        for purpose in KeyPurpose:
            name = KeyName(deployment_id, purpose, 1)
            versions.append(_made(custodians, name, place, random, create_time, primary=True, members=members))
        # The ring file comes last: a directory with one is complete.
        file = RingFile(deployment_id, tuple(versions), locked, suite)
        private_files.write_new(ring_path, ring_file.render(file))
    except BaseException:
        _undo(custodians, deployment_id, versions)
        raise
    return KeyRing.load(directory, random=random, passphrase=passphrase)


def add_key(
    directory: Path,
    purpose: KeyPurpose,
    *,
    random: Random,
    create_time: datetime | None = None,
    place: str = file_custody.SCHEME,
    passphrase: Passphrase | None = None,
) -> KeyVersion:
    """Make version 1 of a purpose the ring of `directory` has no key for, and answer it.

    Raises KeyChangeRefused, and changes nothing, when the ring has one; else what `create_ring` does.
    """
    private_files.check_directory(directory, f"{MAKE_RING} {directory}")
    with private_files.locked(directory):
        file = read_ring_file(directory)
        if file.of(purpose):
            raise KeyChangeRefused(purpose.value, 1, f"is there; for a new version: python -m keys rotate {purpose}")
        return _add(directory, file, KeyName(file.deployment_id, purpose, 1), place, random, create_time, passphrase)


def rotate_key(
    directory: Path,
    purpose: KeyPurpose,
    *,
    random: Random,
    create_time: datetime | None = None,
    place: str = file_custody.SCHEME,
    passphrase: Passphrase | None = None,
    members: int = MEMBERS_DEFAULT,
) -> KeyVersion:
    """Make the next version of a purpose, the one new things are made with, and answer it. The old ones stay ENABLED.

    Of the blind index the new version, as long as `members` need, is not primary yet: every server must know it before
    members are indexed by it, then `set_primary` follows. Raises KeyChangeRefused for a purpose that cannot be rotated,
    KeyMissing, and what `create_ring` does.
    """
    private_files.check_directory(directory, f"{MAKE_RING} {directory}")
    if purpose in NOT_ROTATED:
        raise KeyChangeRefused(purpose.value, 1, NOT_ROTATED[purpose])
    with private_files.locked(directory):
        file = read_ring_file(directory)
        versions = file.of(purpose)
        if not versions:
            raise KeyMissing(purpose.value, directory)
        name = KeyName(file.deployment_id, purpose, versions[-1].version + 1)
        return _add(directory, file, name, place, random, create_time, passphrase, members)


def set_record_suite(directory: Path, suite: RecordSuite) -> None:
    """Seal new records with that suite; both are opened. Raises the errors of a key directory."""
    private_files.check_directory(directory, f"{MAKE_RING} {directory}")
    with private_files.locked(directory):
        file = read_ring_file(directory)
        private_files.replace(directory / ring_file.NAME, ring_file.render(replace(file, suite=suite)))


def _add(
    directory: Path,
    file: RingFile,
    name: KeyName,
    place: str,
    random: Random,
    create_time: datetime | None,
    passphrase: Passphrase | None,
    members: int = MEMBERS_DEFAULT,
) -> KeyVersion:
    for path in _files(directory, name.purpose, name.version):
        if path.exists():
            raise KeyFileExists(path)
    custodians = Custodians(directory, file_key(directory, file, passphrase))
    primary = not file.of(name.purpose) or name.purpose is not KeyPurpose.BLIND_INDEX
    version = _made(custodians, name, place, random, create_time, primary=primary, members=members)
    try:
        others = tuple(
            replace(other, primary=False) if primary and other.purpose is name.purpose else other
            for other in file.versions
        )
        changed = replace(file, versions=(*others, version))
        private_files.replace(directory / ring_file.NAME, ring_file.render(changed))
    except BaseException:
        _undo(custodians, file.deployment_id, [version])
        raise
    return version


def _made(
    custodians: Custodians,
    name: KeyName,
    place: str,
    random: Random,
    create_time: datetime | None,
    *,
    primary: bool,
    members: int,
) -> KeyVersion:
    bits = planned_bits(members) if name.purpose is KeyPurpose.BLIND_INDEX else None
    custody = custodians.of(place)
    uri = custody.make(name, place, random)
    try:
        check = check_value(custody, name, uri)
    except BaseException:
        with suppress(OSError, KeysError):
            custody.destroy(name, uri)
        raise
    return KeyVersion(name.purpose, name.version, KeyState.ENABLED, primary, uri, check, create_time, index_bits=bits)


def _undo(custodians: Custodians, deployment_id: UUID, versions: list[KeyVersion]) -> None:
    for version in versions:
        with suppress(OSError, KeysError):
            custodians.of(version.uri).destroy(KeyName(deployment_id, version.purpose, version.version), version.uri)


def _files(directory: Path, purpose: KeyPurpose, version: int) -> list[Path]:
    """Every file a version of that number could have, whatever its custody."""
    suffixes = (file_custody.PLAIN_SUFFIX, file_custody.SEALED_SUFFIX, ".wrapped")
    return [directory / f"{purpose.value}-{version}{suffix}" for suffix in suffixes]
