"""Sealed boxes: anybody may seal to a public key, only its holder opens. A terminal's PIN, a phone's seed.

    version 1 | key id 8 | HPKE: encapsulated key 32, ciphertext, tag 16

HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message a box. Its info is
"coalition box 1" and the first nine bytes, then the context after its length of four bytes (big endian), so that a box
opens only where it was meant to. The key id is the beginning of the SHA-256 of the public key. Plaintext is padded
(ISO/IEC 7816-4) to steps of 64 bytes: a box does not tell how long a PIN is.

Who sealed a box is not known: the base mode authenticates no sender. Let the caller be known some other way.
"""

from contextlib import suppress
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.errors import BoxKeyBroken, PlaintextTooLong, SealBroken
from keys.labelled import labelled
from keys.record import pad, unpad

VERSION: Final = 1
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
HEADER_BYTES: Final = 1 + KEY_ID_BYTES
PLAINTEXT_BYTES_MAX: Final = 4096
SEALED_BYTES_MAX: Final = HEADER_BYTES + KEY_BYTES + PLAINTEXT_BYTES_MAX + 64 + 16
LABEL: Final = b"coalition box 1"

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class BoxOpener:
    """A private key that opens boxes. Callable from any thread."""

    __slots__ = ("_private_key", "_public_key")

    def __init__(self, secret: bytes) -> None:
        self._private_key = X25519PrivateKey.from_private_bytes(secret)
        self._public_key = self._private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def __reduce__(self) -> str:
        raise TypeError("a BoxOpener holds a private key and is never pickled")

    def check(self) -> bytes:
        """The public key, 32 raw bytes."""
        return self._public_key

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed to this key for this context. Raises SealBroken, whatever was wrong."""
        plaintext = self._opened(sealed, context)
        # Raised outside every handler and branch: the traceback must not tell which check failed either.
        if plaintext is None:
            raise SealBroken
        return plaintext

    def _opened(self, sealed: bytes, context: bytes) -> bytes | None:
        header = sealed[:HEADER_BYTES]
        if len(sealed) > SEALED_BYTES_MAX or header != _header(self._public_key):
            return None
        # ValueError is a public key in the box with which every secret would be zero.
        with suppress(InvalidTag, ValueError):
            return unpad(_SUITE.decrypt(sealed[HEADER_BYTES:], self._private_key, _info(header, context)))
        return None


def seal(public_key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Seal up to 4,096 bytes to the holder of `public_key` (32 bytes), for one context; never the same bytes twice.

    `context` says what the box belongs to (build it with `labelled`); it is not in the box, whoever opens it must know
    it. The library draws the one-use key from the system's randomness. Raises BoxKeyBroken, PlaintextTooLong.
    """
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise PlaintextTooLong(len(plaintext), PLAINTEXT_BYTES_MAX)
    header = _header(public_key)
    sealed = None
    with suppress(ValueError):
        key = X25519PublicKey.from_public_bytes(public_key)
        sealed = _SUITE.encrypt(pad(plaintext), key, _info(header, context))
    if sealed is None:
        raise BoxKeyBroken
    return header + sealed


def open_box(private_key: bytes, sealed: bytes, context: bytes) -> bytes:
    """What was sealed to the holder of `private_key` (32 bytes). Raises SealBroken; BoxKeyBroken for no key."""
    if len(private_key) != KEY_BYTES:
        raise BoxKeyBroken
    return BoxOpener(private_key).open(sealed, context)


def generate_box_key() -> tuple[bytes, bytes]:
    """A new pair for a device (private, public), 32 raw bytes each, from the system's randomness."""
    private_key = X25519PrivateKey.generate()
    return private_key.private_bytes_raw(), private_key.public_key().public_bytes_raw()


def public_box_key(private_key: bytes) -> bytes:
    """The public key (32 bytes) of a private one. Raises BoxKeyBroken for no key."""
    if len(private_key) != KEY_BYTES:
        raise BoxKeyBroken
    return BoxOpener(private_key).check()


def is_box_key(public_key: bytes) -> bool:
    """Whether boxes can be sealed to it."""
    with suppress(BoxKeyBroken):
        return len(public_key) == KEY_BYTES and bool(seal(public_key, b"", b""))
    return False


def key_id(public_key: bytes) -> bytes:
    """The 8 bytes a box names its key by."""
    return sha256(public_key).digest()[:KEY_ID_BYTES]


def sealed_to(sealed: bytes) -> bytes:
    """The key id a box carries; what it says is believed only once the box opens. Shorter for what is no box."""
    return sealed[1:HEADER_BYTES]


def _header(public_key: bytes) -> bytes:
    return bytes([VERSION]) + key_id(public_key)


def _info(header: bytes, context: bytes) -> bytes:
    return labelled(LABEL + header, context)
