"""The development certificate authority: P-256 certificates whose one URI name is the caller's identity.

For development and demonstrations: its key is a file. It reads and writes only its own directory, checks no
revocation, and decides no permission.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys import private_files
from keys.errors import AuthorityError, KeyFileBroken, KeyFileExists, SpiffeError
from keys.issued import Issued, record
from keys.spiffe import SCHEME, check_elements, is_trust_domain, parse_spiffe

Clock: TypeAlias = Callable[[], datetime]
"""Answers the present as an aware datetime. TLS peers compare certificates with the real time, so pass that."""

CERTIFICATE_NAME = "authority.pem"
KEY_NAME = "authority.key"
MAKE_AUTHORITY = "make an authority with: python -m keys authority"
AUTHORITY_DAYS = 3650
DAYS_MAX = 397
"""No certificate lives longer than the web's bound of 397 days (CA/Browser Forum baseline requirements 6.3.2)."""
CLOCK_SKEW = timedelta(minutes=5)
"""Certificates begin this much earlier, for peers whose clock is behind."""
LOCAL_HOSTNAMES = ("localhost", "127.0.0.1", "::1")
HOSTNAME_BYTES_MAX = 253


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of one identity: its certificate, its private key, and the authority to trust in others (root)."""

    cert: Path
    key: Path
    chain: Path


def utc_now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def create_authority(directory: Path, trust_domain: str, *, clock: Clock = utc_now) -> Path:
    """Make an authority for `trust_domain` in `directory` (made 0700 when missing); answers its certificate's path.

    Valid for ten years. Raises AuthorityError for a trust domain that cannot be one, KeyFileExists when the directory
    has an authority already: every certificate it issued would be worthless.
    """
    if not is_trust_domain(trust_domain):
        raise AuthorityError("trust_domain: use only a-z, 0-9, '.', '-' and '_', for example coalition.example")
    private_files.make_directory(directory)
    certificate_path, key_path = directory / CERTIFICATE_NAME, directory / KEY_NAME
    if certificate_path.exists():
        raise KeyFileExists(certificate_path)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "coalition development authority"),
            # 64 is the bound of a common name (RFC 5280, ub-common-name); nothing reads it but people.
            x509.NameAttribute(NameOID.COMMON_NAME, trust_domain[:64]),
        ]
    )
    now = clock()
    builder = (
        _builder(name, name, key.public_key(), now, now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SCHEME + trust_domain)]), critical=False
        )
    )
    # The key comes first: a certificate without its key would look like an authority.
    private_files.write_new(key_path, _key_pem(key))
    private_files.write_new(certificate_path, builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return certificate_path


def issue(
    directory: Path, spiffe_uri: str, *, days: int, clock: Clock = utc_now, hostnames: Sequence[str] = ()
) -> CertificateFiles:
    """Issue a certificate and a fresh key for `spiffe_uri`, valid for `days` (1 to 397); replaces an earlier pair.

    `/server` gets server usage and the names localhost, 127.0.0.1, ::1 and `hostnames`; everyone else gets client
    usage and no host name. Files land where `certificate_files` says. Raises SpiffeError, AuthorityError, and the
    errors of a key directory.
    """
    if not 1 <= days <= DAYS_MAX:
        raise AuthorityError(f"days: must be from 1 to {DAYS_MAX}")
    certificate, authority_key = load_authority(directory)
    elements = parse_spiffe(spiffe_uri, trust_domain(certificate))
    serves = elements[0] == "server"
    if hostnames and not serves:
        raise AuthorityError("hostnames: only the /server certificate carries host names; leave them out")
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spiffe_uri)]
    if serves:
        # A set with an order: a name given twice must not be in the certificate twice.
        names += [_host(name) for name in dict.fromkeys((*LOCAL_HOSTNAMES, *hostnames))]
    now = clock()
    end = now + timedelta(days=days)
    if end > certificate.not_valid_after_utc:
        raise AuthorityError(
            f"days: the authority itself ends on {certificate.not_valid_after_utc:%Y-%m-%d}; ask for fewer days, or "
            "make a new authority in another directory"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH if serves else ExtendedKeyUsageOID.CLIENT_AUTH
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "coalition")])
    builder = (
        _builder(subject, certificate.subject, key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    signed = builder.sign(authority_key, SHA256())
    files = certificate_files(directory, elements)
    # Recorded first: what was handed out and is in no record could not be revoked.
    record(directory, Issued(signed.serial_number, spiffe_uri, signed.not_valid_before_utc, signed.not_valid_after_utc))
    private_files.make_directory(files.cert.parent)
    private_files.replace(files.key, _key_pem(key))
    private_files.replace(files.cert, signed.public_bytes(Encoding.PEM))
    private_files.replace(files.chain, certificate.public_bytes(Encoding.PEM))
    return files


def certificate_files(directory: Path, elements: Sequence[str]) -> CertificateFiles:
    """Where the files of an identity are, issued or not: `DIR/t/chain/7/3/` for the elements of /t/chain/7/3.

    Raises SpiffeError for elements that are no identity.
    """
    # A folder per element, not one joined name: joined by "-", /t/a-b/c/d and /t/a/b-c/d would share their files.
    check_elements(elements)
    folder = directory.joinpath(*elements)
    return CertificateFiles(folder / "certificate.pem", folder / "private.key", folder / "authority.pem")


def trust_domain(certificate: x509.Certificate) -> str:
    """The trust domain an authority certificate speaks for. Raises SpiffeError when it is not one of ours."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise SpiffeError("the authority's certificate carries no trust domain") from None
    uris = extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    domain = uris[0].removeprefix(SCHEME) if len(uris) == 1 else ""
    if not is_trust_domain(domain):
        raise SpiffeError("the authority's certificate must carry exactly one trust domain")
    return domain


def load_authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority's certificate and key, which fit together. Raises the errors of a key directory."""
    cure = f"{MAKE_AUTHORITY} {directory}"
    private_files.check_directory(directory, cure)
    certificate_path, key_path = directory / CERTIFICATE_NAME, directory / KEY_NAME
    certificate_pem = private_files.read_private(certificate_path, cure)
    key_pem = private_files.read_private(key_path, cure)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise KeyFileBroken(certificate_path, "is not a PEM certificate; restore it from a backup") from None
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError):
        raise KeyFileBroken(key_path, "is not an unencrypted PEM private key; restore it from a backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise KeyFileBroken(key_path, f"is not the key of {certificate_path.name}; restore the right file")
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(name: str) -> x509.GeneralName:
    try:
        address: IPv4Address | IPv6Address = ip_address(name)
    except ValueError:
        if not name.isascii() or not 1 <= len(name) <= HOSTNAME_BYTES_MAX or set(name) & set(" /:@"):
            raise AuthorityError("hostnames: each must be an IP address or an ASCII host name") from None
        return x509.DNSName(name)
    return x509.IPAddress(address)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
