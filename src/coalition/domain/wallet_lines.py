"""A wallet as it is shown: what a card's wallet holds now, and its lines. Read, never decided on."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.sale_details import SaleDetails

VALUE_ENTERS: Final = frozenset({Kind.TOP_UP, Kind.REFUND, Kind.MERGE_IN, Kind.OPENING, Kind.POINTS_CONVERSION})
VALUE_LEAVES: Final = frozenset(
    {
        Kind.PURCHASE,
        Kind.CAPTURE,
        Kind.UPLOAD,
        Kind.TOP_UP_REVERSAL,
        Kind.TOP_UP_RETURN,
        Kind.BONUS_EXPIRY,
        Kind.CASH_OUT,
        Kind.MERGE_OUT,
    }
)


@dataclass(frozen=True, slots=True)
class HeldLot:
    """An open lot, as far as spending is concerned; minor units."""

    issuer_id: int
    face: int
    principal: int
    reserved: int


class DueHold(NamedTuple):
    """An open hold whose time is over."""

    entry_id: int
    expire_time: datetime


class LeftBehind(NamedTuple):
    """A lot of a merged wallet, whose last entry was `last_entry_id`, made at `time`."""

    wallet_id: int
    lot_id: int
    last_entry_id: int
    time: datetime


class UnderWay(NamedTuple):
    """What entry `entry_id` sent at `time`, and where to."""

    entry_id: int
    to_wallet_id: int
    time: datetime


class DueBonus(NamedTuple):
    """An open lot whose bonus ended on `bonus_expiry`, that day included."""

    lot_id: int
    bonus_expiry: date


class DuePoints(NamedTuple):
    """Points that entry `entry_id` earned, of which some are still there though `last_day` is over."""

    entry_id: int
    last_day: date


@dataclass(frozen=True, slots=True)
class Holding:
    """A card and its wallet in one snapshot. Wallet and lane are None until the card is linked.

    `points` are (programme's code, points), in order of the programmes.
    """

    card_state: str
    last_four: str
    lane: int | None
    wallet_id: int | None
    balance_minor: int
    lots: tuple[HeldLot, ...]
    read_time: datetime
    points: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WalletLine:
    """An entry of a wallet with its stored answer; an act on one of its cards moves nothing and has no amounts."""

    entry_id: int
    participant_id: int
    store_id: int | None
    terminal_id: int | None
    request_id: UUID
    occurred_time: datetime | None
    business_date: date
    original_entry_id: int | None
    sale_reference: str | None
    details: SaleDetails
    outcome: Outcome

    @property
    def balance_change_minor(self) -> int:
        """What the entry did to the wallet: above 0 value entered, below 0 value left, 0 for holds and acts."""
        if self.outcome.balance_change_minor is not None:
            return self.outcome.balance_change_minor
        moved = self.outcome.principal_minor + self.outcome.bonus_minor
        if self.outcome.kind in VALUE_ENTERS:
            return moved
        return -moved if self.outcome.kind in VALUE_LEAVES else 0
