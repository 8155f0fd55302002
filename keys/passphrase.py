"""A ring's passphrase: it opens a file key, and the file key opens the key files.

Argon2id stretches the passphrase (RFC 9106, second recommended choice: 64 MiB, 3 passes, 4 lanes) to a key that seals
the random file key. So changing the passphrase rewrites the ring file alone, in one step, and no key file.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.errors import PassphraseMissing, PassphraseWeak, PassphraseWrong
from keys.labelled import labelled
from keys.private_files import read_private
from keys.randomness import Random, draw

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
SEALED_BYTES: Final = NONCE_BYTES + KEY_BYTES + 16
CHARACTERS_MIN: Final = 15
"""NIST SP 800-63B-4, 3.1.1.2: what is the only factor has at least 15 characters."""
MEMORY_KIB: Final = 65_536
MEMORY_KIB_MAX: Final = 4_194_304
PASSES: Final = 3
LANES: Final = 4

Passphrase: TypeAlias = Callable[[], str]
"""Answers the passphrase when a ring has one: reads a file, or asks at the keyboard."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What the ring file keeps of its passphrase: how it is stretched, and the file key sealed by it."""

    salt: bytes
    memory_kib: int
    passes: int
    lanes: int
    sealed: bytes = field(repr=False)

    def is_sound(self) -> bool:
        """Whether the numbers are such as we write: a ring file must not make us spend an hour or all memory."""
        return (
            len(self.salt) == SALT_BYTES
            and len(self.sealed) == SEALED_BYTES
            and 8 * self.lanes <= self.memory_kib <= MEMORY_KIB_MAX
            and 1 <= self.passes <= 16 * PASSES
            and 1 <= self.lanes <= 16 * LANES
        )


def lock(passphrase: str, file_key: bytes, deployment_id: UUID, random: Random) -> Lock:
    """Seal the file key under the passphrase. Raises PassphraseWeak for one of fewer than 15 characters."""
    if len(normalized(passphrase)) < CHARACTERS_MIN:
        raise PassphraseWeak(CHARACTERS_MIN)
    salt, nonce = draw(random, SALT_BYTES), draw(random, NONCE_BYTES)
    made = Lock(salt, MEMORY_KIB, PASSES, LANES, b"")
    sealed = nonce + AESGCM(_stretched(made, passphrase)).encrypt(nonce, file_key, _context(made, deployment_id))
    return Lock(salt, MEMORY_KIB, PASSES, LANES, sealed)


def unlock(path: Path, locked: Lock, passphrase: str, deployment_id: UUID) -> bytes:
    """The file key of the ring file at `path`. Raises PassphraseWrong. Takes half a second, on purpose."""
    nonce, sealed = locked.sealed[:NONCE_BYTES], locked.sealed[NONCE_BYTES:]
    try:
        return AESGCM(_stretched(locked, passphrase)).decrypt(nonce, sealed, _context(locked, deployment_id))
    except InvalidTag:
        raise PassphraseWrong(path) from None


def read_passphrase(path: Path) -> str:
    """The passphrase in a file (0600 or refused), without the end of its line.

    Raises PassphraseMissing for an empty one, and the errors of a key file.
    """
    content = read_private(path, "write the passphrase into it, mode 0600")
    passphrase = content.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not passphrase:
        raise PassphraseMissing(path)
    return passphrase


def normalized(passphrase: str) -> str:
    """One form for each text, however the keyboard composed it (RFC 8265, 4.2.2, asks for NFC)."""
    return unicodedata.normalize("NFC", passphrase)


def _stretched(locked: Lock, passphrase: str) -> bytes:
    stretcher = Argon2id(
        salt=locked.salt,
        length=KEY_BYTES,
        iterations=locked.passes,
        lanes=locked.lanes,
        memory_cost=locked.memory_kib,
    )
    return stretcher.derive(normalized(passphrase).encode("utf-8", "surrogateescape"))


def _context(locked: Lock, deployment_id: UUID) -> bytes:
    numbers = (str(number) for number in (locked.memory_kib, locked.passes, locked.lanes))
    return labelled(b"coalition key ring passphrase 1", deployment_id.bytes, locked.salt, *numbers)
