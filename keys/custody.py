"""Where a key lives. A key is named by a URI and used through four small interfaces; callers never hold its bytes.

    file:NAME                     a file beside the ring file, 0600 or refused; sealed when the ring has a passphrase
    pkcs11:token=T;object=O?...   a key of a hardware module that never leaves it (RFC 7512)
    awskms:KEY_ARN?wrapped=NAME   a file beside the ring file that AWS KMS encrypted, opened when the ring is loaded

Every custody answers the same interface, and a ring may mix them: its ring file has a URI for each key version.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from keys.randomness import Random
from keys.ring_file import KeyPurpose

SECRET_BYTES: Final = 32
CHECK_BYTES: Final = 8
WRAP_CHECK_KEY: Final = b"coalition keyring check value 1\0"
HASH_CHECK_MESSAGE: Final = b"coalition keyring check value 1"


@dataclass(frozen=True, slots=True)
class KeyName:
    """Which key it is, wherever it lives."""

    deployment_id: UUID
    purpose: KeyPurpose
    version: int

    @property
    def stem(self) -> str:
        """What its files are called, before the dot."""
        return f"{self.purpose.value}-{self.version}"


class KeyWrapper(Protocol):
    """A key-encryption key."""

    def wrap(self, key: bytes) -> bytes:
        """The key (32 bytes), encrypted."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key again. Raises SealBroken."""

    def check(self) -> bytes:
        """A public value that tells this key from another."""


class KeyedHash(Protocol):
    """A key that hashes. Callable from any thread."""

    def digest(self, message: bytes) -> bytes:
        """HMAC-SHA-256 of the message, 32 bytes."""

    def check(self) -> bytes:
        """A public value that tells this key from another."""


class Signer(Protocol):
    """A key that signs. Callable from any thread."""

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""

    def check(self) -> bytes:
        """The public key, 32 raw bytes."""


class Opener(Protocol):
    """A key that opens sealed boxes. Callable from any thread."""

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed to this key for this context. Raises SealBroken."""

    def check(self) -> bytes:
        """The public key, 32 raw bytes."""


class Custody(ABC):
    """A place that keeps keys. Its methods raise CustodyRefused, or the errors of a key directory."""

    @abstractmethod
    def make(self, name: KeyName, place: str, random: Random) -> str:
        """Make a new key in `place` (a URI of this custody that names no key yet) and answer its URI.

        Never overwrites: raises KeyFileExists or CustodyRefused.
        """

    @abstractmethod
    def destroy(self, name: KeyName, uri: str) -> None:
        """Do away with the key for good; one that is gone already is no error."""

    @abstractmethod
    def wrapper(self, name: KeyName, uri: str) -> KeyWrapper:
        """The key-encryption key of that URI."""

    @abstractmethod
    def keyed_hash(self, name: KeyName, uri: str) -> KeyedHash:
        """The hashing key of that URI."""

    @abstractmethod
    def signer(self, name: KeyName, uri: str) -> Signer:
        """The signing key of that URI."""

    @abstractmethod
    def opener(self, name: KeyName, uri: str) -> Opener:
        """The box key of that URI."""
