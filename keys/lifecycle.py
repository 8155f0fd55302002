"""A certificate's later life: renewed while the old one is still good, or revoked before its end.

Reads and writes the authority's own directory only. What it revokes is refused by servers once they read the list.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from keys.authority import (
    CERTIFICATE_NAME,
    LOCAL_HOSTNAMES,
    CertificateFiles,
    Clock,
    certificate_files,
    issue,
    load_authority,
    trust_domain,
    utc_now,
)
from keys.errors import AuthorityError, KeyFileBroken, KeyFileMissing
from keys.issued import Issued, read_record
from keys.private_files import locked
from keys.revocation import KEEP, LIST_NAME, RevocationList, Revoked, read_list, write_list
from keys.spiffe import parse_spiffe


def renew(directory: Path, spiffe_uri: str, *, days: int | None = None, clock: Clock = utc_now) -> CertificateFiles:
    """Issue a new key and certificate for an identity that has one; both are good until the old one ends.

    As long as the old one was issued for, unless `days` says otherwise, and with the same host names. Raises
    KeyFileMissing for an identity that has none, AuthorityError when it was revoked, and what `issue` does.
    """
    authority, _ = load_authority(directory)
    files = certificate_files(directory, parse_spiffe(spiffe_uri, trust_domain(authority)))
    old = _certificate(files.cert)
    if old is None:
        raise KeyFileMissing(files.cert, "an identity's first certificate is issued by: python -m keys certificate")
    listed = revocations(directory)
    if listed and old.serial_number in listed.serials:
        raise AuthorityError(
            "the certificate was revoked, so it is not renewed; if the identity may come back, issue a new one with: "
            "python -m keys certificate"
        )
    if days is None:
        days = max(1, (old.not_valid_after_utc - old.not_valid_before_utc).days)
    return issue(directory, spiffe_uri, days=days, clock=clock, hostnames=_hostnames(old))


def revoke(directory: Path, spiffe_uri: str, *, serial: int | None = None, clock: Clock = utc_now) -> Sequence[Issued]:
    """Revoke every certificate of an identity that has not ended, or only the one of `serial`; answers which.

    Those revoked before stay so and are not answered again. The next certificate issued to the identity is good.
    Raises AuthorityError when there is nothing to revoke, and the errors of a key directory.
    """
    authority, key = load_authority(directory)
    elements = parse_spiffe(spiffe_uri, trust_domain(authority))
    with locked(directory):
        now = clock()
        record = {each.serial: each for each in read_record(directory)}
        present = _certificate(certificate_files(directory, elements).cert)
        if present is not None and present.serial_number not in record:
            record[present.serial_number] = _issued(present, spiffe_uri)
        listed = revocations(directory)
        before = {entry.serial: entry for entry in listed.entries} if listed else {}
        chosen = [
            each
            for each in record.values()
            if each.identity == spiffe_uri and each.end > now and serial in {None, each.serial}
        ]
        if not chosen and serial is not None and serial not in record:
            # Of an authority older than its record, or of a lost one: refused all the same, whoever has it.
            chosen = [Issued(serial, spiffe_uri, now, authority.not_valid_after_utc)]
        new = [each for each in chosen if each.serial not in before]
        if not new:
            raise AuthorityError(
                "there is nothing to revoke: no certificate of this identity is still good; look with: "
                f"python -m keys issued {directory}"
            )
        kept = [each for each in before.values() if not _is_over(record.get(each.serial), now)]
        entries = [*kept, *(Revoked(each.serial, each.identity, now) for each in new)]
        number = listed.number + 1 if listed else 1
        write_list(directory / LIST_NAME, entries, number, authority, key, now)
    return new


def revocations(directory: Path) -> RevocationList | None:
    """The list in `directory`, checked against the authorities beside it; None where none was ever made.

    Any of the certificates in authority.pem may have signed it: while authorities change there are two. Raises
    KeyFileBroken, KeyFileMissing.
    """
    path = directory / LIST_NAME
    if not path.exists():
        return None
    return read_list(path, authorities(directory))


def authorities(directory: Path) -> Sequence[x509.Certificate]:
    """The certificates in authority.pem. Raises KeyFileMissing, KeyFileBroken."""
    path = directory / CERTIFICATE_NAME
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except FileNotFoundError:
        raise KeyFileMissing(path, "copy it from where the authority is kept") from None
    except ValueError:
        raise KeyFileBroken(path, "is not a PEM certificate; restore it from a backup") from None


def certificate_serial(pem: bytes) -> int:
    """The serial number of a certificate. Raises ValueError for what is none."""
    return x509.load_pem_x509_certificate(pem).serial_number


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise KeyFileBroken(path, "is not a PEM certificate; restore it, or issue a new one") from None


def _issued(certificate: x509.Certificate, identity: str) -> Issued:
    return Issued(
        certificate.serial_number, identity, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    )


def _is_over(issued: Issued | None, now: datetime) -> bool:
    return issued is not None and issued.end + KEEP < now


def _hostnames(certificate: x509.Certificate) -> list[str]:
    """The host names besides the local ones, which every server certificate has."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return [host for host in hosts if host not in LOCAL_HOSTNAMES]
