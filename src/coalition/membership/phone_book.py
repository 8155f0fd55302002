"""The phone book: whose a phone number is. Finds candidates by a blind index, then the one by its check.

The index is a few bits of a keyed hash, shared by a dozen members, so that it tells nobody a number
(RELIABILITY 5.5). The check tells them apart; it lies beside the members' keys and goes with them, so that no copy of
the ledger has it. Who is found is opened and compared all the same: a record alone says whose a phone is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic
from uuid import UUID

from coalition.domain.errors import LedgerBroken
from coalition.domain.members import CONTACT, PHONE_INDEX, SealedRecord
from coalition.membership.records import Records
from coalition.membership.store import Key, Keys, MemberBooks, MemberKeys, MemberStore

CANDIDATES_MAX: Final = 64
"""Members that share a blind index; to open one whose check is not known takes 30 microseconds (RELIABILITY 5.5)."""

UNCHECKED_MAX: Final = 1_000
"""Members whose phone has changed, mostly: so many are asked for by name, more by the blind index."""


@dataclass(frozen=True, slots=True)
class Filing:
    """Where a phone may lie: under the primary index, or under the one before while a re-index goes on.

    `checks` tell the members of one index apart, by version of the key that wraps theirs.
    """

    phone: str = field(repr=False)
    indexes: Sequence[int] = field(repr=False)
    checks: Mapping[int, bytes] = field(repr=False)

    @property
    def index(self) -> int:
        """The one that a new member gets."""
        return self.indexes[0]


class PhoneBook(Generic[Key]):
    """Callable from any thread. Phones are normalised. Raises LedgerBroken where the index has become too short."""

    def __init__(
        self, store: MemberStore, keys: Keys[Key], member_keys: MemberKeys[Key], records: Records[Key]
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._records = records

    def filing(self, phone: str) -> Filing:
        """How a phone is filed and looked for."""
        indexes = self._keys.blind_indexes(PHONE_INDEX, phone)
        return Filing(phone, indexes, self._keys.index_checks(PHONE_INDEX, phone))

    def forget(self, member_id: UUID) -> None:
        """Before a member's phone changes: the check of the one before must not be what the member is known by."""
        self._member_keys.forget_phone(member_id)

    def whose(self, phone: str) -> tuple[UUID, Key] | None:
        """The member of a phone, and its key; None where it is nobody's.

        By its check, in a time that does not grow with the members; by the blind index whoever has none of use.
        """
        filing = self.filing(phone)
        for member_id, key in self._member_keys.checked(_by_version([filing])).items():
            if self._has(self._store.records(member_id, (CONTACT,)), key, phone):
                return member_id, key
        candidates = self._store.indexed_records(PHONE_INDEX, filing.indexes, CONTACT, CANDIDATES_MAX + 1)
        return self._among(candidates, filing)

    def claim(self, books: MemberBooks, filing: Filing) -> UUID | None:
        """The same inside an act that is about to give the phone to a member: nobody else can before it commits."""
        books.lock_index(PHONE_INDEX, filing.indexes)
        candidates = books.indexed_records(PHONE_INDEX, filing.indexes, CONTACT, CANDIDATES_MAX + 1)
        found = self._among(candidates, filing)
        return None if found is None else found[0]

    def claim_all(self, books: MemberBooks, filings: Sequence[Filing]) -> set[str]:
        """Those of many phones that are members'; no other act can give the others away before this one commits."""
        indexes = sorted({index for filing in filings for index in filing.indexes})
        books.lock_indexes(PHONE_INDEX, indexes)
        found = self._found(books, indexes, _by_version(filings))
        records = books.latest_records(list(found), CONTACT) if found else []
        phones = {str(self._records.opened(record, found[record.member_id])["phone"]) for record in records}
        return phones & {filing.phone for filing in filings}

    def _found(
        self, books: MemberBooks, indexes: Sequence[int], checks: Mapping[int, Sequence[bytes]]
    ) -> Mapping[UUID, Key]:
        """Who may have one of many phones: by their checks; who has none of use is looked for by blind index."""
        if not checks:
            return {}
        found = dict(self._member_keys.checked(checks))
        doubtful = self._member_keys.unchecked(min(checks), max(checks), UNCHECKED_MAX + 1)
        if doubtful:
            # As many as there are after an upgrade are not carried from one database to the other.
            among = doubtful if len(doubtful) <= UNCHECKED_MAX else None
            candidates = books.members_indexed(PHONE_INDEX, indexes, among)
            found |= self._member_keys.matching(candidates, checks) if candidates else {}
        return found

    def _among(self, candidates: Sequence[SealedRecord], filing: Filing) -> tuple[UUID, Key] | None:
        if len(candidates) > CANDIDATES_MAX:
            raise LedgerBroken(f"over {CANDIDATES_MAX} members share one blind index; re-index with more bits")
        if not candidates:
            return None
        found = self._member_keys.matching([record.member_id for record in candidates], _by_version([filing]))
        for record in candidates:
            key = found.get(record.member_id)
            if key is not None and self._has([record], key, filing.phone):
                return record.member_id, key
        return None

    def _has(self, records: Sequence[SealedRecord], key: Key, phone: str) -> bool:
        return any(self._records.opened(record, key)["phone"] == phone for record in records)


def _by_version(filings: Iterable[Filing]) -> dict[int, list[bytes]]:
    """The checks of many phones, by version."""
    told: dict[int, list[bytes]] = {}
    for filing in filings:
        for version, check in filing.checks.items():
            told.setdefault(version, []).append(check)
    return told
