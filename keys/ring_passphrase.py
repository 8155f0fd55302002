"""Giving a ring a passphrase, or another one. A ring never loses its passphrase again."""

from dataclasses import replace
from pathlib import Path

from keys import private_files, ring_file
from keys.file_custody import PLAIN_SUFFIX, SCHEME, SEALED_SUFFIX, FileCustody
from keys.passphrase import KEY_BYTES, Passphrase, lock
from keys.randomness import Random, draw
from keys.ring_file import KeyState, KeyVersion, RingFile
from keys.ring_keys import name_of
from keys.ring_reading import MAKE_RING, file_key, read_ring_file


def set_passphrase(directory: Path, new: Passphrase, *, old: Passphrase | None = None, random: Random) -> None:
    """Seal the key files of a ring that had none, or change the passphrase of one that has; `old` opens the latter.

    Cut off at any moment the ring still loads, with the old passphrase or the new; asked again it is finished, and no
    unsealed file is left. Copies of the directory made before still open as they did. Raises PassphraseWeak,
    PassphraseWrong, PassphraseMissing, and the errors of a key directory.
    """
    private_files.check_directory(directory, f"{MAKE_RING} {directory}")
    with private_files.locked(directory):
        file = read_ring_file(directory)
        key = file_key(directory, file, old)
        versions = file.versions
        if key is None:
            key = draw(random, KEY_BYTES)
            locked = lock(new(), key, file.deployment_id, random)
            versions = tuple(_sealed(directory, file, version, key, random) for version in file.versions)
        else:
            locked = lock(new(), key, file.deployment_id, random)
        changed = replace(file, versions=versions, lock=locked)
        private_files.replace(directory / ring_file.NAME, ring_file.render(changed))
        for version in changed.versions:
            if version.uri.startswith(SCHEME) and version.uri.endswith(SEALED_SUFFIX):
                stem = version.uri.removeprefix(SCHEME).removesuffix(SEALED_SUFFIX)
                (directory / (stem + PLAIN_SUFFIX)).unlink(missing_ok=True)
        private_files.sync_directory(directory)


def _sealed(directory: Path, file: RingFile, version: KeyVersion, key: bytes, random: Random) -> KeyVersion:
    """The version with its file sealed anew beside the old one; versions of other custodies stay as they are."""
    if version.state is KeyState.DESTROYED or not version.uri.startswith(SCHEME):
        return version
    name = name_of(file, version)
    # One that an earlier try left behind was sealed under a key nobody has: no ring file ever named it.
    (directory / (name.stem + SEALED_SUFFIX)).unlink(missing_ok=True)
    uri = FileCustody(directory, key).put(name, SCHEME, FileCustody(directory).secret(name, version.uri), random)
    return replace(version, uri=uri)
