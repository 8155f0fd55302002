"""Keys held in this process's memory, behind the interfaces that hardware answers too. None shows its bytes."""

from contextlib import suppress

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.custody import CHECK_BYTES, HASH_CHECK_MESSAGE, WRAP_CHECK_KEY
from keys.errors import SealBroken


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
        return self.wrap(WRAP_CHECK_KEY)[-CHECK_BYTES:]


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
        return self.digest(HASH_CHECK_MESSAGE)[:CHECK_BYTES]


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
