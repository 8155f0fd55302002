"""What reception asks of its cellar, of the key database and of the strongroom. Typed here, made elsewhere.

`Key` is whatever the strongroom calls a wrapped data key: reception only carries it from the one to the other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Approval
from coalition.domain.members import (
    Access,
    CardLimits,
    CardPointer,
    CardRow,
    Disclosure,
    ExportedMember,
    KnownTicket,
    MemberExport,
    MemberFile,
    MemberRow,
    NewCard,
    NewDevice,
    NewMember,
    SealedRecord,
    SealedSeed,
    WalletRest,
)
from coalition.domain.pins import PinTag
from coalition.domain.programme import Participant

Answer: TypeAlias = dict[str, JSON]
Key = TypeVar("Key")


class Cipher(Protocol):
    """Seals and opens one member's records."""

    def seal(self, field_group: str, record_id: UUID, revision: int, plaintext: bytes) -> bytes: ...

    def open(self, field_group: str, record_id: UUID, revision: int, sealed: bytes) -> bytes: ...


class Keys(Protocol[Key]):
    """The part of the key ring that reception uses."""

    def new_member(self, member_id: UUID) -> tuple[Key, Cipher]:
        """A fresh key, and what seals under it."""

    def sealer(self, member_id: UUID, wrapped: Key) -> Cipher: ...

    def blind_indexes(self, field: str, normalized: str) -> tuple[int, ...]:
        """The values a member may be found under; new members get the first."""

    def index_checks(self, field: str, normalized: str) -> Mapping[int, bytes]:
        """What tells members of one blind index value apart, by version of the key that wraps theirs."""

    def card_token(self, number: str) -> bytes: ...

    def member_token(self, kind: str, value: str) -> bytes: ...

    def is_box_key(self, public_key: bytes) -> bool:
        """Whether `seal_to` can seal to it."""

    def seal_to(self, public_key: bytes, plaintext: bytes, context: bytes) -> bytes:
        """Seal to somebody outside. 4,096 bytes at most."""

    def export_context(self, export_id: str, after: str, number: int) -> bytes:
        """What a box of an export belongs to."""

    def disclosure_context(self, disclosure_id: str, number: int) -> bytes:
        """What a box of a disclosure belongs to."""


class MemberKeys(Protocol[Key]):
    """Wrapped member keys, in an instance of their own with backups of its own."""

    def put(self, member_id: UUID, key: Key, phone_checks: Mapping[int, bytes], create_time: datetime) -> None:
        """Keep a new member's key, and that of the checks which is of the same version."""

    def get(self, member_ids: Sequence[UUID]) -> Mapping[UUID, Key]:
        """The keys that exist; a member without one was erased."""

    def delete(self, member_id: UUID) -> None: ...

    def matching(self, member_ids: Sequence[UUID], phone_checks: Mapping[int, Sequence[bytes]]) -> Mapping[UUID, Key]:
        """The keys of those who may have one of the phones; whose record has another is mostly left out."""

    def checked(self, phone_checks: Mapping[int, Sequence[bytes]]) -> Mapping[UUID, Key]:
        """The same of all members, but for those who are `unchecked`."""

    def unchecked(self, oldest: int, newest: int, limit: int) -> list[UUID]:
        """Members that a check does not tell, or not one of these versions: `limit` of them at least, if there are."""

    def put_all(self, keys: Mapping[UUID, tuple[Key, Mapping[int, bytes]]], create_time: datetime) -> None:
        """`put` of many."""

    def forget_phone(self, member_id: UUID) -> None:
        """The member's phone is about to change: `matching` leaves the member in from now on."""

    def delete_all(self, member_ids: Sequence[UUID]) -> None: ...


