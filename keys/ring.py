"""The key ring: everything the house does with its long-lived keys, behind one object that shows none of them.

It reads its directory once, at `load`. It never writes records, wraps or logs: callers store what it answers.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from keys import envelope, private_files, ring_file
from keys.custody import SECRET_BYTES, FileCustody, KeyedHash, KeyWrapper, Signer
from keys.envelope import WrappedKey
from keys.errors import KeyFileBroken, KeyFileExists, KeyUnavailable
from keys.randomness import Random, draw
from keys.record import MemberCipher, RecordContext, check_name, encoded
from keys.ring_file import KeyPurpose, KeyState, KeyVersion, RingFile

BLIND_INDEX_BITS_MAX = 32
MAKE_RING = "make a ring with: python -m keys init"

Key = TypeVar("Key", KeyWrapper, KeyedHash, Signer)


class KeyRing:
    """Wraps member keys, seals and opens records, hashes for look-ups, signs batches. Callable from any thread."""

    __slots__ = ("_blind_index", "_file", "_random", "_signer", "_tokens", "_wrappers")

    def __init__(
        self,
        file: RingFile,
        wrappers: Mapping[int, KeyWrapper],
        blind_index: KeyedHash,
        tokens: KeyedHash,
        signer: Signer,
        random: Random,
    ) -> None:
        self._file = file
        self._wrappers = wrappers
        self._blind_index = blind_index
        self._tokens = tokens
        self._signer = signer
        self._random = random

    @classmethod
    def load(cls, directory: Path, *, random: Random = os.urandom) -> "KeyRing":
        """Read the ring of `directory` (0700, its files 0600) and every ENABLED key of it.

        `random` makes data keys and salts; it must never repeat itself. Raises KeyFileMissing, PermissionsTooOpen
        (with the chmod to run), KeyFileBroken, RingBroken, CustodyUnknown.
        """
        private_files.check_directory(directory, f"{MAKE_RING} {directory}")
        path = directory / ring_file.NAME
        file = ring_file.parse(path, private_files.read_private(path, f"{MAKE_RING} {directory}"))
        custody = FileCustody(directory)
        wrappers = {
            version.version: _checked(path, version, custody.wrapper(version.uri))
            for version in file.versions
            if version.purpose is KeyPurpose.KEY_ENCRYPTION and version.state is KeyState.ENABLED
        }
        blind_index, tokens, batch_signing = (
            _primary(file, purpose)
            for purpose in (KeyPurpose.BLIND_INDEX, KeyPurpose.CARD_TOKEN, KeyPurpose.BATCH_SIGNING)
        )
        return cls(
            file,
            wrappers,
            _checked(path, blind_index, custody.keyed_hash(blind_index.uri)),
            _checked(path, tokens, custody.keyed_hash(tokens.uri)),
            _checked(path, batch_signing, custody.signer(batch_signing.uri)),
            random,
        )

    def __repr__(self) -> str:
        return f"KeyRing(deployment_id={self.deployment_id}, kek_version={self.kek_version})"

    def __reduce__(self) -> str:
        raise TypeError("a KeyRing holds keys and is never pickled; load it in each process")

    @property
    def deployment_id(self) -> UUID:
        """The deployment every seal and wrap of this ring is bound to."""
        return self._file.deployment_id

    @property
    def kek_version(self) -> int:
        """The primary version of the key-encryption key: the one new member keys are wrapped by."""
        return _primary(self._file, KeyPurpose.KEY_ENCRYPTION).version

    @property
    def versions(self) -> tuple[KeyVersion, ...]:
        """Every key version with its state; nothing secret."""
        return self._file.versions

    def new_member_key(self, member_id: UUID) -> WrappedKey:
        """A fresh data key for a member. Store it in keydb before anything is sealed under it."""
        version = self.kek_version
        return envelope.wrap_new(self._wrappers[version], version, self.deployment_id, member_id, self._random)

    def sealer(self, member_id: UUID, wrapped: WrappedKey, *, table: str = "members") -> MemberCipher:
        """The cipher for this member's records of `table`.

        Raises SealBroken when `wrapped` is not this member's or was changed, KeyUnavailable when its key-encryption
        key version may not be used, ValueError for a table name not of 1 to 64 bytes.
        """
        check_name("table", table)
        wrapper = self._wrappers.get(wrapped.kek_version)
        if wrapper is None:
            raise KeyUnavailable(KeyPurpose.KEY_ENCRYPTION, wrapped.kek_version, self._state(wrapped.kek_version))
        dek = envelope.unwrap(wrapper, wrapped, self.deployment_id, member_id)
        context = RecordContext(self.deployment_id, table, member_id, wrapped.dek_id, wrapped.kek_version)
        return MemberCipher(dek, context, self._random)

    def blind_index(self, field: str, normalized: str, bits: int = 16) -> int:
        """The first `bits` (1 to 32) bits of a keyed hash of one field's normalized value, to look members up by.

        Short on purpose, so that it fits many people: open the candidates and compare. Two fields never share values.
        """
        if not 1 <= bits <= BLIND_INDEX_BITS_MAX:
            raise ValueError(f"bits must be from 1 to {BLIND_INDEX_BITS_MAX}")
        digest = self._blind_index.digest(labelled(b"bidx1", field, normalized))
        return int.from_bytes(digest[:4], "big") >> (BLIND_INDEX_BITS_MAX - bits)

    def card_token(self, number: str) -> bytes:
        """The 32-byte keyed hash that stands for a card number; pass the digits without spaces."""
        return self._tokens.digest(labelled(b"card1", number))

    def member_token(self, kind: str, value: str) -> bytes:
        """The 32-byte keyed hash of anything else that must not be tried out; kinds never share values.

        Reception's kinds: "request-body", an act's body under its request id (membership/keyed_act.py), and
        "card-number", what a card number of our own making is drawn from (membership/card_desk.py). Not for phone or
        identity numbers: a full-length token tells who is who, `blind_index` does not.
        """
        return self._tokens.digest(labelled(b"member1", kind, value))

    def sign_batch(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over a batch; the same message gives the same bytes."""
        return self._signer.sign(message)

    def batch_public_key(self) -> bytes:
        """The 32 raw bytes others check batch signatures with."""
        return self._signer.check()

    def _state(self, kek_version: int) -> str:
        for version in self.versions:
            if version.purpose is KeyPurpose.KEY_ENCRYPTION and version.version == kek_version:
                return version.state
        return "unknown to this ring"


