"""The file desk: a member's field groups change here, each change a new revision, and what the member consents to.

Acts tell which group got which revision and the SHA-256 of its ciphertext, never what is in it.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.members import CONSENTS, PHONE_INDEX, SealedRecord
from coalition.domain.reasons import Reason
from coalition.membership.field_groups import Consent, Contact, Part, checked_consent, with_consent
from coalition.membership.keyed_act import keyed
from coalition.membership.phone_book import PhoneBook
from coalition.membership.records import Records
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberStore

REVISION_FACTS: Final = "records"


class FileDesk(Generic[Key]):
    """Callable from any thread. MEMBER_UNKNOWN, MEMBER_LOCKED and MEMBER_ERASED at each, besides what is named."""

    def __init__(
        self,
        store: MemberStore,
        keys: Keys[Key],
        records: Records[Key],
        phone_book: PhoneBook[Key],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._keys = keys
        self._records = records
        self._phone_book = phone_book
        self._clock = clock

    def revise(self, act: Act, member_id: UUID, part: Part) -> ActAnswer:
        """Replace one field group. MEMBER_EXISTS where the phone is another member's; FIELD_INVALID with the field."""
        told = part.normalized()
        key, time = self._records.key_of(member_id), self._clock()
        filing = self._phone_book.filing(told.phone) if isinstance(told, Contact) else None

        def apply(books: MemberBooks) -> Answer:
            if filing is not None and self._phone_book.claim(books, filing) not in {None, member_id}:
                raise Refused(Reason.MEMBER_EXISTS, "phone")
            record = self._next(books, member_id, key, told.group, lambda _: told.packed())
            books.add_record(record, time)
            if filing is not None:
                # The member is locked: nobody gives it the check of the phone before any more.
                self._phone_book.forget(member_id)
                books.move_index(PHONE_INDEX, filing.index, member_id)
            books.note(act, [member_id])
            return {"member_id": str(member_id), REVISION_FACTS: told_of([record])}

        return self._store.perform(keyed(act, self._keys), apply)

    def consent(self, act: Act, member_id: UUID, purpose: str, notice_version: str, *, is_given: bool) -> ActAnswer:
        """Record what the member said about one purpose, under which version of the notice. FIELD_INVALID."""
        why = checked_consent(purpose, notice_version)
        key, time = self._records.key_of(member_id), self._clock()
        consent = Consent(why.value, is_given, notice_version, time)

        def apply(books: MemberBooks) -> Answer:
            record = self._next(
                books,
                member_id,
                key,
                CONSENTS,
                lambda before: with_consent(self._records.opened(before, existing_key(key)) if before else {}, consent),
            )
            books.add_record(record, time)
            books.note(act, [member_id])
            return {
                "is_given": is_given,
                "member_id": str(member_id),
                "notice_version": notice_version,
                "purpose": why.value,
                REVISION_FACTS: told_of([record]),
            }

        return self._store.perform(keyed(act, self._keys), apply)

    def _next(
        self,
        books: MemberBooks,
        member_id: UUID,
        key: Key | None,
        group: str,
        content: Callable[[SealedRecord | None], bytes],
    ) -> SealedRecord:
        """The group's next revision, sealed, the member locked; `content` is asked with the one before."""
        writable(member_id, books.lock_member(member_id))
        before = books.latest_record(member_id, group)
        revision = 1 if before is None else before.revision + 1
        cipher = self._records.cipher(member_id, existing_key(key))
        (record,) = self._records.sealed(member_id, cipher, {group: content(before)}, revision=revision)
        return record


def told_of(records: Sequence[SealedRecord]) -> JSON:
    """What the journal keeps of new records: group, revision, SHA-256 of the ciphertext."""
    return [[each.field_group, each.revision, hashlib.sha256(each.sealed).hexdigest()] for each in records]


def writable(member_id: UUID, state: str | None) -> None:
    """Raises Refused where a member in this state takes no change of its data."""
    facts = {"member_id": str(member_id)}
    if state is None:
        raise Refused(Reason.MEMBER_UNKNOWN, "member_id", facts)
    if state == "LOCKED":
        raise Refused(Reason.MEMBER_LOCKED, "member_id", facts)
    if state == "ERASED":
        raise Refused(Reason.MEMBER_ERASED, "member_id", facts)
    if state == "MERGED":
        raise Refused(Reason.MERGE_CONFLICT, "member_id", facts)


_Key = TypeVar("_Key")


def existing_key(key: _Key | None) -> _Key:
    """The key of a member that is not erased."""
    if key is None:
        raise LedgerBroken("a member that is not erased has no key")
    return key
