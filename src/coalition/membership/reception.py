"""Reception: enrols members and leads to the desks beside it: cards, reading, files, disclosures, erasures.

It sees personal data and seals it before it is stored; what is shown goes through the reading room, masked, or in clear
to the member alone and to two people together. It never moves value, and nothing personal is in an error, a log line or
a hash that could be tried out (see keyed_act.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic
from uuid import UUID

import structlog

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import CoalitionError, Refused
from coalition.domain.members import IDENTITY, NO_LIMITS, CardLimits, MemberRow, NewMember
from coalition.domain.phones import normalize_phone
from coalition.domain.reasons import Reason
from coalition.membership.card_desk import CardDesk
from coalition.membership.card_views import CardAnswer, CardOfMember, CardView
from coalition.membership.credential_desk import CredentialDesk
from coalition.membership.disclosure_desk import DisclosureDesk
from coalition.membership.erasure_desk import ErasureDesk
from coalition.membership.export_desk import ExportDesk
from coalition.membership.file_desk import REVISION_FACTS, FileDesk, told_of
from coalition.membership.holders import Holders
from coalition.membership.intake import Intake
from coalition.membership.keyed_act import keyed
from coalition.membership.merge_desk import MergeDesk
from coalition.membership.phone_book import PhoneBook
from coalition.membership.pin_desk import PinDesk, PinRoom
from coalition.membership.profile import Profile
from coalition.membership.random_ids import Random, random_number, random_uuid
from coalition.membership.reading_room import ReadingRoom
from coalition.membership.records import Records
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberKeys, MemberStore

RETENTION: Final = timedelta(days=5 * 366)
"""How long records of stored value are kept after a wallet's last operation: five years in China's rules for cards."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's numbers. `replayed`: the same request had enrolled it before."""

    member_id: UUID
    wallet_id: int
    entry_id: int
    time: datetime
    replayed: bool


