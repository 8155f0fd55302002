"""Where a key lives. A key is named by a URI and used through four small interfaces; callers never hold its bytes.

`file:NAME` is a raw 32-byte file beside the ring file, 0600 or refused. Hardware and cloud custody answer the same
interfaces under their own schemes.
"""

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.errors import CustodyUnknown, KeyFileBroken, SealBroken
from keys.private_files import read_private
from keys.sealed_box import BoxOpener

SECRET_BYTES = 32
CHECK_BYTES = 8


class KeyWrapper(Protocol):
    """A key-encryption key."""

    def wrap(self, key: bytes) -> bytes:
        """The key, encrypted."""

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


class AesKeyWrapper:
    """AES-256 key wrap with padding (RFC 5649), as hardware modules do it: deterministic, so no nonce can repeat."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def wrap(self, key: bytes) -> bytes:
        """The key, encrypted, 8 bytes longer."""
        return keywrap.aes_key_wrap_with_padding(self._secret, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The key again. Raises SealBroken when it was wrapped by another key or was changed."""
        key = None
        with suppress(keywrap.InvalidUnwrap, ValueError):
            key = keywrap.aes_key_unwrap_with_padding(self._secret, wrapped)
        # Raised outside the handler: the error must not carry the cause that tells which check failed.
        if key is None:
            raise SealBroken
        return key

    def check(self) -> bytes:
        """The end of a wrapped constant: says nothing of the key, and hardware can compute it too."""
        return self.wrap(b"coalition keyring check value 1\0")[-CHECK_BYTES:]


class HmacSha256:
    """HMAC-SHA-256. The key is taken in once and never changed: every digest is a copy that goes on from there."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes) -> None:
        self._keyed = HMAC(secret, SHA256())

    def digest(self, message: bytes) -> bytes:
        """32 bytes."""
        fresh = self._keyed.copy()
        fresh.update(message)
        return fresh.finalize()

    def check(self) -> bytes:
        """A short hash under a label no other message begins with."""
        return self.digest(b"coalition keyring check value 1")[:CHECK_BYTES]


class Ed25519Signer:
    """Ed25519 (RFC 8032), the key object made once."""

    __slots__ = ("_private_key", "_public_key")

    def __init__(self, secret: bytes) -> None:
        self._private_key = Ed25519PrivateKey.from_private_bytes(secret)
        self._public_key = self._private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        return self._private_key.sign(message)

    def check(self) -> bytes:
        """The public key, 32 raw bytes."""
        return self._public_key


class FileCustody:
    """Keys as raw files of one directory."""

    SCHEME = "file:"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def wrapper(self, uri: str) -> KeyWrapper:
        """The key-encryption key of that URI."""
        return AesKeyWrapper(self._secret(uri))

    def keyed_hash(self, uri: str) -> KeyedHash:
        """The hashing key of that URI."""
        return HmacSha256(self._secret(uri))

    def signer(self, uri: str) -> Signer:
        """The signing key of that URI."""
        return Ed25519Signer(self._secret(uri))

    def opener(self, uri: str) -> Opener:
        """The box key of that URI."""
        return BoxOpener(self._secret(uri))

    def _secret(self, uri: str) -> bytes:
        if not uri.startswith(self.SCHEME):
            raise CustodyUnknown(uri)
        path = self._directory / uri.removeprefix(self.SCHEME)
        secret = read_private(path, "restore it from the backup of the key directory")
        if len(secret) != SECRET_BYTES:
            raise KeyFileBroken(path, f"has {len(secret)} bytes, a key file has {SECRET_BYTES}")
        return secret