class MemberBooks(Protocol):
    """Members and cards inside one act's transaction.

    Lock order for all: the wallet, then the credential, then the card. A desk locks the wallet before it reads a card,
    so what is decided here under the wallet's lock is known to every purchase after it.
    """

    def participant(self, code: str) -> Participant | None: ...

    def lock_index(self, field: str, values: Sequence[int]) -> None:
        """Let no other act look up or add members under these blind indexes until this one commits."""

    def indexed_records(self, field: str, values: Sequence[int], field_group: str, limit: int) -> list[SealedRecord]:
        """The latest record of each member under any of these blind indexes, `limit` at most."""

    def lock_indexes(self, field: str, values: Sequence[int]) -> None:
        """`lock_index` of each, in one order for everybody."""

    def members_indexed(self, field: str, values: Sequence[int], among: Sequence[UUID] | None = None) -> list[UUID]:
        """The members under any of these blind indexes: all, or those `among` some."""

    def latest_records(self, member_ids: Sequence[UUID], field_group: str) -> list[SealedRecord]:
        """The latest record of each of these members."""

    def taken_tokens(self, tokens: Sequence[bytes]) -> set[bytes]:
        """Those that name a card already."""

    def add_members(self, members: Sequence[NewMember], cards: Sequence[NewCard]) -> None:
        """`add_member` of each and `add_card` of each, whose tokens are not taken."""

    def add_member(self, member: NewMember) -> None:
        """The member, its sealed records, its blind index and its empty wallet."""

    def wallet_of_member(self, member_id: UUID) -> int | None:
        """None where there is no such member, or it was erased."""

    def lock_wallet(self, wallet_id: int) -> bool:
        """Whether the wallet, locked now, is open."""

    def pointer(self, token: bytes) -> CardPointer | None: ...

    def lock_credential(self, token: bytes) -> CardPointer | None: ...

    def lock_card(self, lane: int, card_id: int) -> CardRow | None: ...

    def lock_card_of_wallet(self, wallet_id: int, card_id: int) -> CardRow | None:
        """None where the card is unknown or another wallet's."""

    def add_card(self, card: NewCard) -> bool:
        """False, and nothing written, where a card has this token."""

    def link_card(self, token: bytes, card: CardRow, wallet_id: int) -> None:
        """Move the card into the wallet's lane, make it ACTIVE there and let its credential point to it."""

    def set_pin(self, wallet_id: int, salt: bytes, tag: PinTag) -> None:
        """Keep a PIN, for the first time or in the place of another, with none of its tries used."""

    def add_device(self, device: NewDevice) -> None:
        """The rows of a device whose card was added just now."""

    def card_of_kind(self, wallet_id: int, kind: str) -> CardRow | None:
        """The wallet's newest card of this kind that is not REPLACED."""

    def redirect_credential(self, token: bytes, card: NewCard) -> None:
        """Write `card`, and let a credential that led to a REPLACED card lead to it."""

    def set_card_state(self, card: CardRow, state: str, replaced_by: int | None = None) -> None: ...

    def set_card_limits(self, lane: int, card_id: int, limits: CardLimits) -> None: ...

    def name_wallet(self, wallet_id: int) -> None:
        """Its member's real name was verified."""

    def member_states(self, member_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """ACTIVE, LOCKED, ERASED or MERGED, of those that there are. Locks nothing."""

    def lock_member(self, member_id: UUID) -> str | None:
        """Its state; None where there is no such member. Whoever locks the wallet too does so before."""

    def note(self, act: Act, member_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Let the act be found by the members it is about; their states, as `member_states`."""

    def latest_record(self, member_id: UUID, field_group: str) -> SealedRecord | None: ...

    def add_record(self, record: SealedRecord, create_time: datetime) -> None: ...

    def move_index(self, field: str, value: int, member_id: UUID) -> None:
        """Let the member be found by this blind index, and by no other of the field."""

    def set_member_state(self, member_id: UUID, state: str) -> None: ...

    def wallet_rest(self, wallet_id: int) -> WalletRest:
        """What the wallet still holds, once it is locked."""

    def open_disputes(self, wallet_id: int) -> int:
        """How many complaints about sales of this wallet, or of one that was merged into it, are not settled."""

    def erasure_request(self, member_id: UUID) -> Approval | None:
        """The newest request to erase the member, locked."""

    def ask_erasure(self, member_id: UUID, content_hash: bytes, maker: str, time: datetime) -> None:
        """Ask for a member's erasure; an earlier request counts no more."""

    def write_erasure_step(self, approval: Approval) -> None:
        """Keep the last step of a request that was just decided."""

    def erase_member(self, member_id: UUID, wallet_id: int, time: datetime) -> None:
        """The member's state, its blind indexes, its PIN and seeds, its cards and wallet: ended, in the ledger."""

    def lock_two_wallets(self, one: int, other: int) -> None:
        """Both, in the order in which desks lock wallets."""

    def merge(self, member_id: UUID, wallet_id: int, into_member_id: UUID, into_wallet_id: int, time: datetime) -> int:
        """Move cards and name, end devices and PIN, say in the wallet where its value goes; how many cards moved."""

    def count_active(self) -> int:
        """Members that are ACTIVE."""

    def note_all_active(self, act: Act) -> int:
        """`note` of all of these; how many they are."""

    def add_export(self, export: MemberExport) -> None: ...

    def lock_export(self, export_id: UUID) -> MemberExport | None: ...

    def approve_export(self, export_id: UUID, approver: str, time: datetime) -> None: ...

    def add_disclosure(self, disclosure: Disclosure) -> None: ...

    def lock_disclosure(self, disclosure_id: UUID) -> Disclosure | None: ...

    def approve_disclosure(self, disclosure_id: UUID, approver: str, time: datetime) -> None: ...


class MemberStore(Protocol):
    """Performs acts exactly once, and reads."""

    def perform(self, act: Act, apply: Callable[[MemberBooks], Answer], about: Sequence[UUID] = ()) -> ActAnswer:
        """Run `apply` in a transaction of its own, or tell the stored answer again. Raises Refused.

        Declined, the act is found all the same by those members it is `about`.
        """

    def member(self, member_id: UUID) -> MemberRow | None: ...

    def member_of_wallet(self, wallet_id: int) -> MemberRow | None: ...

    def records(self, member_id: UUID, field_groups: Iterable[str]) -> list[SealedRecord]:
        """The latest record of each group that the member has."""

    def indexed_records(
        self, field: str, values: Sequence[int], field_group: str, limit: int
    ) -> list[SealedRecord]: ...

    def card(self, token: bytes) -> CardRow | None: ...

    def wallets_of_tokens(self, tokens: Sequence[bytes]) -> Mapping[bytes, int | None]:
        """Where cards lead, of those that there are; None for one that is not linked."""

    def wallets_of_members(self, member_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Wallets by member, of those that are not erased."""

    def card_of_kind(self, wallet_id: int, kind: str) -> CardRow | None:
        """The wallet's card of this kind that is not REPLACED."""

    def file(self, member_id: UUID, field_groups: Iterable[str], cards_max: int) -> MemberFile | None:
        """The member with these groups and its first cards, those that were replaced last."""

    def accesses(self, member_id: UUID, before: int | None, limit: int) -> list[Access]:
        """Acts about a member with an entry below `before`, newest first."""

    def disclosure(self, disclosure_id: UUID) -> Disclosure | None: ...

    def export(self, export_id: UUID) -> MemberExport | None: ...

    def active_members(self, after: UUID, field_groups: Sequence[str], limit: int) -> list[ExportedMember]:
        """Those behind `after`, in order of their ids."""

    def erasure_requests(self, after: int, limit: int) -> list[Approval]:
        """The erasures that wait for an approver, oldest first, with ids above `after`."""

    def unfinished_erasures(self) -> list[UUID]:
        """Members whose erasure is an act already, but whose key or sealed records may be there still."""

    def finish_erasure(self, member_id: UUID) -> None:
        """Delete the sealed records of an erased member, whose key is gone."""


class DeviceStore(Protocol):
    """Devices as reception reads them; what they have used is the desk's to write."""

    def ticket(self, token: bytes) -> KnownTicket | None: ...

    def seed(self, wallet_id: int, card_id: int) -> SealedSeed | None: ...

    def move_tickets(self, seed: SealedSeed, until: int, added: Sequence[bytes], dead: Sequence[bytes]) -> None:
        """Keep the device's tickets up to (not with) counter `until`: `added` are its next, `dead` are removed."""