class Reception(Generic[Key]):
    """Callable from any thread. Writes raise Refused with the reasons named at each, besides REQUEST_ID_REUSED."""

    def __init__(
        self,
        store: MemberStore,
        keys: Keys[Key],
        member_keys: MemberKeys[Key],
        clock: Callable[[], datetime],
        random: Random,
        pins: PinRoom,
        *,
        retention: timedelta = RETENTION,
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._clock = clock
        self._random = random
        self._records = Records(store, keys, member_keys, random)
        self._phone_book = PhoneBook(store, keys, member_keys, self._records)
        self.reading = ReadingRoom(store, self._records, self._phone_book, clock, random)
        self.files = FileDesk(store, keys, self._records, self._phone_book, clock)
        self.intake = Intake(store, keys, member_keys, self._records, self._phone_book, clock, random)
        self.disclosures = DisclosureDesk(store, keys, self.reading, clock, random)
        self.exports = ExportDesk(store, keys, member_keys, self._records, clock, random)
        self.holders = Holders(store, keys)
        self.merges = MergeDesk(store, keys, clock)
        self.erasures = ErasureDesk(store, keys, member_keys, clock, retention)
        self._cards = CardDesk(store, keys, clock, random)
        self._pins = PinDesk(store, keys, pins, random)
        self._credentials = CredentialDesk(store, keys, clock, random)

    def enrol(self, act: Act, profile: Profile, recruiter: str, *, real_name_verified: bool = False) -> Enrolment:
        """Make a member with a sealed profile and an empty wallet, recruited by participant `recruiter`.

        `real_name_verified`: an identity document was seen; the wallet is named from the start.

        The data key is stored first, in the other instance, so that no sealed record is ever without its key; a key
        without a member is harmless and removed again when we know that the member was not made.
        MEMBER_EXISTS when the phone is enrolled, PARTICIPANT_UNKNOWN, SUSPENDED; FIELD_INVALID with the field.
        """
        identity, contact = profile.normalized()
        filing = self._phone_book.filing(contact.phone)
        create_time = self._clock()
        member_id, wallet_id = random_uuid(self._random), random_number(self._random)
        key, cipher = self._keys.new_member(member_id)
        records = self._records.sealed(member_id, cipher, {each.group: each.packed() for each in (contact, identity)})
        self._member_keys.put(member_id, key, filing.checks, create_time)

        def apply(books: MemberBooks) -> Answer:
            participant = books.participant(recruiter)
            if participant is None:
                raise Refused(Reason.PARTICIPANT_UNKNOWN, "recruiter", {"participant": recruiter})
            if not participant.is_active:
                raise Refused(Reason.SUSPENDED, "recruiter", {"participant": recruiter})
            if self._phone_book.claim(books, filing) is not None:
                raise Refused(Reason.MEMBER_EXISTS, "phone")
            member = NewMember(
                member_id,
                wallet_id,
                participant.participant_id,
                create_time,
                records,
                filing.index,
                is_named=real_name_verified,
            )
            books.add_member(member)
            # The wallet is not told here: the journal never says whose a wallet is, only the members table does.
            told: Answer = {"member_id": str(member_id), REVISION_FACTS: told_of(records)}
            return told | ({"real_name_verified": True} if real_name_verified else {})

        try:
            answer = self._store.perform(keyed(act, self._keys), apply)
        except Refused:
            self._forget_key(member_id)
            raise
        enrolled = UUID(str(answer.answer["member_id"]))
        if enrolled != member_id:
            self._forget_key(member_id)
        row = self._member(enrolled)
        return Enrolment(enrolled, row.wallet_id, answer.entry_id, answer.time, answer.replayed)

    def verify(self, act: Act, member_id: UUID) -> ActAnswer:
        """Record that an identity document shows the member's name: the wallet is named from now on, for ever.

        MEMBER_UNKNOWN, WALLET_CLOSED.
        """

        def apply(books: MemberBooks) -> Answer:
            wallet_id = books.wallet_of_member(member_id)
            if wallet_id is None:
                raise Refused(Reason.MEMBER_UNKNOWN, "member_id", {"member_id": str(member_id)})
            if not books.lock_wallet(wallet_id):
                raise Refused(Reason.WALLET_CLOSED, "member_id")
            books.name_wallet(wallet_id)
            # The member is not told here: the journal never says whose a wallet is.
            return {"wallet_id": wallet_id}

        return self._store.perform(keyed(act, self._keys), apply)

    def issue_card(
        self, act: Act, issuer: str, number: str | None = None, limits: CardLimits = NO_LIMITS
    ) -> CardAnswer:
        """See CardDesk.issue."""
        return self._cards.issue(act, issuer, number, limits)

    def link_card(self, act: Act, number: str, member_id: UUID) -> CardAnswer:
        """See CardDesk.link."""
        return self._cards.link(act, number, member_id)

    def freeze_card(self, act: Act, card: str | CardOfMember) -> CardAnswer:
        """See CardDesk.freeze."""
        return self._cards.freeze(act, card)

    def unfreeze_card(self, act: Act, card: str | CardOfMember) -> CardAnswer:
        """See CardDesk.unfreeze."""
        return self._cards.unfreeze(act, card)

    def replace_card(self, act: Act, card: str | CardOfMember, new_number: str | None = None) -> CardAnswer:
        """See CardDesk.replace."""
        return self._cards.replace(act, card, new_number)

    def set_card_limits(self, act: Act, card: str | CardOfMember, limits: CardLimits) -> CardAnswer:
        """See CardDesk.set_limits."""
        return self._cards.set_limits(act, card, limits)

    def get_card(self, number: str) -> CardView:
        """See CardDesk.get."""
        return self._cards.get(number)

    def set_pin(self, act: Act, member_id: UUID, sealed: bytes) -> ActAnswer:
        """See PinDesk.set."""
        identity = self._records.read(member_id, (IDENTITY,)).get(IDENTITY, {})
        return self._pins.set(act, member_id, sealed, identity.get("birth_month"))

    def add_virtual_id(self, act: Act, issuer: str, member_id: UUID, namespace: str, subject: str) -> CardAnswer:
        """See CredentialDesk.add_virtual_id."""
        return self._credentials.add_virtual_id(act, issuer, member_id, namespace, subject)

    def add_phone(self, act: Act, issuer: str, member_id: UUID) -> CardAnswer:
        """See CredentialDesk.add_phone."""
        return self._credentials.add_phone(act, issuer, member_id)

    def remove_credential(self, act: Act, member_id: UUID, card_id: int) -> CardAnswer:
        """See CredentialDesk.remove."""
        return self._credentials.remove(act, member_id, card_id)

    def phone_handle(self, phone: str) -> bytes | None:
        """The token of the PHONE credential of whoever has this phone; None where no member lets it name him."""
        found = self._phone_book.whose(normalize_phone(phone))
        row = self._store.member(found[0]) if found is not None else None
        # What is locked is not used, so that a phone whose member is names nobody.
        return self._credentials.phone_handle(row.wallet_id) if row is not None and row.state == "ACTIVE" else None

    def _forget_key(self, member_id: UUID) -> None:
        """Remove a key that belongs to nobody; where that fails it stays, which harms nothing."""
        try:
            self._member_keys.delete(member_id)
        except CoalitionError as trouble:
            log.warning("unused_key_left", member_id=str(member_id), trouble=type(trouble).__name__)

    def _member(self, member_id: UUID) -> MemberRow:
        row = self._store.member(member_id)
        if row is None:
            raise Refused(Reason.MEMBER_UNKNOWN, "member_id", {"member_id": str(member_id)})
        return row
