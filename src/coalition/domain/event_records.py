"""Events as lists show them, participants by their codes."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from coalition.domain.events import EventKind
from coalition.domain.wallet_lines import WalletLine
from coalition.domain.wallet_records import EndingPoints, LotRecord


class SettlementEvent(NamedTuple):
    """As it is told. `participant` is empty where everybody is; amounts as in `domain.events.Told`."""

    entry_id: int
    place: int
    kind: EventKind
    participant: str
    amount_minor: int
    run_id: int
    window: str
    subject: str
    time: datetime


class MemberEvent(NamedTuple):
    """An event under its name (entry_id, place), and what it is about: a line of the wallet, or a lot or points that
    end, as they are now.

    `successor` is who owes the lot from now on; empty where that did not change.
    """

    entry_id: int
    place: int
    kind: EventKind
    member_id: UUID
    time: datetime
    line: WalletLine | None = None
    lot: LotRecord | None = None
    successor: str = ""
    points: EndingPoints | None = None


class MemberEvents(NamedTuple):
    """A page: its events, and behind what the next one begins."""

    events: list[MemberEvent]
    next_after: tuple[int, int]
