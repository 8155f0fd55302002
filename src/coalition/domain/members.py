"""Members and cards as the ledger keeps them: numbers, states and sealed bytes; nothing personal in clear."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

PHONE_INDEX: Final = "phone"
CONTACT: Final = "contact"
IDENTITY: Final = "identity"


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
    """`state` is ACTIVE, LOCKED or ERASED; `recruiter` a participant code."""

    member_id: UUID
    wallet_id: int
    state: str
    recruiter: str
    create_time: datetime
    is_named: bool


@dataclass(frozen=True, slots=True)
class CardPointer:
    """Where a token leads. `wallet_id` is None until the card is linked, then fixed for ever."""

    lane: int
    card_id: int
    wallet_id: int | None


@dataclass(frozen=True, slots=True)
class CardRow:
    """`state` is ISSUED, ACTIVE, FROZEN or REPLACED; `issuer` a participant code."""

    lane: int
    card_id: int
    wallet_id: int | None
    last_four: str
    state: str
    replaced_by: int | None
    issuer: str
    limits: CardLimits


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
    limits: CardLimits
