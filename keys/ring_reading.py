"""How a ring is read from its directory: its file, what opens its key files, what its keys are asked for most often."""

from pathlib import Path

from keys import private_files, ring_file
from keys.errors import PassphraseMissing
from keys.index_plan import BITS_DEFAULT
from keys.passphrase import Passphrase, unlock
from keys.ring_file import KeyPurpose, RingFile
from keys.ring_keys import RingKeys

MAKE_RING = "make a ring with: python -m keys init"


def read_ring_file(directory: Path) -> RingFile:
    """The ring file of a key directory. Raises KeyFileMissing (with the command that makes one) and its kin."""
    cure = f"{MAKE_RING} {directory}"
    private_files.check_directory(directory, cure)
    path = directory / ring_file.NAME
    return ring_file.parse(path, private_files.read_private(path, cure))


def file_key(directory: Path, file: RingFile, passphrase: Passphrase | None) -> bytes | None:
    """What opens the key files of a ring that has a passphrase; None for one without."""
    if file.lock is None:
        return None
    path = directory / ring_file.NAME
    if passphrase is None:
        raise PassphraseMissing(path)
    return unlock(path, file.lock, passphrase(), file.deployment_id)


def primary_version(file: RingFile, purpose: KeyPurpose) -> int:
    """The version that new things are made with, of a purpose that every ring has."""
    return next(version.version for version in file.of(purpose) if version.primary)


def index_versions(file: RingFile, keys: RingKeys) -> tuple[tuple[int, int], ...]:
    """The enabled versions of the blind index with their bits, the primary first."""
    enabled = [each for each in file.of(KeyPurpose.BLIND_INDEX) if each.version in keys.hashes[KeyPurpose.BLIND_INDEX]]
    enabled.sort(key=lambda each: not each.primary)
    return tuple((each.version, each.index_bits or BITS_DEFAULT) for each in enabled)


def directory_stamp(directory: Path) -> tuple[int, int, int] | None:
    """Tells a directory from what it was before; None where there is no ring."""
    try:
        status = (directory / ring_file.NAME).stat()
        return status.st_ino, status.st_mtime_ns, directory.stat().st_mtime_ns
    except OSError:
        return None