def create_ring(directory: Path, *, random: Random, create_time: datetime | None = None) -> KeyRing:
    """Make a ring with version 1 of every key in `directory` (made 0700 when missing) and load it.

    Existing keys are never overwritten: raises KeyFileExists and changes nothing. What an error interrupts is removed.
    """
    private_files.make_directory(directory)
    ring_path = directory / ring_file.NAME
    paths = {purpose: directory / f"{purpose.value}-1.key" for purpose in KeyPurpose}
    for path in (ring_path, *paths.values()):
        if path.exists():
            raise KeyFileExists(path)
    written: list[Path] = []
    try:
        for path in paths.values():
            secret = draw(random, SECRET_BYTES)
            private_files.write_new(path, secret)
            written.append(path)
        custody = FileCustody(directory)
        versions = tuple(_version_one(custody, purpose, path, create_time) for purpose, path in paths.items())
        file = RingFile(UUID(bytes=draw(random, 16), version=4), versions)
        # The ring file comes last: a directory with one is complete.
        private_files.write_new(ring_path, ring_file.render(file))
    except BaseException:
        with suppress(OSError):
            for path in written:
                path.unlink()
        raise
    return KeyRing.load(directory, random=random)


def labelled(label: bytes, *parts: str) -> bytes:
    """The label and the parts, each with its length before it, so that no two lists of parts give the same bytes."""
    message = label
    for part in map(encoded, parts):
        message += len(part).to_bytes(4, "big") + part
    return message


def _version_one(custody: FileCustody, purpose: KeyPurpose, path: Path, create_time: datetime | None) -> KeyVersion:
    uri = FileCustody.SCHEME + path.name
    key: KeyWrapper | KeyedHash | Signer
    match purpose:
        case KeyPurpose.KEY_ENCRYPTION:
            key = custody.wrapper(uri)
        case KeyPurpose.BLIND_INDEX | KeyPurpose.CARD_TOKEN:
            key = custody.keyed_hash(uri)
        case KeyPurpose.BATCH_SIGNING:
            key = custody.signer(uri)
    return KeyVersion(
        purpose=purpose,
        version=1,
        state=KeyState.ENABLED,
        primary=True,
        uri=uri,
        check=key.check(),
        create_time=create_time,
    )


def _primary(file: RingFile, purpose: KeyPurpose) -> KeyVersion:
    return next(version for version in file.versions if version.purpose is purpose and version.primary)


def _checked(ring_path: Path, version: KeyVersion, key: Key) -> Key:
    if key.check() != version.check:
        raise KeyFileBroken(
            ring_path, f"records another {version.purpose.value} key than {version.uri} holds; restore the right file"
        )
    return key
