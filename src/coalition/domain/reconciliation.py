"""Reconciliation: a merchant's own list of a window's sales beside ours, with the reason of each difference.

Pure. A line of theirs names one of our entries by entry id, by request id or by its sale reference; several entries may
bear one reference (a sale and its refund), then the one with the same amount is meant.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from coalition.domain.kinds import Kind

GIVE_BACK: Final = frozenset(
    {
        *(Kind.REFUND, Kind.REVERSAL, Kind.TOP_UP_REVERSAL, Kind.TOP_UP_RETURN, Kind.CASH_OUT, Kind.VOID),
        *(Kind.VISIT_RETURN, Kind.PASS_RETURN),
    }
)
"""Kinds that a till's list may show with a minus."""


class KeyKind(Enum):
    """By what a line names an entry."""

    ENTRY_ID = "entry_id"
    REQUEST_ID = "request_id"
    SALE_REFERENCE = "sale_reference"


class Finding(Enum):
    """How a line came out."""

    MATCHED = "MATCHED"
    DIFFERENT = "DIFFERENT"
    MISSING_HERE = "MISSING_HERE"
    MISSING_THERE = "MISSING_THERE"


class Why(Enum):
    """The reason of a finding that is not MATCHED."""

    AMOUNT = "AMOUNT"
    SIGN = "SIGN"
    REPEATED = "REPEATED"
    UNKNOWN = "UNKNOWN"
    DECLINED = "DECLINED"
    OTHER_WINDOW = "OTHER_WINDOW"
    NOT_IN_FILE = "NOT_IN_FILE"
    REVERSED = "REVERSED"


@dataclass(frozen=True, slots=True)
class TheirLine:
    """A line of the merchant's list; `number` counts from 1, amounts in minor units, given back below zero or not."""

    number: int
    key_kind: KeyKind
    key: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class OurLine:
    """An accepted operation of the merchant; `is_reversed`: the window holds its reversal too, or it is that."""

    entry_id: int
    request_id: str
    sale_reference: str
    kind: int
    amount_minor: int
    is_reversed: bool = False

    def key(self, kind: KeyKind) -> str:
        """What a line of theirs would call it."""
        if kind is KeyKind.ENTRY_ID:
            return str(self.entry_id)
        return self.request_id if kind is KeyKind.REQUEST_ID else self.sale_reference


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What became of a key that is not among the window's lines: a decline (its reason), or another window's label."""

    why: Why
    what: str


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the outcome: theirs, ours or both."""

    finding: Finding
    why: Why | None
    theirs: TheirLine | None
    ours: OurLine | None
    note: str = ""


def reconcile(
    theirs: Sequence[TheirLine],
    ours: Sequence[OurLine],
    elsewhere: Callable[[Sequence[TheirLine]], Mapping[int, Elsewhere]],
) -> list[Result]:
    """Every line of both sides once: theirs in their order, then what they lack, in ours.

    `elsewhere` is asked once, about the lines that name nothing here; it answers by line number.
    """
    by_key: dict[KeyKind, dict[str, list[OurLine]]] = {kind: defaultdict(list) for kind in KeyKind}
    for kind in {line.key_kind for line in theirs}:
        for own in ours:
            by_key[kind][own.key(kind)].append(own)
    taken: set[int] = set()
    found: dict[int, OurLine] = {}
    # Equal amounts first, so that a sale and its refund under one reference each find their own.
    for is_equal in (True, False):
        for line in theirs:
            if line.number in found:
                continue
            candidates = [own for own in by_key[line.key_kind].get(line.key, ()) if own.entry_id not in taken]
            chosen = next((own for own in candidates if agree(line, own) or not is_equal), None)
            if chosen is not None:
                taken.add(chosen.entry_id)
                found[line.number] = chosen
    lost = [line for line in theirs if line.number not in found]
    known = elsewhere([line for line in lost if line.key not in by_key[line.key_kind]])
    results = [
        matched(line, found[line.number])
        if line.number in found
        else missing_here(line, known.get(line.number), is_repeated=line.key in by_key[line.key_kind])
        for line in theirs
    ]
    return [*results, *missing_there(own for own in ours if own.entry_id not in taken)]


def agree(line: TheirLine, own: OurLine) -> bool:
    """Whether both sides say the same amount; a minus is theirs to write where something was given back."""
    return line.amount_minor == own.amount_minor or (line.amount_minor == -own.amount_minor and own.kind in GIVE_BACK)


def matched(line: TheirLine, own: OurLine) -> Result:
    """A line that names one of ours."""
    if agree(line, own):
        return Result(Finding.MATCHED, None, line, own)
    why = Why.SIGN if abs(line.amount_minor) == own.amount_minor else Why.AMOUNT
    return Result(Finding.DIFFERENT, why, line, own)


def missing_here(line: TheirLine, other: Elsewhere | None, *, is_repeated: bool) -> Result:
    """A line that names none of ours."""
    if is_repeated:
        return Result(Finding.MISSING_HERE, Why.REPEATED, line, None, "the file names this entry more than once")
    if other is not None:
        return Result(Finding.MISSING_HERE, other.why, line, None, other.what)
    return Result(Finding.MISSING_HERE, Why.UNKNOWN, line, None)


def missing_there(ours: Iterable[OurLine]) -> list[Result]:
    """Ours that the file does not name."""
    return [
        Result(Finding.MISSING_THERE, Why.REVERSED if own.is_reversed else Why.NOT_IN_FILE, None, own) for own in ours
    ]
