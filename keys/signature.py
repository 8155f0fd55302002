"""Checking Ed25519 signatures. Needs no key ring: this is what an auditor runs."""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PUBLIC_KEYS_KEPT = 64


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` is by the holder of `public_key` (32 raw bytes).

    Malformed keys and signatures are answered False; nothing is raised.
    """
    try:
        _public_key(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=PUBLIC_KEYS_KEPT)
def _public_key(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def public_key_pem(public_key: bytes, kind: str = "Ed25519") -> str:
    """An Ed25519 or X25519 key (32 raw bytes) as PEM SubjectPublicKeyInfo (RFC 8410), as other tools read it."""
    kinds: dict[str, type[Ed25519PublicKey | X25519PublicKey]]
    kinds = {"Ed25519": Ed25519PublicKey, "X25519": X25519PublicKey}
    key = kinds[kind].from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
