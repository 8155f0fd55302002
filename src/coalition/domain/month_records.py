"""The month's rows as lists show them: windows, positions and claims, participants by their codes."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """A window; what has not happened yet is None. `state` is OPEN, CLOSED, NETTED or SETTLED."""

    window_id: int
    calendar: str
    label: str
    state: str
    open_time: datetime
    close_time: datetime | None
    cut_number: int | None
    net_time: datetime | None
    netting_entry_id: int | None


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """What a participant received and sent in a window, minor units of `unit`."""

    participant: str
    unit: int
    received_minor: int
    sent_minor: int

    @property
    def net_position_minor(self) -> int:
        return self.received_minor - self.sent_minor


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    """What one participant owes another in a window under one code, minor units of `unit`."""

    debtor: str
    creditor: str
    code: int
    unit: int
    amount_minor: int
    transfer_count: int


@dataclass(frozen=True, slots=True)
class NettedTotals:
    """All claims of a netted window added up, and what is paid after netting, minor units of the scheme's currency."""

    gross_minor: int
    net_minor: int
