"""The phone book: whose a phone number is. Finds candidates by a blind index and opens them one by one.

The index is a few bits of a keyed hash, shared by a dozen members, so that it tells nobody a number
(RELIABILITY 5.5). No number is kept here.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Generic
from uuid import UUID

from coalition.domain.errors import LedgerBroken
from coalition.domain.members import CONTACT, PHONE_INDEX, SealedRecord
from coalition.membership.records import Records
from coalition.membership.store import Key, Keys, MemberBooks, MemberKeys, MemberStore

CANDIDATES_MAX: Final = 64
"""Members that share a blind index; opening one costs about 30 microseconds (RELIABILITY 5.5)."""


class PhoneBook(Generic[Key]):
    """Callable from any thread. Phones are normalised. Raises LedgerBroken where the index has become too short."""

    def __init__(
        self, store: MemberStore, keys: Keys[Key], member_keys: MemberKeys[Key], records: Records[Key]
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._records = records

    def index(self, phone: str) -> int:
        """The blind index that a phone is filed under."""
        return self._indexes(phone)[0]

    def whose(self, phone: str) -> UUID | None:
        """The member of a phone; None where it is nobody's."""
        candidates = self._store.indexed_records(PHONE_INDEX, self._indexes(phone), CONTACT, CANDIDATES_MAX + 1)
        return self._among(candidates, phone)

    def claim(self, books: MemberBooks, phone: str) -> UUID | None:
        """The same inside an act that is about to give the phone to a member: nobody else can before it commits."""
        indexes = self._indexes(phone)
        books.lock_index(PHONE_INDEX, indexes)
        return self._among(books.indexed_records(PHONE_INDEX, indexes, CONTACT, CANDIDATES_MAX + 1), phone)

    def _indexes(self, phone: str) -> Sequence[int]:
        """Where a phone may lie: the primary index first, then the one before it while a re-index goes on."""
        return self._keys.blind_indexes(PHONE_INDEX, phone)

    def claim_all(self, books: MemberBooks, phones: Mapping[str, int]) -> set[str]:
        """Those of many phones, told with their index, that are members'; no other act can give the others away before
        this one commits.
        """
        indexes = sorted(set(phones.values()))
        books.lock_indexes(PHONE_INDEX, indexes)
        candidates = books.records_indexed(PHONE_INDEX, indexes, CONTACT)
        found = self._member_keys.get([record.member_id for record in candidates]) if candidates else {}
        opened = (
            self._records.opened(record, found[record.member_id]) for record in candidates if record.member_id in found
        )
        return {contact["phone"] for contact in opened} & phones.keys()

    def _among(self, candidates: Sequence[SealedRecord], phone: str) -> UUID | None:
        if len(candidates) > CANDIDATES_MAX:
            raise LedgerBroken(f"over {CANDIDATES_MAX} members share one blind index; re-index with more bits")
        found = self._member_keys.get([record.member_id for record in candidates]) if candidates else {}
        for record in candidates:
            key = found.get(record.member_id)
            if key is not None and self._records.opened(record, key)["phone"] == phone:
                return record.member_id
        return None
