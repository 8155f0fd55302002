"""Statements signed with a certificate's key: a terminal cannot deny its day close, nobody else can make one."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys import (
    CertificateBroken,
    CertificateFiles,
    StatementForged,
    check_statement,
    create_authority,
    issue,
    load_statement_key,
    sign_statement,
)
from keys.errors import KeyFileBroken, KeyFileMissing, PermissionsTooOpen

BODY = b"terminal 7, 42 entries, total 1234 fen"
TILL = "spiffe://coalition.example/t/cafe/main/till-1"


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    directory = tmp_path_factory.mktemp("statement") / "authority"
    create_authority(directory, "coalition.example")
    return issue(directory, TILL, days=7)


def self_signed(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    name, now = x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, hashed).public_bytes(Encoding.DER)


def test_a_statement_signed_with_a_terminals_key_holds_under_its_certificate_as_pem_and_der(till: CertificateFiles):
    signature = sign_statement(load_statement_key(till.key), "terminal-day", BODY)
    pem = till.cert.read_bytes()
    check_statement(pem, "terminal-day", BODY, signature)
    check_statement(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER), "terminal-day", BODY, signature)
    assert len(signature) <= 72


def test_signing_a_day_again_gives_the_same_bytes(till: CertificateFiles):
    """A close that is sent again after a lost answer is the same close."""
    key = load_statement_key(till.key)
    assert 1 == len({sign_statement(key, "terminal-day", BODY) for _ in range(5)})


def test_an_ed25519_certificate_signs_too():
    key = ed25519.Ed25519PrivateKey.generate()
    signature = sign_statement(key, "terminal-day", BODY)
    check_statement(self_signed(key), "terminal-day", BODY, signature)
    with pytest.raises(StatementForged):
        check_statement(self_signed(key), "terminal-day", BODY + b"0", signature)


def test_openssl_signs_and_verifies_the_same_bytes(till: CertificateFiles, tmp_path: Path):
    """A terminal in another language needs nothing of ours: label, lengths, ECDSA."""
    kind = b"terminal-day"
    message = b"coalition statement 1" + b"".join(len(part).to_bytes(4, "big") + part for part in (kind, BODY))
    (tmp_path / "message").write_bytes(message)
    signed = ["openssl", "dgst", "-sha256", "-sign", str(till.key), "-out", "signature", "message"]
    subprocess.run(signed, check=True, timeout=60, cwd=tmp_path)
    check_statement(till.cert.read_bytes(), "terminal-day", BODY, (tmp_path / "signature").read_bytes())


def test_a_signature_is_good_for_one_kind_one_body_and_one_key(till: CertificateFiles):
    signature, certificate = sign_statement(load_statement_key(till.key), "terminal-day", BODY), till.cert.read_bytes()
    stranger = ec.generate_private_key(ec.SECP256R1())
    raw = stranger.sign(BODY, ec.ECDSA(SHA256()))
    for bad in (
        (certificate, "terminal-dax", BODY, signature),
        (certificate, "terminal", b"-day" + BODY, signature),
        (certificate, "terminal-day", BODY + b"\0", signature),
        (certificate, "terminal-day", b"", signature),
        (self_signed(stranger), "terminal-day", BODY, signature),
        (certificate, "terminal-day", BODY, sign_statement(stranger, "terminal-day", BODY)),
        (self_signed(stranger), "terminal-day", BODY, raw),
    ):
        with pytest.raises(StatementForged, match="terminal"):
            check_statement(*bad)


def test_every_flipped_bit_and_every_cut_of_a_signature_is_found(till: CertificateFiles):
    signature, certificate = sign_statement(load_statement_key(till.key), "terminal-day", BODY), till.cert.read_bytes()
    damaged = [
        signature[:place] + bytes([signature[place] ^ 1 << bit]) + signature[place + 1 :]
        for place in range(len(signature))
        for bit in range(8)
    ]
    damaged += [signature[:length] for length in range(len(signature))] + [signature + b"\0", bytes(100_000)]
    for bad in damaged:
        with pytest.raises(StatementForged):
            check_statement(certificate, "terminal-day", BODY, bad)


def test_what_is_no_certificate_of_ours_is_refused_by_what_is_wrong_with_it(till: CertificateFiles):
    for bad, sentence in (
        (b"", "neither DER nor PEM"),
        (b"-----BEGIN CERTIFICATE-----\n", "neither DER nor PEM"),
        (till.key.read_bytes(), "neither DER nor PEM"),
        (os.urandom(500), "neither DER nor PEM"),
        (till.cert.read_bytes() * 50, "at most 16384 are read"),
        (self_signed(ec.generate_private_key(ec.SECP384R1())), "P-256 or an Ed25519"),
        (self_signed(rsa.generate_private_key(65537, 2048)), "P-256 or an Ed25519"),
    ):
        with pytest.raises(CertificateBroken, match=sentence):
            check_statement(bad, "terminal-day", BODY, b"")


@pytest.mark.parametrize("kind", ["", "x" * 65])
def test_a_kind_has_1_to_64_bytes(till: CertificateFiles, kind: str):
    with pytest.raises(ValueError, match="kind must have 1 to 64 bytes"):
        sign_statement(load_statement_key(till.key), kind, BODY)


def test_a_key_that_is_missing_open_or_of_another_kind_is_refused(till: CertificateFiles, tmp_path: Path):
    with pytest.raises(KeyFileMissing, match="python -m keys certificate"):
        load_statement_key(tmp_path / "private.key")
    path = tmp_path / "private.key"
    path.touch(0o600)
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content, sentence in (
        (b"", "not an unencrypted PEM"),
        (till.cert.read_bytes(), "not an unencrypted PEM"),
        (rsa.generate_private_key(65537, 2048).private_bytes(*pem), "P-256 or an Ed25519"),
        (ec.generate_private_key(ec.SECP384R1()).private_bytes(*pem), "P-256 or an Ed25519"),
    ):
        path.write_bytes(content)
        with pytest.raises(KeyFileBroken, match=sentence):
            load_statement_key(path)
    path.chmod(0o644)
    with pytest.raises(PermissionsTooOpen):
        load_statement_key(path)
