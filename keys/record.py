"""CMR1, the sealed record: one field group of one member, at one revision. Knows no database and keeps no plaintext.

    "CMR1" | suite 1 | schema 2 | key-encryption key version 4 | dek_id 16 | record_id 16 | revision 4
           | salt 32 | commitment 32 | ciphertext length 4 | ciphertext | tag 16          (big endian)

HKDF(data key, salt, "CMR1" | suite | field group) gives key, nonce 12 and commitment 32, then the suite's cipher runs
in GCM: suite 1 is HKDF-SHA512 and AES-256, suite 2 HKDF-SM3 and SM4 (key 16). A fresh 256-bit salt makes every key a
one-use key, so no bound on random nonces applies. GCM alone does not commit to its key; the commitment does, and is
compared before anything is decrypted. A ring seals with one suite and opens both.
aad = header | deployment_id | table | field group | member_id. All of it is recomputed by the reader and nothing is
believed because a row says so, so a ciphertext moved to another row, field, member or revision does not open.
"""

import hmac
import struct
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag

from keys.errors import PlaintextTooLong, SealBroken
from keys.randomness import Random, draw
from keys.suites import SUITES, TAG_BYTES, RecordSuite

MAGIC = b"CMR1"
SCHEMA = 1
HEADER = struct.Struct(">4sBHI16s16sI32s32sI")
SALT_BYTES = 32
PADDING_BYTES = 64
"""Plaintext grows to a multiple of this, so that its length tells little."""
PLAINTEXT_BYTES_MAX = 65_536
"""A profile has a few hundred bytes; the bound keeps one call from sealing a film."""
REVISION_MAX = 2**32 - 1
NAME_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class RecordContext:
    """What a member's records belong to, apart from the field group, record and revision."""

    deployment_id: UUID
    table: str
    member_id: UUID
    dek_id: UUID
    kek_version: int


class MemberCipher:
    """Seals and opens one member's records. Holds the member's data key: keep it briefly, never store or log it.

    Callable from several threads.
    """

    __slots__ = ("_context", "_dek", "_random", "_suite")

    def __init__(
        self, dek: bytes, context: RecordContext, random: Random, suite: RecordSuite = RecordSuite.AES
    ) -> None:
        self._dek = dek
        self._context = context
        self._random = random
        self._suite = suite

    def __repr__(self) -> str:
        return f"MemberCipher(dek_id={self._context.dek_id})"

    def __reduce__(self) -> str:
        raise TypeError("a MemberCipher holds a data key and is never pickled")

    def seal(self, field_group: str, record_id: UUID, revision: int, plaintext: bytes) -> bytes:
        """Seal `plaintext` (0 to 65,536 bytes) for exactly this place; sealing twice gives different bytes.

        `revision` counts from 0 to 2^32-1. Raises PlaintextTooLong, or ValueError naming the bad argument.
        """
        if len(plaintext) > PLAINTEXT_BYTES_MAX:
            raise PlaintextTooLong(len(plaintext), PLAINTEXT_BYTES_MAX)
        if not 0 <= revision <= REVISION_MAX:
            raise ValueError(f"revision must be from 0 to {REVISION_MAX}")
        check_name("field_group", field_group)
        salt = draw(self._random, SALT_BYTES)
        suite = SUITES[self._suite]
        key, nonce, commitment = suite.derive(self._dek, salt, _information(self._suite, field_group))
        padded = pad(plaintext)
        header = HEADER.pack(
            MAGIC,
            self._suite,
            SCHEMA,
            self._context.kek_version,
            self._context.dek_id.bytes,
            record_id.bytes,
            revision,
            salt,
            commitment,
            len(padded),
        )
        return header + suite.encrypt(key, nonce, padded, self._aad(header, field_group))

    def open(self, field_group: str, record_id: UUID, revision: int, sealed: bytes) -> bytes:
        """The plaintext, if `sealed` was sealed for exactly this place. Raises SealBroken, whatever was wrong."""
        plaintext = self._opened(field_group, record_id, revision, sealed)
        # Raised here, outside every handler and branch: the traceback must not tell which check failed either.
        if plaintext is None:
            raise SealBroken
        return plaintext

    def _opened(self, field_group: str, record_id: UUID, revision: int, sealed: bytes) -> bytes | None:
        if len(sealed) < HEADER.size + PADDING_BYTES + TAG_BYTES:
            return None
        header, ciphertext = sealed[: HEADER.size], sealed[HEADER.size :]
        # The version of the key-encryption key is what it was at writing; rewrapping changes it, so it is only
        # authenticated, not compared.
        magic, number, schema, _, dek_id, record, written_revision, salt, commitment, length = HEADER.unpack(header)
        place = (magic, schema, dek_id, record, written_revision, length)
        context = self._context
        here = (MAGIC, SCHEMA, context.dek_id.bytes, record_id.bytes, revision, len(ciphertext) - TAG_BYTES)
        suite = SUITES.get(number)
        if place != here or suite is None:
            return None
        key, nonce, expected = suite.derive(self._dek, salt, _information(number, field_group))
        if not hmac.compare_digest(expected, commitment):
            return None
        try:
            return unpad(suite.decrypt(key, nonce, ciphertext, self._aad(header, field_group)))
        except InvalidTag:
            return None

    def _aad(self, header: bytes, field_group: str) -> bytes:
        context = self._context
        table, group = encoded(context.table), encoded(field_group)
        # Names carry their length: "ab" | "c" must not read as "a" | "bc".
        named = len(table).to_bytes(2, "big") + table + len(group).to_bytes(2, "big") + group
        return header + context.deployment_id.bytes + named + context.member_id.bytes


def _information(suite: int, field_group: str) -> bytes:
    return MAGIC + bytes([suite]) + encoded(field_group)


def check_name(argument: str, name: str) -> None:
    """Raise ValueError unless the table or field group has 1 to 64 bytes."""
    if not 1 <= len(encoded(name)) <= NAME_BYTES_MAX:
        raise ValueError(f"{argument} must have 1 to {NAME_BYTES_MAX} bytes")


def encoded(text: str) -> bytes:
    """UTF-8. Lone surrogates pass: the codec's own error would quote the text, which may be personal."""
    return text.encode("utf-8", "surrogatepass")


def pad(plaintext: bytes) -> bytes:
    """One byte 0x80, then zeros to the next step (ISO/IEC 7816-4)."""
    return plaintext + b"\x80" + bytes(-(len(plaintext) + 1) % PADDING_BYTES)


def unpad(padded: bytes) -> bytes | None:
    """What was padded; None when the bytes were never padded. Called only on authenticated bytes."""
    stripped = padded.rstrip(b"\0")
    return stripped[:-1] if stripped.endswith(b"\x80") else None
