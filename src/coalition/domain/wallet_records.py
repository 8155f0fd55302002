"""A member's wallet as the member sees it: balance, open lots, passes and points; issuers by their codes."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class LotRecord:
    """What is left of one top-up, minor units; `bonus_expiry` is the last day of its bonus."""

    lot_id: int
    issuer: str
    face: int
    principal: int
    bonus_expiry: date | None


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What is left of one pass; `last_day` None: it has no last day. Money is minor units."""

    pass_id: int
    issuer: str
    code: str
    visits: int
    visits_sold: int
    principal: int
    last_day: date | None


class EndingPoints(NamedTuple):
    """Points of a programme that may be spent until `last_day`."""

    programme: str
    points: int
    last_day: date


class PointsRecord(NamedTuple):
    """Points of a programme, and which of them end: the soonest first, a row a day, the first few."""

    programme: str
    points: int
    ending: tuple[EndingPoints, ...] = ()


@dataclass(frozen=True, slots=True)
class DebtRecord:
    """What is owed for one sale, or is to be given back of what was paid for it, minor units."""

    entry_id: int
    acquirer: str
    business_date: date
    owed_minor: int
    credit_minor: int


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """A wallet and its open lots in one snapshot, in the order they were bought. `state` is OPEN or CLOSED.

    So are its passes; `points` are not zeros, `debts` those of which anything is open.
    """

    lane: int
    wallet_id: int
    balance_minor: int
    state: str
    read_time: datetime
    lots: tuple[LotRecord, ...]
    passes: tuple[PassRecord, ...] = ()
    points: tuple[PointsRecord, ...] = ()
    debts: tuple[DebtRecord, ...] = ()
