"""Statements: bytes signed with the private key of a certificate, such as a terminal's day close.

The key is the one its holder also makes TLS connections with, so what is signed here begins with a label that TLS never
signs, and with the kind of statement: a signature taken from one place is worth nothing in another.

    signed message = "coalition statement 1" | kind | body, the two with their lengths (labelled)

ECDSA over P-256 with SHA-256, deterministic (RFC 6979), DER encoded; or Ed25519. It is not checked here who issued the
certificate, whether it was valid or revoked, or whom it names: that is for whoever asks.
"""

from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keys.errors import CertificateBroken, KeyFileBroken, StatementForged
from keys.labelled import labelled
from keys.private_files import read_private
from keys.record import check_name

LABEL: Final = b"coalition statement 1"
CERTIFICATE_BYTES_MAX: Final = 16_384
SIGNATURE_BYTES_MAX: Final = 72
"""A DER ECDSA signature of P-256; Ed25519 has 64."""

StatementKey: TypeAlias = ec.EllipticCurvePrivateKey | Ed25519PrivateKey


def check_statement(certificate: bytes, kind: str, body: bytes, signature: bytes) -> None:
    """Answer nothing when `signature` over this body, as this kind of statement, is by the certificate's key.

    `certificate` is DER or PEM (one). Raises CertificateBroken for what is no certificate or has a key we do not use,
    StatementForged when the signature is of another key, kind or body, or is no signature, ValueError for a kind not of
    1 to 64 bytes.
    """
    key = _public_key(certificate)
    message = _message(kind, body)
    holds = len(signature) <= SIGNATURE_BYTES_MAX
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        holds = False
    if not holds:
        raise StatementForged(kind)


def sign_statement(private_key: StatementKey, kind: str, body: bytes) -> bytes:
    """The signature, at most 72 bytes; the same statement gives the same bytes. Raises ValueError for a bad kind."""
    message = _message(kind, body)
    if isinstance(private_key, Ed25519PrivateKey):
        return private_key.sign(message)
    return private_key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))


def load_statement_key(path: Path) -> StatementKey:
    """The private key of a certificate, as `python -m keys certificate` wrote it: PEM, 0600 or refused.

    Raises KeyFileMissing, PermissionsTooOpen, KeyFileBroken.
    """
    content = read_private(path, "issue a certificate with: python -m keys certificate")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileBroken(path, "is not an unencrypted PEM private key") from None
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise KeyFileBroken(path, "must be a P-256 or an Ed25519 key")


def _public_key(certificate: bytes) -> ec.EllipticCurvePublicKey | Ed25519PublicKey:
    if len(certificate) > CERTIFICATE_BYTES_MAX:
        raise CertificateBroken(f"has {len(certificate)} bytes, at most {CERTIFICATE_BYTES_MAX} are read")
    try:
        if certificate.lstrip().startswith(b"-----BEGIN"):
            key = x509.load_pem_x509_certificate(certificate).public_key()
        else:
            key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise CertificateBroken("is neither DER nor PEM of a certificate") from None
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise CertificateBroken("must have a P-256 or an Ed25519 key")


def _message(kind: str, body: bytes) -> bytes:
    check_name("kind", kind)
    return labelled(LABEL, kind, body)
