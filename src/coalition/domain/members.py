"""Members and cards as the ledger keeps them: numbers, states and sealed bytes; nothing personal in clear."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from coalition.domain.acts import JSON
from coalition.domain.credentials import NUMBER

PHONE_INDEX: Final = "phone"
CONTACT: Final = "contact"
IDENTITY: Final = "identity"
DEVICE: Final = "device"
CONSENTS: Final = "consents"
REFUND_ACCOUNT: Final = "refund_account"
ATTRIBUTES: Final = "attributes"
PROFILE_GROUPS: Final = (IDENTITY, CONTACT, CONSENTS, REFUND_ACCOUNT, ATTRIBUTES)
"""Field groups that are read as a member's profile; the seeds of DEVICE are told to nobody but their device."""


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """One field group of a member at one revision, sealed under the member's data key (CMR1)."""

    member_id: UUID
    field_group: str
    revision: int
    record_id: UUID
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardLimits:
    """What one card may spend of its wallet, minor units; None is no limit. Who judges them: domain/limits.py."""

    operation_minor: int | None = None
    day_minor: int | None = None
    month_minor: int | None = None


NO_LIMITS: Final = CardLimits()


@dataclass(frozen=True, slots=True)
class NewMember:
    """Everything an enrolment writes into the ledger, in one transaction. `is_named`: the real name was verified."""

    member_id: UUID
    wallet_id: int
    recruiter_id: int
    create_time: datetime
    records: tuple[SealedRecord, ...]
    phone_index: int = field(repr=False)
    is_named: bool


@dataclass(frozen=True, slots=True)
class MemberRow:
    """`state` is ACTIVE, LOCKED, ERASED or MERGED; `recruiter` a participant code; `merged_into` a member."""

    member_id: UUID
    wallet_id: int
    state: str
    recruiter: str
    create_time: datetime
    is_named: bool
    merged_into: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a member: the identity's whole path, and the participant in whose name."""

    participant_id: int
    actor: str


@dataclass(frozen=True, slots=True)
class WalletRest:
    """What keeps a wallet's member from being erased. `last_time` is of its last operation; None: there was none."""

    is_open: bool
    balance_minor: int
    open_holds: int
    open_passes: int
    programmes_with_points: int
    last_time: datetime | None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A request to see members unmasked; `approver` and `approve_time` are None until another person approved it.

    They are sealed to `recipient_key`, of who asked; it is empty in a request of a release that sealed nothing.
    """

    disclosure_id: UUID
    member_ids: tuple[UUID, ...]
    field_groups: tuple[str, ...]
    purpose: str
    recipient_key: bytes
    requester: str
    create_time: datetime
    approver: str | None = None
    approve_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberExport:
    """A request that all members leave, sealed to `recipient_key`; `approver` is None until another person approved."""

    export_id: UUID
    field_groups: tuple[str, ...]
    purpose: str
    recipient_key: bytes
    requester: str
    create_time: datetime
    approver: str | None = None
    approve_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExportedMember:
    """An active member as it leaves; `recruiter` is a code."""

    member_id: UUID
    wallet_id: int
    recruiter: str
    create_time: datetime
    is_named: bool
    records: tuple[SealedRecord, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """An act about a member as the journal has it: who did what, when, and what the act's answer tells of it."""

    entry_id: int
    time: datetime
    kind: int
    reason: int
    actor: str
    participant: str
    told: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class CardPointer:
    """Where a token leads. `wallet_id` is None until the card is linked, then fixed for ever."""

    lane: int
    card_id: int
    wallet_id: int | None


@dataclass(frozen=True, slots=True)
class CardRow:
    """`state` is ISSUED, ACTIVE, FROZEN or REPLACED; `issuer` a participant code; `kind` as in Card."""

    lane: int
    card_id: int
    wallet_id: int | None
    last_four: str
    state: str
    replaced_by: int | None
    issuer: str
    limits: CardLimits
    kind: str = NUMBER


@dataclass(frozen=True, slots=True)
class MemberFile:
    """What there is of a member: the latest of its sealed records that were asked for, and its wallet's cards."""

    row: MemberRow
    records: tuple[SealedRecord, ...]
    cards: tuple[CardRow, ...]


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card and its credential. It lies in its wallet's lane, or in the lane of its own id until it is linked."""

    card_id: int
    token: bytes = field(repr=False)
    last_four: str
    state: str
    issuer: str
    wallet_id: int | None
    create_time: datetime
    kind: str = NUMBER
    limits: CardLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device's own rows, beside its card: the seed sealed under its member's key, its first tickets' tokens."""

    card_id: int
    wallet_id: int
    member_id: UUID
    record_id: UUID
    sealed_seed: bytes = field(repr=False)
    tickets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedSeed:
    """A device's seed as it is stored, and how far its tickets go (`tickets_until` is the first counter without)."""

    card_id: int
    wallet_id: int
    member_id: UUID
    record_id: UUID
    sealed: bytes = field(repr=False)
    tickets_until: int


@dataclass(frozen=True, slots=True)
class KnownTicket:
    """A ticket of a device, with what is remembered of the device now: nothing is locked."""

    counter: int
    used_counter: int
    drift: int
    seed: SealedSeed
