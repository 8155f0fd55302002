"""The reading room: every look at a member's data. Each names a purpose and leaves an act of the journal, committed
before anything personal is told: who looked, at whom, at which field groups, why. Nothing personal is in that act.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Generic, NoReturn
from uuid import UUID

import structlog

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.kinds import Kind
from coalition.domain.members import (
    ATTRIBUTES,
    CONSENTS,
    CONTACT,
    IDENTITY,
    PROFILE_GROUPS,
    Access,
    MemberFile,
    MemberRow,
    Reader,
)
from coalition.domain.phones import normalize_phone
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardView, card_view
from coalition.membership.field_groups import ConsentPurpose, Opened, checked_groups, consents_in, masked
from coalition.membership.phone_book import PhoneBook
from coalition.membership.profile import OWN_ACCESS, MemberView, Purpose, check_purpose
from coalition.membership.random_ids import Random, random_request_id
from coalition.membership.records import Records
from coalition.membership.store import Answer, Key, MemberBooks, MemberStore

CARDS_SHOWN_MAX: Final = 100
AT_A_GLANCE: Final = (IDENTITY, CONTACT)

log = structlog.get_logger()


class ReadingRoom(Generic[Key]):
    """Callable from any thread. Raises Refused with the reasons named at each."""

    def __init__(
        self,
        store: MemberStore,
        records: Records[Key],
        phone_book: PhoneBook[Key],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._records = records
        self._phone_book = phone_book
        self._clock = clock
        self._random = random

    def member(
        self, reader: Reader, member_id: UUID, purpose: str, groups: tuple[str, ...] = AT_A_GLANCE
    ) -> MemberView:
        """A member by id, masked. MEMBER_UNKNOWN, MEMBER_LOCKED, CONSENT_MISSING; FIELD_INVALID."""
        why, what = check_purpose(purpose), checked_groups(groups)
        self.disclose(reader, [member_id], what, why, self.consented([member_id], why))
        return self._view(self._file(member_id, what), self._records.key_of(member_id))

    def by_phone(self, reader: Reader, phone: str, purpose: str, groups: tuple[str, ...] = AT_A_GLANCE) -> MemberView:
        """The member with this phone number, masked; also a look that finds nobody leaves its act.

        MEMBER_UNKNOWN, MEMBER_LOCKED, CONSENT_MISSING; FIELD_INVALID.
        """
        why, what = check_purpose(purpose), checked_groups(groups)
        found = self._phone_book.whose(normalize_phone(phone))
        if found is None:
            self._nobody(reader, why)
        member_id, key = found
        self.disclose(reader, [member_id], what, why, self.consented([member_id], why))
        return self._view(self._file(member_id, what), key)

    def own(self, reader: Reader, member_id: UUID) -> tuple[MemberRow, Opened, tuple[CardView, ...]]:
        """Everything of one member in clear, for the member; also while it is locked. MEMBER_UNKNOWN, MEMBER_ERASED."""
        self.disclose(reader, [member_id], PROFILE_GROUPS, OWN_ACCESS)
        file = self._file(member_id, PROFILE_GROUPS)
        opened = self._records.all_opened(file.records, self._records.key_of(member_id))
        return file.row, opened, _cards(file)

    def accesses(self, member_id: UUID, before: int | None, limit: int) -> list[Access]:
        """What was done about a member and its data, newest first: by whom, when and why. MEMBER_UNKNOWN."""
        if self._store.member(member_id) is None:
            raise _unknown(member_id)
        return self._store.accesses(member_id, before, limit)

    def disclose(
        self,
        reader: Reader,
        member_ids: Sequence[UUID],
        groups: tuple[str, ...],
        purpose: str,
        permitted: Callable[[MemberBooks], None] = lambda _: None,
        under: Mapping[str, JSON] = MappingProxyType({}),
    ) -> int:
        """Write that these groups of these members are told now, and why; the entry's id. Only then they may be read.

        `under` names what two people agreed on, where they are told in clear to another than the member.
        `permitted` raises Refused inside the act where they may not. MEMBER_UNKNOWN; MEMBER_LOCKED and MEMBER_ERASED,
        except that a locked member reads the own data and an erased one shows to staff as what it is. A look that is
        refused is in the members' reports, too, with its purpose.
        """
        told: Answer = {
            "field_groups": list(groups),
            "member_ids": [str(member_id) for member_id in member_ids],
            "purpose": str(purpose),
            **under,
        }
        act = self._act(reader, told)

        def apply(books: MemberBooks) -> Answer:
            permitted(books)
            states = books.note(act, member_ids)
            for member_id in member_ids:
                _readable(member_id, states.get(member_id), purpose)
            return told

        entry_id = self._store.perform(act, apply, member_ids).entry_id
        log.info("member_disclosed", actor=reader.actor, member_ids=told["member_ids"], purpose=str(purpose))
        return entry_id

    def in_clear(self, member_id: UUID, groups: tuple[str, ...]) -> Opened:
        """Groups in clear; whoever calls has disclosed them."""
        return self._records.read(member_id, groups)

    def _nobody(self, reader: Reader, why: Purpose) -> NoReturn:
        """A look that found nobody tells that no member has the phone, and is an act too."""
        told: dict[str, JSON] = {"field_groups": [], "member_ids": [], "purpose": why.value}

        def apply(_: MemberBooks) -> Answer:
            raise Refused(Reason.MEMBER_UNKNOWN, "phone")

        self._store.perform(self._act(reader, told), apply)
        raise LedgerBroken("a look that found nobody was accepted")

    def _act(self, reader: Reader, told: dict[str, JSON]) -> Act:
        request_id = random_request_id(self._random, self._clock())
        digest = body_hash(Kind.DISCLOSED, told)
        return Act(Kind.DISCLOSED, reader.participant_id, request_id, digest, reader.actor)

    def consented(self, member_ids: Sequence[UUID], why: str) -> Callable[[MemberBooks], None]:
        """What raises Refused(CONSENT_MISSING), inside the act of the look, where one of these has not consented to
        a purpose that asks for it. Read now.
        """
        missing = [member_id for member_id in member_ids if why == Purpose.MARKETING and not self._consents(member_id)]

        def permitted(_: MemberBooks) -> None:
            if missing:
                raise Refused(Reason.CONSENT_MISSING, "purpose", {"member_id": str(missing[0]), "purpose": str(why)})

        return permitted

    def _consents(self, member_id: UUID) -> bool:
        said = consents_in(self._records.read(member_id, (CONSENTS,)))
        return any(each.is_given and each.purpose == ConsentPurpose.MARKETING for each in said)

    def _file(self, member_id: UUID, groups: tuple[str, ...]) -> MemberFile:
        file = self._store.file(member_id, groups, CARDS_SHOWN_MAX)
        if file is None:
            raise _unknown(member_id)
        return file

    def _view(self, file: MemberFile, key: Key | None) -> MemberView:
        row = file.row
        opened: dict[str, Any] = {} if row.state == "ERASED" else dict(self._records.all_opened(file.records, key))
        name, phone, account = masked(opened)
        return MemberView(
            row.member_id,
            row.wallet_id,
            name,
            phone,
            row.state,
            row.recruiter,
            row.create_time,
            _cards(file),
            real_name_verified=row.is_named,
            masked_account=account,
            consents=consents_in(opened),
            attributes=dict(opened.get(ATTRIBUTES, {})),
            merged_into=row.merged_into,
        )


def _cards(file: MemberFile) -> tuple[CardView, ...]:
    return tuple(card_view(card, file.row.member_id) for card in file.cards)


def _unknown(member_id: UUID) -> Refused:
    return Refused(Reason.MEMBER_UNKNOWN, "member_id", {"member_id": str(member_id)})


def _readable(member_id: UUID, state: str | None, purpose: str) -> None:
    if state is None:
        raise _unknown(member_id)
    facts = {"member_id": str(member_id), "purpose": str(purpose)}
    if state == "LOCKED" and purpose != OWN_ACCESS:
        raise Refused(Reason.MEMBER_LOCKED, "member_id", facts)
    if state == "ERASED" and purpose not in set(Purpose):
        raise Refused(Reason.MEMBER_ERASED, "member_id", facts)
