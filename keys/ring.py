"""The key ring: everything the house does with its long-lived keys, behind one object that shows none of them.

It reads its directory at `load`, and once more when it meets a member key wrapped by a version it does not know: the
ring was rotated since, and a server need not stop for that. It never writes records, wraps or logs: callers store what
it answers.
"""

import hmac
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from uuid import UUID

from keys import envelope, ring_file
from keys.custodians import Custodians
from keys.custody import KeyWrapper
from keys.envelope import WrappedKey
from keys.errors import KeyMissing, KeysError, KeyUnavailable, SealBroken
from keys.index_plan import BITS_DEFAULT
from keys.labelled import labelled
from keys.passphrase import Passphrase
from keys.randomness import Random
from keys.record import MemberCipher, RecordContext, check_name
from keys.ring_file import KeyPurpose, KeyVersion
from keys.ring_keys import open_keys
from keys.ring_reading import directory_stamp, file_key, index_versions, primary_version, read_ring_file
from keys.sealed_box import is_box_key, key_id, seal, sealed_to
from keys.suites import RecordSuite

BLIND_INDEX_BITS_MAX = 32
PIN_SALT_BYTES = 16
PIN_DIGITS_MIN, PIN_DIGITS_MAX = 4, 12
"""ISO 9564-1, 8.1. How many the house asks for is not decided here."""


