"""What a wallet has spent lately: a fold of its journal, read when a limit asks for it and never stored.

So no counter can drift from the journal, begin from a wrong zero when a rule begins in the middle of a day, or cost
anything where no limit binds. A spend is a purchase or a hold, counted when it is made, with its whole amount: a
capture counts nothing more, a refund gives nothing back. One that is reversed on its own business date does not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from coalition.domain.kinds import Kind

SPENDS: Final = frozenset({Kind.PURCHASE, Kind.HOLD})
COUNTED: Final = SPENDS | {Kind.REVERSAL}
"""The kinds of entries that the fold looks at."""


class Tier(StrEnum):
    """How strongly a spend was authenticated; each tier has a day limit of its own (RELIABILITY 5.2)."""

    STATIC = "STATIC"
    """A credential that never changes: a card number, a virtual id."""
    CODE = "CODE"
    """A payment code."""
    CODE_PIN = "CODE_PIN"
    """A payment code and a PIN."""


class Line(NamedTuple):
    """An accepted entry of a wallet, as far as it can count."""

    entry_id: int
    kind: Kind
    card_id: int | None
    amount_minor: int
    business_date: date
    time: datetime
    tier: Tier
    original_entry_id: int | None


@dataclass(slots=True)
class Usage:
    """The spends of one wallet that count, by entry; since when, is for who reads them to say."""

    spends: dict[int, Line] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[Line]) -> "Usage":
        """The fold of `lines`, which come in the journal's order."""
        usage = cls()
        for line in lines:
            usage.take(line)
        return usage

    def take(self, line: Line) -> None:
        """Go on by one accepted entry."""
        if line.kind in SPENDS:
            self.spends[line.entry_id] = line
        elif line.kind is Kind.REVERSAL and line.original_entry_id is not None:
            original = self.spends.get(line.original_entry_id)
            if original is not None and original.business_date == line.business_date:
                del self.spends[line.original_entry_id]

    def on(self, day: date) -> list[Line]:
        """What was spent on a business date."""
        return [line for line in self.spends.values() if line.business_date == day]

    def in_month_of(self, day: date) -> list[Line]:
        """What was spent in the calendar month of a business date."""
        month = (day.year, day.month)
        return [line for line in self.spends.values() if (line.business_date.year, line.business_date.month) == month]


def total(lines: Iterable[Line]) -> int:
    """Their amounts together, minor units."""
    return sum(line.amount_minor for line in lines)


def hour_of(time: datetime) -> datetime:
    """When the clock hour of `time` began."""
    return time.replace(minute=0, second=0, microsecond=0)
