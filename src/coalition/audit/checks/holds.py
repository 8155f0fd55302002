"""V10 and V20 of holds: each is made once and ends once, and those that are open in the tables are open by the log.

Memory grows with what is held at one time.
"""

from collections import defaultdict
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind

HOLD, REVERSAL = int(Kind.HOLD), int(Kind.REVERSAL)
ENDS_HOLD: Final = frozenset({int(Kind.CAPTURE), int(Kind.VOID), int(Kind.HOLD_EXPIRY)})
MAY_END: Final = ENDS_HOLD | {REVERSAL}
UNTIL: Final = 12
"""Where a stored answer tells until when a hold is held (domain/journal.py)."""


class Held(NamedTuple):
    """An open hold: of which wallet how much, until when (microseconds since 1970), and of each lot."""

    wallet: int
    amount: int
    until_us: int | None
    parts: tuple[tuple[int, int], ...]


class HoldChecks:
    """Sees every accepted operation, then the open holds of the tables."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables) -> None:
        self._bundle = bundle
        self._cycle, self._rows = report.checks["V10"], report.checks["V20"]
        self._tables = tables
        self._open: dict[int, Held] = {}
        self._ended: set[int] = set()
        self._ended_late: dict[int, Held] = {}  # open in the tables, perhaps: ended since these were read
        self._foreign = 0
        self.reserved: dict[int, int] = defaultdict(int)
        """By lot, what holds keep aside of it now."""

    def leaf(self, opened: Opened, answer: list[Any]) -> None:
        """The next accepted operation and its stored answer."""
        entry = opened.entry
        if entry.kind == HOLD:
            self._cycle.looked_at += 1
            until = answer[UNTIL] if len(answer) > UNTIL else None
            parts = tuple((allocation[0], allocation[2]) for allocation in entry.allocations)
            self._open[entry.entry_id] = Held(entry.wallet_id, entry.amount_minor, until, parts)
            for lot, face in parts:
                self.reserved[lot] += face
        elif entry.kind in ENDS_HOLD or (entry.kind in MAY_END and entry.original_entry_id in self._open):
            self._end(opened, entry.original_entry_id)

    def finish(self) -> None:
        """Everything was seen."""
        if self._foreign:
            self._cycle.lacks(f"{self._foreign} entries refer to what lies before the bundle's start")
        if not self._tables.are_there:
            return
        found = set()
        for hold, wallet, amount, until in self._bundle.state("holds"):
            self._rows.looked_at += 1
            found.add(hold)
            known = self._open.get(hold) or self._ended_late.get(hold)
            if known is None and hold in self._ended:
                self._tables.differs(self._rows, f"hold {hold} is open in the tables, and ended by the log")
            elif known is None:
                self._tables.stray(self._rows, f"no entry makes hold {hold}, which is open in the tables")
            elif (wallet, amount, until) != known[:3]:
                self._rows.breach(
                    f"hold {hold} holds another amount, or until another time, than by the log", None, hold
                )
        for hold in self._open:
            if number_of(hold) <= self._tables.since and hold not in found:
                self._tables.differs(self._rows, f"hold {hold} is open by the log, and not in the tables")

    def _end(self, opened: Opened, hold: int) -> None:
        self._cycle.looked_at += 1
        held, at, entry_id = self._open.pop(hold, None), opened.at, opened.entry.entry_id
        if held is None and hold in self._ended:
            self._cycle.breach(f"hold {hold} ends a second time", at, entry_id)
        elif held is None and self._bundle.start_size:
            self._foreign += 1
        elif held is None:
            self._cycle.breach(f"hold {hold} was never made", at, entry_id)
        elif opened.entry.amount_minor > held.amount:
            self._cycle.breach(f"hold {hold} is captured for more than it held", at, entry_id)
        self._ended.add(hold)
        for lot, face in () if held is None else held.parts:
            self.reserved[lot] -= face
            if not self.reserved[lot]:
                del self.reserved[lot]
        if held is not None and number_of(entry_id) > self._tables.since:
            self._ended_late[hold] = held
