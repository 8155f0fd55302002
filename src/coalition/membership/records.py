"""Members' sealed records: opened for a moment, sealed for the store. Keeps no plaintext and no key."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic
from uuid import UUID

from coalition.domain.members import SealedRecord
from coalition.membership.field_groups import unpacked
from coalition.membership.random_ids import Random, random_uuid
from coalition.membership.store import Cipher, Key, Keys, MemberKeys, MemberStore


class Records(Generic[Key]):
    """Callable from any thread."""

    def __init__(self, store: MemberStore, keys: Keys[Key], member_keys: MemberKeys[Key], random: Random) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._random = random

    def key_of(self, member_id: UUID) -> Key | None:
        """The member's wrapped key; None once it was erased."""
        return self._member_keys.get([member_id]).get(member_id)

    def read(self, member_id: UUID, groups: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The latest of each group in clear; nothing once the member's key is gone."""
        records = self._store.records(member_id, groups)
        return self.all_opened(records, self.key_of(member_id) if records else None)

    def all_opened(self, records: Iterable[SealedRecord], key: Key | None) -> dict[str, Mapping[str, Any]]:
        """Records of one member in clear, by group; nothing where its key is gone."""
        if key is None:
            return {}
        cipher: Cipher | None = None
        opened = {}
        for each in records:
            cipher = cipher or self.cipher(each.member_id, key)
            opened[each.field_group] = _open(cipher, each)
        return opened

    def cipher(self, member_id: UUID, key: Key) -> Cipher:
        """What seals under a member's key."""
        return self._keys.sealer(member_id, key)

    def opened(self, record: SealedRecord, key: Key) -> Mapping[str, Any]:
        """One record in clear."""
        return _open(self.cipher(record.member_id, key), record)

    def sealed(
        self, member_id: UUID, cipher: Cipher, texts: Mapping[str, bytes], *, revision: int = 1
    ) -> tuple[SealedRecord, ...]:
        """One new record for each group of `texts`, by the member's cipher."""
        records = []
        for group, plaintext in texts.items():
            record_id = random_uuid(self._random)
            sealed = cipher.seal(group, record_id, revision, plaintext)
            records.append(SealedRecord(member_id, group, revision, record_id, sealed))
        return tuple(records)


def _open(cipher: Cipher, record: SealedRecord) -> Mapping[str, Any]:
    return unpacked(cipher.open(record.field_group, record.record_id, record.revision, record.sealed))
