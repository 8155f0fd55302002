"""The end of a terminal's day for people: its own count beside the journal's, and every difference of a close."""

from collections.abc import Iterable

from rich.table import Table

from coalition.cli.money import format_number
from coalition.cli.output import enum_name, table
from coalition.v1.operations_pb2 import EntryKind
from coalition.v1.terminal_pb2 import CloseDayResponse, DayDifference, KindTotal

COLUMNS = (">accepted", ">amount", ">declined")


def totals_table(title: str, ours: Iterable[KindTotal], theirs: Iterable[KindTotal]) -> Table:
    """Both counts, a kind a line; a line in which they differ is marked."""
    stated, recorded = {each.kind: each for each in ours}, {each.kind: each for each in theirs}
    rows = []
    for kind in sorted(stated.keys() | recorded.keys()):
        mine, journal = stated.get(kind, KindTotal(kind=kind)), recorded.get(kind, KindTotal(kind=kind))
        rows.append((kind_name(kind), *_cells(mine), *_cells(journal), "" if mine == journal else "DIFFERS"))
    return table(
        title, ("kind", *(f"{name}, till" for name in COLUMNS), *(f"{name}, journal" for name in COLUMNS), ""), rows
    )


def recorded_table(title: str, recorded: Iterable[KindTotal]) -> Table:
    """What the journal counts, a kind a line."""
    return table(title, ("kind", *COLUMNS), ((kind_name(each.kind), *_cells(each)) for each in recorded))


def close_text(number: int, business_date: str, answer: CloseDayResponse) -> str:
    """How a close was recorded, in one line."""
    if answer.agrees:
        told = "till and journal agree"
    else:
        listed = len(answer.differences)
        rest = f", the first {listed} are listed" if listed < answer.difference_count else ""
        told = f"{answer.difference_count} differences{rest}; they are on record and nothing was changed"
    return f"Day {business_date} is closed, number {number}: {told} (entry {answer.receipt.entry_id})."


def differences_table(differences: Iterable[DayDifference]) -> Table:
    """Every point in which a close and the journal differ."""
    return table(
        "differences",
        ("what", "kind", *(f"{name}, till" for name in COLUMNS), *(f"{name}, journal" for name in COLUMNS)),
        (
            (
                each.request_id or "all",
                kind_name((each.stated if each.HasField("stated") else each.recorded).kind),
                *(_cells(each.stated) if each.HasField("stated") else NOTHING),
                *(_cells(each.recorded) if each.HasField("recorded") else NOTHING),
            )
            for each in differences
        ),
    )


NOTHING = ("-", "-", "-")


def kind_name(kind: EntryKind.ValueType) -> str:
    """Such as TOP_UP."""
    return enum_name(KindTotal(kind=kind), "kind")


def _cells(total: KindTotal) -> tuple[str, str, str]:
    return str(total.accepted_count), format_number(total.accepted_minor), str(total.declined_count)
