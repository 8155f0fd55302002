"""Two people: signatures by two different operators over the same words, each with a certificate of the authority.

Holds the form such an agreement is kept in; what it is about, and what follows from it, is the caller's.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from keys import private_files
from keys.authority import trust_domain
from keys.errors import CertificateBroken, KeyFileBroken
from keys.lifecycle import authorities, revocations
from keys.spiffe import SCHEME, parse_spiffe
from keys.statement import check_statement, load_statement_key, sign_statement

FORMAT: Final = "coalition-agreement-1"
OPERATOR: Final = "op"
PEOPLE: Final = 2


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's: the certificate (PEM) and the signature over the agreement's kind and body."""

    certificate: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is agreed on, as canonical bytes, and who signed. Signatures are believed only after `people`."""

    kind: str
    body: bytes
    signatures: tuple[Signature, ...] = ()

    def signed(self, certificate: Path, private_key: Path) -> "Agreement":
        """The agreement with one signature more. Raises the errors of a key file."""
        try:
            pem = certificate.read_bytes()
        except FileNotFoundError:
            raise KeyFileBroken(certificate, "does not exist; name the operator's certificate") from None
        added = Signature(pem, sign_statement(load_statement_key(private_key), self.kind, self.body))
        return Agreement(self.kind, self.body, (*self.signatures, added))

    def people(self, authority: Path, now: datetime) -> list[str]:
        """The operators who signed, each once, as SPIFFE ids in order of name.

        `authority` is the directory of the authority that says who is an operator, or a copy of its authority.pem and
        authority.crl. Raises CertificateBroken and StatementForged for any signature that is not good, KeyFileBroken.
        """
        found = set()
        for each in self.signatures:
            found.add(operator_of(authority, each.certificate, now))
            check_statement(each.certificate, self.kind, self.body, each.signature)
        return sorted(found)


def operator_of(authority: Path, certificate: bytes, now: datetime) -> str:
    """The SPIFFE id of an operator whose certificate is good now.

    Raises CertificateBroken for one of another authority or role, one that is over, not yet valid or revoked.
    """
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        uris = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )
    except (ValueError, x509.ExtensionNotFound):
        raise CertificateBroken("is no PEM certificate of ours") from None
    trusted = authorities(authority)
    if not any(_issued(loaded, each) for each in trusted):
        raise CertificateBroken("was not issued by this authority")
    if not loaded.not_valid_before_utc <= now <= loaded.not_valid_after_utc:
        raise CertificateBroken("is over, or not valid yet; renew it and sign again")
    listed = revocations(authority)
    if listed and loaded.serial_number in listed.serials:
        raise CertificateBroken("was revoked")
    domain = trust_domain(trusted[0])
    elements = parse_spiffe(uris, domain)
    if elements[0] != OPERATOR:
        raise CertificateBroken(f"is not an operator's, {SCHEME}{domain}/{OPERATOR}/NAME")
    return f"{SCHEME}{domain}/{'/'.join(elements)}"


def write_agreement(path: Path, agreement: Agreement) -> None:
    """Keep it, in the place of the one before. It holds nothing secret, but lies in a directory of keys."""
    document = {
        "format": FORMAT,
        "kind": agreement.kind,
        "body": agreement.body.decode(),
        "signatures": [
            {"certificate": each.certificate.decode(), "signature": each.signature.hex()}
            for each in agreement.signatures
        ],
    }
    private_files.replace(path, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")


def read_agreement(path: Path, kind: str, body: bytes) -> Agreement:
    """The signatures kept at `path` over exactly this; none where there is no file or it is about something else.

    Raises KeyFileBroken for a file that is no agreement.
    """
    if not path.exists():
        return Agreement(kind, body)
    try:
        document = json.loads(private_files.read_private(path, ""))
        if (document["format"], document["kind"], document["body"]) != (FORMAT, kind, body.decode()):
            return Agreement(kind, body)
        signatures = tuple(
            Signature(each["certificate"].encode(), bytes.fromhex(each["signature"])) for each in document["signatures"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeyFileBroken(path, "is no agreement; remove it and let both sign again") from None
    return Agreement(kind, body, signatures)


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
