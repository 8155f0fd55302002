"""Whom a certificate names, judged with nothing but the public keys of authorities."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import CertificateBroken, authority_public_keys, create_authority, issue
from keys.issuer import issued_to

DOMAIN = "coalition.example"
TILL = f"spiffe://{DOMAIN}/t/cafe/main/till-1"
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def certificate(key: object, issuer: object, *uris: str) -> bytes:
    """A certificate of `key` that `issuer` signed (PEM)."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(1))  # type: ignore[attr-defined]
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    digest = None if isinstance(issuer, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(issuer, digest).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "authority",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "Ed25519", "RSA"],
)
def test_the_key_of_who_issued_it_says_whom_a_certificate_names(authority: object) -> None:
    pinned = authority_public_keys(certificate(authority, authority))
    other = authority_public_keys(certificate(ec.generate_private_key(ec.SECP256R1()), authority))
    till = certificate(ec.generate_private_key(ec.SECP256R1()), authority, TILL)

    assert "/t/cafe/main/till-1" == issued_to(till, pinned, DOMAIN)
    assert "/t/cafe/main/till-1" == issued_to(till, other + pinned, DOMAIN)
    assert None is issued_to(till, other, DOMAIN)
    assert None is issued_to(till, [], DOMAIN)
    assert None is issued_to(till, pinned, "other.example")
    assert None is issued_to(till, [b"no key"], DOMAIN)


def test_what_names_nobody_or_two_is_issued_to_nobody() -> None:
    authority = ec.generate_private_key(ec.SECP256R1())
    pinned = authority_public_keys(certificate(authority, authority))
    for uris in ((), (TILL, TILL), ("https://coalition.example/t/a/b/c",)):
        assert None is issued_to(certificate(authority, authority, *uris), pinned, DOMAIN)
    for text in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"A" * 20_000):
        assert None is issued_to(text, pinned, DOMAIN)


def test_a_signature_of_an_algorithm_that_nobody_knows_is_nobodys() -> None:
    """A damaged certificate must not stop who reads a thousand of them."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = x509.load_pem_x509_certificate(certificate(key, key, TILL)).public_bytes(Encoding.DER)
    sha256_with_ecdsa = bytes.fromhex("06082a8648ce3d040302")
    unknown = bytes.fromhex("060829e648ce3d040302")
    damaged = x509.load_der_x509_certificate(der.replace(sha256_with_ecdsa, unknown))
    pinned = [key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)]

    assert issued_to(damaged.public_bytes(Encoding.PEM), pinned, DOMAIN) is None


def test_a_file_of_several_authorities_pins_each_once(tmp_path: Path) -> None:
    chains = []
    for name in ("one", "two"):
        create_authority(tmp_path / name, DOMAIN)
        files = issue(tmp_path / name, TILL, days=1)
        chains.append((files.chain.read_bytes(), files.cert.read_bytes()))
    pinned = authority_public_keys(chains[0][0] + chains[1][0] + chains[0][0])

    assert 2 == len(pinned)
    assert ["/t/cafe/main/till-1"] * 2 == [issued_to(cert, pinned, DOMAIN) for _, cert in chains]
    with pytest.raises(CertificateBroken):
        authority_public_keys(b"nothing")
