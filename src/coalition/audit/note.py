"""Signed notes of C2SP: a text, and below it signatures by named keys; cosignatures (tlog-cosignature) among them.

Holds no key and no cryptography: signing and verifying Ed25519 are handed in. A signature by a key that is not asked
about is never judged.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.domain.journal import Sign

Verify: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""(public key of 32 bytes, signature, message): whether the Ed25519 signature is by that key."""

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
TIME_BYTES: Final = 8
KEY_ID_BYTES: Final = 4
NOTE_BYTES_MAX: Final = 64 * 1024
SIGNATURES_MAX: Final = 64
_LINE: Final = "\u2014 "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_HEX_KEY_ID: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)


class KeyKind(IntEnum):
    """What a key signs: notes, or cosignatures with a time. The numbers are C2SP's signature types."""

    NOTE = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A verifier key: who, for what, and 32 bytes of Ed25519. Written as C2SP's vkey, name+id+base64."""

    name: str
    kind: KeyKind
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            raise EvidenceMalformed(f"key {self.name}: an Ed25519 key has {PUBLIC_KEY_BYTES} bytes")

    @property
    def key_id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(bytes([self.kind]) + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> "NoteKey":
        """A vkey's key. Raises EvidenceMalformed, also where its id is not the one of its name and key."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not _HEX_KEY_ID.fullmatch(parts[1]):  # noqa: PLR2004 - name, id, key
            raise EvidenceMalformed("a verifier key is written name+id+key, the id as 8 hexadecimal digits")
        name, key_id, encoded = parts
        data = _from_base64(encoded, f"key {name}")
        if not data or data[0] not in set(KeyKind):
            raise EvidenceMalformed(f"key {name}: only Ed25519 keys (01) and cosigners' keys (04) are read here")
        key = cls(name, KeyKind(data[0]), data[1:])
        if key.key_id.hex() != key_id:
            raise EvidenceMalformed(f"key {name}: its id should be {key.key_id.hex()}, not {key_id}")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: who says so, the first bytes of the hash of which key, and the signature proper."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_LINE}{self.name} {_to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends in a line feed, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    @classmethod
    def parse(cls, data: bytes) -> "SignedNote":
        """Read a note. Raises EvidenceMalformed."""
        if len(data) > NOTE_BYTES_MAX:
            raise EvidenceMalformed(f"a note has at most {NOTE_BYTES_MAX} bytes")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise EvidenceMalformed("a note is UTF-8") from None
        if _CONTROL.search(whole):
            raise EvidenceMalformed("a note has no control characters but line feeds")
        text, blank, below = whole.rpartition("\n\n")
        if not (text and blank and below.endswith("\n")):
            raise EvidenceMalformed("a note is a text, an empty line, and signature lines")
        return cls(text + "\n", parse_signatures(below))

    def with_signatures(self, more: Iterable[Signature]) -> "SignedNote":
        """The same note with signatures added below; one that is there already is not added twice."""
        added = [each for each in more if each not in self.signatures]
        return SignedNote(self.text, (*self.signatures, *added))

    def signers(self, keys: Iterable[NoteKey], verify: Verify) -> list[NoteKey]:
        """Those of `keys` that have signed. Raises EvidenceBroken where a signature says one of them, and lies."""
        found = []
        for key in keys:
            own = [each for each in self.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
            if any(not _holds(key, self.text, each.signature, verify) for each in own):
                raise EvidenceBroken(f"a signature below the note is said to be by {key.name} and is not")
            if own:
                found.append(key)
        return found

    def cosigned_times(self, key: NoteKey) -> list[int]:
        """When a cosigner says it signed, seconds since 1970; judge its signatures by `signers` first."""
        return [
            int.from_bytes(each.signature[:TIME_BYTES], "big")
            for each in self.signatures
            if (each.name, each.key_id) == (key.name, key.key_id) and key.kind is KeyKind.COSIGNATURE
        ]


def sign_note(text: str, key: NoteKey, sign: Sign) -> SignedNote:
    """The text with one signature by the holder of `key`, which `sign` is."""
    return SignedNote(text, (Signature(key.name, key.key_id, sign(text.encode())),))


def cosign(text: str, key: NoteKey, sign: Sign, time: int) -> Signature:
    """A witness's signature over a note's text and the time, seconds since 1970."""
    return Signature(key.name, key.key_id, time.to_bytes(TIME_BYTES, "big") + sign(cosigned_message(text, time)))


def cosigned_message(text: str, time: int) -> bytes:
    """What a cosigner signs (tlog-cosignature, version 1)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Signature lines, each with its line feed. Raises EvidenceMalformed."""
    found = []
    for line in lines.removesuffix("\n").split("\n"):
        name, space, encoded = line.removeprefix(_LINE).partition(" ")
        if not (line.startswith(_LINE) and space):
            raise EvidenceMalformed("a signature line is a dash, the key's name and the signature")
        check_name(name)
        data = _from_base64(encoded, f"signature of {name}")
        if len(data) <= KEY_ID_BYTES:
            raise EvidenceMalformed(f"signature of {name}: too short")
        found.append(Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:]))
    if len(found) > SIGNATURES_MAX:
        raise EvidenceMalformed(f"a note has at most {SIGNATURES_MAX} signatures")
    return tuple(found)


def check_name(name: str) -> None:
    """Raise EvidenceMalformed unless it can name a key."""
    if not name or "+" in name or any(character.isspace() or ord(character) < ord(" ") for character in name):
        raise EvidenceMalformed("a key's name is not empty and has neither spaces nor +")


def _holds(key: NoteKey, text: str, signature: bytes, verify: Verify) -> bool:
    if key.kind is KeyKind.NOTE:
        return len(signature) == SIGNATURE_BYTES and verify(key.public_key, signature, text.encode())
    time, signed = int.from_bytes(signature[:TIME_BYTES], "big"), signature[TIME_BYTES:]
    return len(signed) == SIGNATURE_BYTES and verify(key.public_key, signed, cosigned_message(text, time))


def to_base64_lines(hashes: Sequence[bytes]) -> str:
    """Hashes as C2SP writes them: one a line."""
    return "".join(_to_base64(each) + "\n" for each in hashes)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceMalformed(f"{what}: no base64") from None
    if _to_base64(data) != text:  # padding bits are zero: one value, one text
        raise EvidenceMalformed(f"{what}: no base64 as it is written")
    return data


def parse_hash(text: str, what: str) -> bytes:
    """A hash of 32 bytes in base64. Raises EvidenceMalformed."""
    data = _from_base64(text, what)
    if len(data) != hashlib.sha256().digest_size:
        raise EvidenceMalformed(f"{what}: a hash has 32 bytes")
    return data
