"""STRONGROOM: key ring, envelope, blind index, signer and development certificates. `python -m keys` is the ceremony.

The only room that imports `cryptography`. It imports no other room, opens no connection, and holds code, never key
files: those live in a directory of the operator's choice.
"""

from keys.authority import CertificateFiles, certificate_files, create_authority, issue
from keys.envelope import WrappedKey
from keys.errors import KeysError, KeyUnavailable, PlaintextTooLong, SealBroken, SpiffeError
from keys.lifecycle import certificate_serial, renew, revocations, revoke
from keys.record import MemberCipher
from keys.revocation import LIST_NAME, RevocationList, Revoked
from keys.ring import KeyRing, create_ring
from keys.ring_file import KeyPurpose, KeyState, KeyVersion
from keys.signature import verify
from keys.spiffe import parse_spiffe

__all__ = [
    "LIST_NAME",
    "CertificateFiles",
    "KeyPurpose",
    "KeyRing",
    "KeyState",
    "KeyUnavailable",
    "KeyVersion",
    "KeysError",
    "MemberCipher",
    "PlaintextTooLong",
    "RevocationList",
    "Revoked",
    "SealBroken",
    "SpiffeError",
    "WrappedKey",
    "certificate_files",
    "certificate_serial",
    "create_authority",
    "create_ring",
    "issue",
    "parse_spiffe",
    "renew",
    "revocations",
    "revoke",
    "verify",
]
