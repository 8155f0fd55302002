"""Whom a certificate names, if one of some authorities issued it: for whoever has only these authorities' public keys.

It is not checked here whether the certificate was valid at some time, or revoked.
"""

from collections.abc import Sequence
from contextlib import suppress

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from keys.errors import CertificateBroken, SpiffeError
from keys.spiffe import parse_spiffe
from keys.statement import CERTIFICATE_BYTES_MAX


def authority_public_keys(certificates: bytes) -> list[bytes]:
    """The public keys (SubjectPublicKeyInfo, DER) of authorities' certificates (PEM, one or more), each once.

    Raises CertificateBroken.
    """
    try:
        keys = [each.public_key() for each in x509.load_pem_x509_certificates(certificates)]
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise CertificateBroken("is no PEM certificate of an authority") from None
    told = (key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in keys)
    return list(dict.fromkeys(told))


def issued_to(certificate: bytes, authorities: Sequence[bytes], trust_domain: str) -> str | None:
    """The path that a certificate (PEM) names, such as "/t/cafe/main/till-1"; None where no authority issued it.

    `authorities` are public keys as `authority_public_keys` gives them; P-256, Ed25519 and RSA sign certificates. None
    too for what is no certificate, or names no identity of the trust domain.
    """
    with suppress(CertificateBroken, SpiffeError, x509.ExtensionNotFound, ValueError):
        leaf = _certificate(certificate)
        if any(_is_issued(leaf, authority) for authority in authorities):
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
            return "/" + "/".join(parse_spiffe(uris, trust_domain))
    return None


def _is_issued(leaf: x509.Certificate, authority: bytes) -> bool:
    try:
        message, signature, digest = leaf.tbs_certificate_bytes, leaf.signature, leaf.signature_hash_algorithm
        key = load_der_public_key(authority)
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, message, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, message, padding.PKCS1v15(), digest)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _certificate(certificate: bytes) -> x509.Certificate:
    if len(certificate) > CERTIFICATE_BYTES_MAX:
        raise CertificateBroken(f"has {len(certificate)} bytes, at most {CERTIFICATE_BYTES_MAX} are read")
    try:
        return x509.load_pem_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise CertificateBroken("is no PEM certificate") from None
