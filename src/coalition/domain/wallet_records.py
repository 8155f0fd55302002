"""A member's wallet as the member sees it: its balance and its open lots, issuers by their codes."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class LotRecord:
    """What is left of one top-up, minor units; `bonus_expiry` is the last day of its bonus."""

    lot_id: int
    issuer: str
    face: int
    principal: int
    bonus_expiry: date | None


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """A wallet and its open lots in one snapshot, in the order they were bought. `state` is OPEN or CLOSED."""

    lane: int
    wallet_id: int
    balance_minor: int
    state: str
    read_time: datetime
    lots: tuple[LotRecord, ...]
