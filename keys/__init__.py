"""STRONGROOM: key ring, envelope, blind index, signer and development certificates. `python -m keys` is the ceremony.

The only room that imports `cryptography`. It imports no other room, opens no connection, and holds code, never key
files: those live in a directory of the operator's choice.
"""

from keys.authority import CertificateFiles, certificate_files, create_authority, issue
from keys.envelope import WrappedKey
from keys.errors import KeysError, KeyUnavailable, PlaintextTooLong, SealBroken, SpiffeError
from keys.record import MemberCipher
from keys.ring import KeyRing, create_ring
from keys.ring_file import KeyPurpose, KeyState, KeyVersion
from keys.signature import verify
from keys.spiffe import parse_spiffe

__all__ = [
    "CertificateFiles",
    "KeyPurpose",
    "KeyRing",
    "KeyState",
    "KeyUnavailable",
    "KeyVersion",
    "KeysError",
    "MemberCipher",
    "PlaintextTooLong",
    "SealBroken",
    "SpiffeError",
    "WrappedKey",
    "certificate_files",
    "create_authority",
    "create_ring",
    "issue",
    "parse_spiffe",
    "verify",
]
