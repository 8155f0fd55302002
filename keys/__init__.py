"""STRONGROOM: key ring, envelope, blind index, signer and development certificates. `python -m keys` is the ceremony.

The only room that imports `cryptography`. It imports no other room, opens no connection, and holds code, never key
files: those live in a directory of the operator's choice.
"""

from keys.authority import CertificateFiles, certificate_files, create_authority, issue
from keys.envelope import WrappedKey
from keys.errors import (
    BoxKeyBroken,
    CertificateBroken,
    KeyMissing,
    KeysError,
    KeyUnavailable,
    PlaintextTooLong,
    SealBroken,
    SpiffeError,
    StatementForged,
)
from keys.issuer import authority_public_keys
from keys.labelled import labelled
from keys.lifecycle import certificate_serial, renew, revocations, revoke
from keys.passphrase import Passphrase, read_passphrase
from keys.record import MemberCipher
from keys.revocation import LIST_NAME, RevocationList, Revoked
from keys.ring import KeyRing
from keys.ring_file import KeyPurpose, KeyState, KeyVersion
from keys.ring_making import add_key, create_ring
from keys.sealed_box import generate_box_key, open_box, public_box_key, seal
from keys.signature import verify
from keys.spiffe import parse_spiffe
from keys.statement import check_statement, load_statement_key, sign_statement

__all__ = [
    "LIST_NAME",
    "BoxKeyBroken",
    "CertificateBroken",
    "CertificateFiles",
    "KeyMissing",
    "KeyPurpose",
    "KeyRing",
    "KeyState",
    "KeyUnavailable",
    "KeyVersion",
    "KeysError",
    "MemberCipher",
    "Passphrase",
    "PlaintextTooLong",
    "RevocationList",
    "Revoked",
    "SealBroken",
    "SpiffeError",
    "StatementForged",
    "WrappedKey",
    "add_key",
    "authority_public_keys",
    "certificate_files",
    "certificate_serial",
    "check_statement",
    "create_authority",
    "create_ring",
    "generate_box_key",
    "issue",
    "labelled",
    "load_statement_key",
    "open_box",
    "parse_spiffe",
    "public_box_key",
    "read_passphrase",
    "renew",
    "revocations",
    "revoke",
    "seal",
    "sign_statement",
    "verify",
]