class KeyRing:
    """Wraps member keys, seals and opens records, hashes for look-ups, signs batches, checks PINs.

    Callable from any thread.
    """

    __slots__ = (
        "_blind_index",
        "_directory",
        "_file",
        "_index_versions",
        "_keys",
        "_passphrase",
        "_random",
        "_refreshing",
        "_signer",
        "_stamp",
        "_tokens",
    )

    def __init__(self, directory: Path, random: Random, passphrase: Passphrase | None) -> None:
        """Loads; see `load`."""
        self._directory = directory
        self._random = random
        self._passphrase = passphrase
        self._refreshing = Lock()
        self._stamp = directory_stamp(directory)
        self._read()

    @classmethod
    def load(cls, directory: Path, *, random: Random = os.urandom, passphrase: Passphrase | None = None) -> "KeyRing":
        """Read the ring of `directory` (0700, its files 0600) and every ENABLED key of it.

        `random` makes data keys and salts; it must never repeat itself. `passphrase` is asked only where the ring has
        one. Raises KeyFileMissing, PermissionsTooOpen (with the chmod to run), KeyFileBroken, RingBroken,
        PassphraseMissing, PassphraseWrong, CustodyUnknown, CustodyRefused.
        """
        return cls(directory, random, passphrase)

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
        return self.primary(KeyPurpose.KEY_ENCRYPTION)

    @property
    def record_suite(self) -> RecordSuite:
        """What new records are sealed with; both suites are opened."""
        return self._file.suite

    @property
    def versions(self) -> tuple[KeyVersion, ...]:
        """Every key version with its state; nothing secret."""
        return self._file.versions

    def primary(self, purpose: KeyPurpose) -> int:
        """The version of a purpose that new things are made with. Raises KeyMissing."""
        version = self._file.primary(purpose)
        if version is None:
            raise KeyMissing(purpose.value, self._directory)
        return version.version

    def new_member(self, member_id: UUID, *, table: str = "members") -> tuple[WrappedKey, MemberCipher]:
        """A fresh data key for a member, and the cipher for its records of `table`, as `sealer` would make it.

        Store the key in keydb before anything that was sealed is stored. It is wrapped by the version that is primary
        now, also where the ring was rotated since it was loaded.
        """
        check_name("table", table)
        # A version that was rotated away may be destroyed once the keys that it wraps are wrapped anew.
        self._refresh()
        version = self.kek_version
        wrapped, dek = envelope.wrap_new(self._wrapper(version), version, self.deployment_id, member_id, self._random)
        context = RecordContext(self.deployment_id, table, member_id, wrapped.dek_id, version)
        return wrapped, MemberCipher(dek, context, self._random, self._file.suite)

    def rewrap(self, member_id: UUID, wrapped: WrappedKey) -> WrappedKey:
        """The same data key wrapped by the primary version; what it sealed stays as it is.

        Raises what `sealer` does.
        """
        version = self.kek_version
        return envelope.rewrap(
            self._wrapper(wrapped.kek_version),
            self._wrapper(version),
            wrapped,
            version,
            self.deployment_id,
            member_id,
        )

    def sealer(self, member_id: UUID, wrapped: WrappedKey, *, table: str = "members") -> MemberCipher:
        """The cipher for this member's records of `table`.

        Raises SealBroken when `wrapped` is not this member's or was changed, KeyUnavailable when its key-encryption
        key version may not be used, ValueError for a table name not of 1 to 64 bytes.
        """
        check_name("table", table)
        dek = envelope.unwrap(self._wrapper(wrapped.kek_version), wrapped, self.deployment_id, member_id)
        context = RecordContext(self.deployment_id, table, member_id, wrapped.dek_id, wrapped.kek_version)
        return MemberCipher(dek, context, self._random, self._file.suite)

    def blind_indexes(self, field: str, normalized: str) -> tuple[int, ...]:
        """The index values a member may be found under, each as long as its version was planned; the primary's first.

        New members get the first. There are two while the index is made anew.
        """
        return tuple(
            self.blind_index(field, normalized, bits, version=version) for version, bits in self._index_versions
        )

    def blind_index(self, field: str, normalized: str, bits: int = BITS_DEFAULT, *, version: int | None = None) -> int:
        """The first `bits` (1 to 32) bits of a keyed hash of one field's normalized value, to look members up by.

        Short on purpose, so that it fits many people: open the candidates and compare. Two fields never share values.
        `version` is another one than the primary, while the index is made anew. Raises KeyUnavailable, ValueError.
        """
        if not 1 <= bits <= BLIND_INDEX_BITS_MAX:
            raise ValueError(f"bits must be from 1 to {BLIND_INDEX_BITS_MAX}")
        key = self._blind_index
        if version is not None:
            found = self._keys.hashes[KeyPurpose.BLIND_INDEX].get(version)
            if found is None:
                raise KeyUnavailable(KeyPurpose.BLIND_INDEX, version, self._state(KeyPurpose.BLIND_INDEX, version))
            key = found
        digest = key.digest(labelled(b"bidx1", field, normalized))
        return int.from_bytes(digest[:4], "big") >> (BLIND_INDEX_BITS_MAX - bits)

    def index_checks(self, field: str, normalized: str) -> dict[int, bytes]:
        """What tells a blind index's candidates apart without opening them, by version of the key-encryption key.

        40 bytes, the primary's first: a keyed hash of the whole value, wrapped by that key. Store the one of the
        version that wraps the member's key, beside that key and nowhere else: whoever could try it out there could open
        the record as well, and it dies with the row and with that version, like the key.
        """
        digest = self._tokens.digest(labelled(b"bcheck1", field, normalized))
        primary, wrappers = self.kek_version, self._keys.wrappers
        return {version: wrappers[version].wrap(digest) for version in (primary, *(wrappers.keys() - {primary}))}

    def rewrap_check(self, kek_version: int, check: bytes) -> bytes:
        """The check of `kek_version` as the primary version has it. Raises SealBroken, KeyUnavailable."""
        return self._wrapper(self.kek_version).wrap(self._wrapper(kek_version).unwrap(check))

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

    @staticmethod
    def is_box_key(public_key: bytes) -> bool:
        """Whether boxes can be sealed to it: an X25519 public key of 32 bytes that is not one of the weak ones."""
        return is_box_key(public_key)

    seal_to = staticmethod(seal)

    @staticmethod
    def export_context(export_id: str, after: str, number: int) -> bytes:
        """What box `number` of the page behind member `after` of an export belongs to."""
        return labelled(b"member-export1", export_id, after, str(number))

    @staticmethod
    def disclosure_context(disclosure_id: str, number: int) -> bytes:
        """What box `number` of the members of a disclosure belongs to."""
        return labelled(b"disclosure1", disclosure_id, str(number))

    def pin_tag(self, member: str, salt: bytes, pin: str) -> bytes:
        """The 32 bytes that are stored of a PIN, with its salt (16 fresh bytes a PIN), and nothing else of it.

        `member` is whoever the PIN belongs to, written always in the same way. Raises KeyMissing, ValueError for a
        salt that has not 16 bytes.
        """
        primary = self._keys.hashes[KeyPurpose.PIN][self.primary(KeyPurpose.PIN)]
        return primary.digest(_pin_message(member, salt, pin))

    def pin_matches(self, member: str, salt: bytes, pin: str, tag: bytes) -> bool:
        """Whether `tag` was stored for this PIN, by any ENABLED version of the key.

        Where it does, and the tag is not the one `pin_tag` makes today, store that one: the key was rotated. Count the
        try, durably, before asking. Raises what `pin_tag` does.
        """
        self.primary(KeyPurpose.PIN)
        message = _pin_message(member, salt, pin)
        return any(hmac.compare_digest(key.digest(message), tag) for key in self._keys.hashes[KeyPurpose.PIN].values())

    def pin_public_key(self) -> tuple[bytes, bytes]:
        """What terminals seal PINs to with `seal`: its key id (8 bytes) and the public key (32). Raises KeyMissing."""
        public_key = self._keys.openers[self.primary(KeyPurpose.PIN_SEALING)].check()
        return key_id(public_key), public_key

    def open_pin(self, sealed: bytes, context: bytes) -> str:
        """The PIN that was sealed to an ENABLED version of our key for this context: 4 to 12 digits.

        Keep it no longer than it takes to make its tag. Raises SealBroken, whatever was wrong, and KeyMissing.
        """
        self.primary(KeyPurpose.PIN_SEALING)
        opener = next((key for key in self._keys.openers.values() if key_id(key.check()) == sealed_to(sealed)), None)
        if opener is None:
            raise SealBroken
        plaintext = opener.open(sealed, context)
        if not PIN_DIGITS_MIN <= len(plaintext) <= PIN_DIGITS_MAX or not plaintext.isdigit():
            raise SealBroken
        return plaintext.decode()

    def sign_batch(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over a batch; the same message gives the same bytes."""
        return self._signer.sign(message)

    def batch_public_key(self) -> bytes:
        """The 32 raw bytes others check batch signatures with."""
        return self._signer.check()

    def _wrapper(self, version: int) -> KeyWrapper:
        if version not in self._keys.wrappers:
            self._refresh()
        wrapper = self._keys.wrappers.get(version)
        if wrapper is None:
            raise KeyUnavailable(KeyPurpose.KEY_ENCRYPTION, version, self._state(KeyPurpose.KEY_ENCRYPTION, version))
        return wrapper

    def _refresh(self) -> None:
        """Read the ring again if its file is another by now. A ring that does not load leaves this one as it is."""
        with self._refreshing:
            stamp = directory_stamp(self._directory)
            if stamp == self._stamp:
                return
            # Tried once for each change of the directory: opening a ring may take half a second.
            self._stamp = stamp
            with suppress(KeysError, OSError):
                self._read()

    def _read(self) -> None:
        file = read_ring_file(self._directory)
        custodians = Custodians(self._directory, file_key(self._directory, file, self._passphrase))
        keys = open_keys(self._directory / ring_file.NAME, file, custodians)
        # The keys of every purchase and look-up are at hand; the others are found when asked for.
        self._blind_index = keys.hashes[KeyPurpose.BLIND_INDEX][primary_version(file, KeyPurpose.BLIND_INDEX)]
        self._tokens = keys.hashes[KeyPurpose.CARD_TOKEN][primary_version(file, KeyPurpose.CARD_TOKEN)]
        self._signer = keys.signers[primary_version(file, KeyPurpose.BATCH_SIGNING)]
        self._index_versions = index_versions(file, keys)
        # Keys before the file: a primary version that the file names is there.
        self._keys = keys
        self._file = file

    def _state(self, purpose: KeyPurpose, version: int) -> str:
        found = (each.state for each in self._file.of(purpose) if each.version == version)
        return next(found, "unknown to this ring")


def _pin_message(member: str, salt: bytes, pin: str) -> bytes:
    if len(salt) != PIN_SALT_BYTES:
        raise ValueError(f"the salt of a PIN has {PIN_SALT_BYTES} bytes")
    return labelled(b"pin1", member, salt, pin)
