"""The revocation list: which certificates of an authority are valid no more. An X.509 CRL (RFC 5280, section 5).

Signed by the authority, replaced in one step, numbered upwards. Each entry names the certificate's serial number and,
in an extension of ours, its identity, so that a server need look at a caller's certificate only where its identity has
one that was revoked. Any CRL reader understands the rest, a front proxy's too. Revokes; decides no permission.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from keys import private_files
from keys.errors import KeyFileBroken, KeyFileMissing

LIST_NAME: Final = "authority.crl"
LIST_BYTES_MAX: Final = 1 << 20
KEEP: Final = timedelta(days=1)
"""An entry stays so long after its certificate's end: connections made before it may live on for an hour."""
# 2.25 is the arc of UUIDs (ITU-T X.667): nobody can own this one but us, and nobody had to be asked.
IDENTITY_OID: Final = x509.ObjectIdentifier("2.25.208683811676254977303349488035635008707")
IA5_STRING: Final = 0x16
SHORT_LENGTH_MAX: Final = 0x7F


@dataclass(frozen=True, slots=True)
class Revoked:
    """One revoked certificate. `identity` is its SPIFFE id, or empty for one whose identity was not known."""

    serial: int
    identity: str
    time: datetime


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list that was verified. `number` grows with each new one."""

    number: int
    entries: tuple[Revoked, ...]

    @property
    def serials(self) -> frozenset[int]:
        return frozenset(entry.serial for entry in self.entries)


def read_list(path: Path, authorities: Sequence[x509.Certificate]) -> RevocationList:
    """The list at `path`. Raises KeyFileMissing, or KeyFileBroken unless one of the authorities signed it."""
    cure = "restore it from where the authority is kept: authority.crl lies beside authority.pem"
    try:
        with path.open("rb") as file:
            content = file.read(LIST_BYTES_MAX + 1)
    except FileNotFoundError:
        raise KeyFileMissing(path, cure) from None
    if len(content) > LIST_BYTES_MAX:
        raise KeyFileBroken(path, f"has more than {LIST_BYTES_MAX} bytes")
    try:
        crl = x509.load_pem_x509_crl(content)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        entries = tuple(Revoked(entry.serial_number, _identity(entry), entry.revocation_date_utc) for entry in crl)
    except (ValueError, x509.ExtensionNotFound) as trouble:
        raise KeyFileBroken(path, f"is not a revocation list of ours; {cure}") from trouble
    public_keys = [each.public_key() for each in authorities]
    if not any(isinstance(each, ec.EllipticCurvePublicKey) and crl.is_signature_valid(each) for each in public_keys):
        raise KeyFileBroken(path, f"was not signed by this authority; {cure}")
    return RevocationList(number, entries)


def write_list(
    path: Path,
    entries: Iterable[Revoked],
    number: int,
    authority: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> None:
    """Sign a list and put it in the place of the one before, in one step."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now)
        # The next one comes when something is revoked, not at a time; RFC 5280 wants a time.
        .next_update(authority.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for entry in entries:
        revoked = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.time)
        if entry.identity:
            revoked = revoked.add_extension(
                x509.UnrecognizedExtension(IDENTITY_OID, _ia5_string(entry.identity)), critical=False
            )
        builder = builder.add_revoked_certificate(revoked.build())
    private_files.replace(path, builder.sign(key, SHA256()).public_bytes(Encoding.PEM))


def _identity(entry: x509.RevokedCertificate) -> str:
    try:
        extension = entry.extensions.get_extension_for_oid(IDENTITY_OID)
    except x509.ExtensionNotFound:
        return ""
    value = extension.value
    if not isinstance(value, x509.UnrecognizedExtension):
        raise ValueError("an extension of ours that is not ours")  # noqa: TRY004  one error for a broken file
    return _text(value.value)


def _ia5_string(text: str) -> bytes:
    """ASN.1 IA5String, as a certificate's own URI name is written. A SPIFFE id here has at most 255 bytes."""
    content = text.encode("ascii")
    size = len(content)
    length = bytes([size]) if size <= SHORT_LENGTH_MAX else bytes([0x81, size])
    return bytes([IA5_STRING]) + length + content


def _text(encoded: bytes) -> str:
    """Raises ValueError unless `_ia5_string` wrote it."""
    head = 2 if len(encoded) <= SHORT_LENGTH_MAX + 2 else 3
    text = encoded[head:].decode("ascii")
    if encoded != _ia5_string(text):
        raise ValueError("not an IA5String")
    return text
