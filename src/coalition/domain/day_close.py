"""A terminal's day: what it counted since its last close beside what the journal counts. Pure.

The terminal signs a statement of its totals; `statement` gives the bytes, `compare` every point in which they differ.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason


class Total(NamedTuple):
    """Operations of one kind: how many were accepted, their amounts in minor units, how many were declined."""

    accepted_count: int = 0
    accepted_minor: int = 0
    declined_count: int = 0

    def less(self, before: "Total") -> "Total":
        """What came since `before`, an earlier count of the same."""
        return Total(*(now - then for now, then in zip(self, before, strict=True)))


NOTHING = Total()
Totals = Mapping[Kind, Total]


class DayOperation(NamedTuple):
    """One operation as it is remembered; `amount_minor` is 0 for a decline."""

    request_id: UUID
    kind: Kind
    accepted: bool
    amount_minor: int

    @property
    def total(self) -> Total:
        """The operation counted alone."""
        return Total(1, self.amount_minor, 0) if self.accepted else Total(0, 0, 1)


@dataclass(frozen=True, slots=True)
class DayClose:
    """What a terminal states. `place` is participant/store/terminal; `operations` is None where it listed none."""

    place: str
    business_date: date
    number: int
    previous_hash: bytes
    totals: Totals
    operations: Sequence[DayOperation] | None = None

    def statement(self) -> bytes:
        """The bytes that are signed; see CloseDayRequest in protos/coalition/v1/terminal.proto."""
        lines = [
            "coalition day close 1",
            self.place,
            self.business_date.isoformat(),
            str(self.number),
            self.previous_hash.hex() or "-",
        ]
        lines += [f"{kind:d} {' '.join(map(str, self.totals[kind]))}" for kind in sorted(self.totals)]
        lines.append("operations -" if self.operations is None else self._operations_line(self.operations))
        return "".join(f"{line}\n" for line in lines).encode("ascii")

    def statement_hash(self) -> bytes:
        """SHA-256 of the statement: what the next close names as the one before."""
        return hashlib.sha256(self.statement()).digest()

    @staticmethod
    def _operations_line(operations: Sequence[DayOperation]) -> str:
        listed = "".join(
            f"{each.request_id} {each.kind:d} {each.accepted:d} {each.amount_minor}\n" for each in operations
        )
        return f"operations {len(operations)} {hashlib.sha256(listed.encode('ascii')).hexdigest()}"


class DayDifference(NamedTuple):
    """Terminal and journal differ in the totals of a kind (`request_id` None), or in one operation."""

    kind: Kind
    request_id: UUID | None
    stated: Total | None
    recorded: Total | None


class LastClose(NamedTuple):
    """A terminal's last close: its number (0 before the first), its statement's hash, and up to where it counted."""

    number: int
    statement_hash: bytes
    last_entry_id: int
    counted: Totals


BEFORE_THE_FIRST = LastClose(0, b"", 0, {})


@dataclass(frozen=True, slots=True)
class RecordedClose:
    """A close as it is kept: the statement with its signature and certificate (PEM), and what the journal counted."""

    close: DayClose
    signature: bytes
    certificate: bytes
    counted: Totals
    last_entry_id: int
    difference_count: int


def check_follows(close: DayClose, last: LastClose) -> None:
    """Raise Refused unless `close` is the next link behind `last`."""
    if close.number != last.number + 1:
        raise Refused(Reason.DAY_CLOSE_OUT_OF_ORDER, "number", {"next_number": str(last.number + 1)})
    if close.previous_hash != last.statement_hash:
        raise Refused(Reason.DAY_CLOSE_CHAIN_BROKEN, "previous_hash", {"next_number": str(last.number + 1)})


def since(counted: Totals, before: Totals) -> dict[Kind, Total]:
    """The totals that came since `before`, kinds without any left out."""
    fresh = {kind: total.less(before.get(kind, NOTHING)) for kind, total in counted.items()}
    return {kind: total for kind, total in sorted(fresh.items()) if total != NOTHING}


def compare_totals(stated: Totals, recorded: Totals) -> list[DayDifference]:
    """Every kind whose totals differ, by kind; a kind that one side does not name counts as nothing there."""
    return [
        DayDifference(kind, None, stated.get(kind), recorded.get(kind))
        for kind in sorted(stated.keys() | recorded.keys())
        if stated.get(kind, NOTHING) != recorded.get(kind, NOTHING)
    ]


def compare_operations(stated: Iterable[DayOperation], recorded: Iterable[DayOperation]) -> list[DayDifference]:
    """Every operation that one side misses or holds differently: the terminal's in its order, then the journal's rest.

    An operation that the terminal lists twice differs the second time: the journal holds each request_id once.
    """
    left = {each.request_id: each for each in recorded}
    differences = []
    for mine in stated:
        theirs = left.pop(mine.request_id, None)
        if mine != theirs:
            differences.append(DayDifference(mine.kind, mine.request_id, mine.total, theirs and theirs.total))
    differences += [DayDifference(each.kind, each.request_id, None, each.total) for each in left.values()]
    return differences
