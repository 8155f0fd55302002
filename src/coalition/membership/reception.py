"""Reception: enrols members, finds them again, and hands every card matter to the card desk beside it.

It sees personal data, seals it before it is stored and shows it masked. It never moves value, and nothing personal
leaves it in clear: not in an answer, an error, a log line or a hash that could be tried out (see keyed_act.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic
from uuid import UUID

import structlog

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import CoalitionError, LedgerBroken, Refused
from coalition.domain.members import (
    CONTACT,
    IDENTITY,
    NO_LIMITS,
    PHONE_INDEX,
    CardLimits,
    MemberRow,
    NewMember,
    SealedRecord,
)
from coalition.domain.phones import normalize_phone
from coalition.domain.reasons import Reason
from coalition.membership.card_desk import CardDesk
from coalition.membership.card_views import CardAnswer, CardOfMember, CardView, card_view
from coalition.membership.credential_desk import CredentialDesk
from coalition.membership.keyed_act import keyed
from coalition.membership.pin_desk import PinDesk, PinRoom
from coalition.membership.profile import (
    MemberView,
    Profile,
    Purpose,
    birth_month_of,
    check_purpose,
    masked,
    normalized,
    phone_of,
    plaintexts,
)
from coalition.membership.random_ids import Random, random_number, random_uuid
from coalition.membership.store import Answer, Key, Keys, MemberBooks, MemberKeys, MemberStore

CANDIDATES_MAX: Final = 64
"""Members that share a blind index; opening one costs about 30 microseconds (RELIABILITY 5.5)."""
CARDS_SHOWN_MAX: Final = 100

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
    ) -> None:
        self._store = store
        self._keys = keys
        self._member_keys = member_keys
        self._clock = clock
        self._random = random
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
        told = normalized(profile)
        phone_indexes = self._keys.blind_indexes(PHONE_INDEX, told.phone)
        create_time = self._clock()
        member_id, wallet_id = random_uuid(self._random), random_number(self._random)
        key = self._keys.new_member_key(member_id)
        records = self._seal(member_id, key, plaintexts(told))
        self._member_keys.put(member_id, key, create_time)

        def apply(books: MemberBooks) -> Answer:
            participant = books.participant(recruiter)
            if participant is None:
                raise Refused(Reason.PARTICIPANT_UNKNOWN, "recruiter", {"participant": recruiter})
            if not participant.is_active:
                raise Refused(Reason.SUSPENDED, "recruiter", {"participant": recruiter})
            books.lock_index(PHONE_INDEX, phone_indexes)
            candidates = books.indexed_records(PHONE_INDEX, phone_indexes, CONTACT, CANDIDATES_MAX + 1)
            if self._with_phone(candidates, told.phone) is not None:
                raise Refused(Reason.MEMBER_EXISTS, "phone")
            member = NewMember(
                member_id,
                wallet_id,
                participant.participant_id,
                create_time,
                records,
                phone_indexes[0],
                is_named=real_name_verified,
            )
            books.add_member(member)
            # The wallet is not told here: the journal never says whose a wallet is, only the members table does.
            return {"member_id": str(member_id)} | ({"real_name_verified": True} if real_name_verified else {})

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

    def find_by_phone(self, actor: str, phone: str, purpose: str) -> MemberView:
        """The member with this phone number, masked. MEMBER_UNKNOWN; FIELD_INVALID. Logged with actor and purpose."""
        why = check_purpose(purpose)
        wanted = normalize_phone(phone)
        member_id = self._with_phone(self._candidates(wanted), wanted)
        if member_id is None:
            raise Refused(Reason.MEMBER_UNKNOWN, "phone")
        return self._view(actor, self._member(member_id), why)

    def get_member(self, actor: str, member_id: UUID, purpose: str) -> MemberView:
        """A member by id, masked. MEMBER_UNKNOWN; FIELD_INVALID. Logged with actor and purpose."""
        return self._view(actor, self._member(member_id), check_purpose(purpose))

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
        opened = self._open(self._store.records(member_id, (IDENTITY,)), member_id)
        birth_month = birth_month_of(opened[IDENTITY]) if IDENTITY in opened else None
        return self._pins.set(act, member_id, sealed, birth_month)

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
        wanted = normalize_phone(phone)
        member_id = self._with_phone(self._candidates(wanted), wanted)
        row = self._store.member(member_id) if member_id is not None else None
        return self._credentials.phone_handle(row.wallet_id) if row is not None else None

    def _forget_key(self, member_id: UUID) -> None:
        """Remove a key that belongs to nobody; where that fails it stays, which harms nothing."""
        try:
            self._member_keys.delete(member_id)
        except CoalitionError as trouble:
            log.warning("unused_key_left", member_id=str(member_id), trouble=type(trouble).__name__)

    def _candidates(self, phone: str) -> list[SealedRecord]:
        indexes = self._keys.blind_indexes(PHONE_INDEX, phone)
        return self._store.indexed_records(PHONE_INDEX, indexes, CONTACT, CANDIDATES_MAX + 1)

    def _seal(self, member_id: UUID, key: Key, texts: dict[str, bytes]) -> tuple[SealedRecord, ...]:
        cipher = self._keys.sealer(member_id, key)
        records = []
        for field_group, plaintext in texts.items():
            record_id = random_uuid(self._random)
            sealed = cipher.seal(field_group, record_id, 1, plaintext)
            records.append(SealedRecord(member_id, field_group, 1, record_id, sealed))
        return tuple(records)

    def _open(self, records: Iterable[SealedRecord], member_id: UUID) -> dict[str, bytes]:
        """A member's records by field group; nothing where its key was destroyed."""
        key = self._member_keys.get([member_id]).get(member_id)
        if key is None:
            return {}
        cipher = self._keys.sealer(member_id, key)
        return {
            record.field_group: cipher.open(record.field_group, record.record_id, record.revision, record.sealed)
            for record in records
        }

    def _with_phone(self, candidates: list[SealedRecord], phone: str) -> UUID | None:
        """Whose contact record holds this phone. Raises LedgerBroken where the index has become too short."""
        if len(candidates) > CANDIDATES_MAX:
            raise LedgerBroken(f"over {CANDIDATES_MAX} members share one blind index; re-index with more bits")
        found = self._member_keys.get([record.member_id for record in candidates]) if candidates else {}
        for record in candidates:
            key = found.get(record.member_id)
            if key is not None:
                cipher = self._keys.sealer(record.member_id, key)
                opened = cipher.open(record.field_group, record.record_id, record.revision, record.sealed)
                if phone_of(opened) == phone:
                    return record.member_id
        return None

    def _member(self, member_id: UUID) -> MemberRow:
        row = self._store.member(member_id)
        if row is None:
            raise Refused(Reason.MEMBER_UNKNOWN, "member_id", {"member_id": str(member_id)})
        return row

    def _view(self, actor: str, row: MemberRow, purpose: Purpose) -> MemberView:
        records = self._store.records(row.member_id, (CONTACT, IDENTITY))
        name, phone = masked(self._open(records, row.member_id))
        cards = tuple(
            card_view(card, row.member_id) for card in self._store.cards_of_wallet(row.wallet_id, CARDS_SHOWN_MAX)
        )
        log.info("member_disclosed", actor=actor, member_id=str(row.member_id), purpose=purpose.value)
        return MemberView(
            row.member_id,
            row.wallet_id,
            name,
            phone,
            row.state,
            row.recruiter,
            row.create_time,
            cards,
            real_name_verified=row.is_named,
        )
