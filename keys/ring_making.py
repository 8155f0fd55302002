"""Making keys: a whole ring, or the key of a purpose that an older ring does not have yet. Never overwrites one."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from keys import private_files, ring_file
from keys.custody import SECRET_BYTES, FileCustody
from keys.errors import KeyFileExists
from keys.randomness import Random, draw
from keys.ring import MAKE_RING, KeyRing, read_ring_file
from keys.ring_file import KeyPurpose, KeyState, KeyVersion, RingFile
from keys.ring_keys import open_key


def create_ring(directory: Path, *, random: Random, create_time: datetime | None = None) -> KeyRing:
    """Make a ring with version 1 of every key in `directory` (made 0700 when missing) and load it.

    Existing keys are never overwritten: raises KeyFileExists and changes nothing. What an error interrupts is removed.
    """
    private_files.make_directory(directory)
    ring_path = directory / ring_file.NAME
    paths = {purpose: key_path(directory, purpose, 1) for purpose in KeyPurpose}
    for path in (ring_path, *paths.values()):
        if path.exists():
            raise KeyFileExists(path)
    written: list[Path] = []
    try:
        for path in paths.values():
            secret = draw(random, SECRET_BYTES)
            private_files.write_new(path, secret)
            written.append(path)
        custody = FileCustody(directory)
        versions = tuple(_first_version(custody, purpose, path, create_time) for purpose, path in paths.items())
        file = RingFile(UUID(bytes=draw(random, 16), version=4), versions)
        # The ring file comes last: a directory with one is complete.
        private_files.write_new(ring_path, ring_file.render(file))
    except BaseException:
        with suppress(OSError):
            for path in written:
                path.unlink()
        raise
    return KeyRing.load(directory, random=random)


def add_key(directory: Path, purpose: KeyPurpose, *, random: Random, create_time: datetime | None = None) -> KeyVersion:
    """Make version 1 of a purpose the ring of `directory` has no key for, and answer it.

    Raises KeyFileExists, and changes nothing, when the ring has one; else the errors of a key directory.
    """
    private_files.check_directory(directory, f"{MAKE_RING} {directory}")
    with private_files.locked(directory):
        file = read_ring_file(directory)
        path = key_path(directory, purpose, 1)
        if path.exists() or any(version.purpose is purpose for version in file.versions):
            raise KeyFileExists(path)
        private_files.write_new(path, draw(random, SECRET_BYTES))
        try:
            version = _first_version(FileCustody(directory), purpose, path, create_time)
            file = replace(file, versions=(*file.versions, version))
            private_files.replace(directory / ring_file.NAME, ring_file.render(file))
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
    return version


def key_path(directory: Path, purpose: KeyPurpose, version: int) -> Path:
    """The file of a key version kept as a file."""
    return directory / f"{purpose.value}-{version}.key"


def _first_version(custody: FileCustody, purpose: KeyPurpose, path: Path, create_time: datetime | None) -> KeyVersion:
    uri = FileCustody.SCHEME + path.name
    return KeyVersion(
        purpose=purpose,
        version=1,
        state=KeyState.ENABLED,
        primary=True,
        uri=uri,
        check=open_key(custody, purpose, uri).check(),
        create_time=create_time,
    )
