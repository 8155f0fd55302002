"""A merchant's own file against our window: read the file, match, say line by line what differs. Writes nothing.

The file is CSV with a heading: `entry_id`, `request_id` or `sale_reference`, and `amount` (12.34) or `amount_minor`
(1234). Other columns are left alone. A line may fill in any one of the three keys.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO
from uuid import UUID

from coalition.domain.reconciliation import Finding, KeyKind, Result, TheirLine, Why
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.reconciliation import reconciled
from settlement.cells import guarded, kind_text, write_csv
from settlement.errors import NeedsHuman
from settlement.multilateral import major

LINES_MAX: Final = 5_000_000
ENTRY_ID_MAX: Final = (1 << 63) - 1
COLUMNS: Final = (
    "finding",
    "why",
    "note",
    "line",
    "key",
    "their_amount",
    "entry_id",
    "kind",
    "sale_reference",
    "our_amount",
)
_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,13})(?:\.([0-9]{1,2}))?", re.ASCII)
_MINOR: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The outcome: every line of both sides, and how many came out how."""

    calendar: str
    label: str
    participant: str
    results: Sequence[Result]

    @property
    def counts(self) -> Mapping[Finding, int]:
        """How many lines came out how, also those that none did."""
        counted = Counter(result.finding for result in self.results)
        return {finding: counted[finding] for finding in Finding}

    @property
    def is_clean(self) -> bool:
        """Whether both sides say the same. A sale that was reversed may be absent from the file, with its reversal."""
        return all(result.finding is Finding.MATCHED or result.why is Why.REVERSED for result in self.results)


def reconcile_window(
    connection: Connection, calendar: str, label: str, participant: str, theirs: Sequence[TheirLine]
) -> Reconciled:
    """Hold `theirs` against the participant's operations of the window, which may still be open.

    Raises NeedsHuman if there is no such window or participant.
    """
    windows = store.windows(connection, calendar)
    window = next((each for each in windows if each.label == label), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    numbers = {party.code: party.participant_id for party in folded.parties(connection)}
    if participant not in numbers:
        raise NeedsHuman(f"--participant {participant}: no participant has this code")
    results = reconciled(connection, windows, window.window_id, numbers[participant], theirs)
    return Reconciled(calendar, label, participant, results)


def read_file(path: Path) -> list[TheirLine]:
    """The lines of a merchant's file. Raises NeedsHuman, naming the line and the column to correct."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(lines_of(file, path.name))
    except OSError as error:
        raise NeedsHuman(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NeedsHuman(f"{path} is not UTF-8: save it as CSV UTF-8") from error
    except csv.Error as error:
        raise NeedsHuman(f"{path} is no CSV: {error}") from error


def lines_of(file: TextIO, name: str) -> Iterable[TheirLine]:
    """One for each row of the CSV."""
    reader = csv.DictReader(file)
    columns = set(reader.fieldnames or ())
    if not columns & {kind.value for kind in KeyKind} or not columns & {"amount", "amount_minor"}:
        raise NeedsHuman(
            f"{name}: its first line must name entry_id, request_id or sale_reference, and amount or amount_minor"
        )
    for number, row in enumerate(reader, 1):
        if number > LINES_MAX:
            raise NeedsHuman(f"{name}: at most {LINES_MAX:,} lines are reconciled at once; split it")
        where = f"{name}, line {reader.line_num}"
        filled = [(kind, (row.get(kind.value) or "").strip()) for kind in KeyKind]
        key_kind, key = next(((kind, text) for kind, text in filled if text), (KeyKind.ENTRY_ID, ""))
        yield TheirLine(number, key_kind, checked_key(key_kind, key, where), amount_of(row, where))


def checked_key(kind: KeyKind, key: str, where: str) -> str:
    """The key as the journal writes it."""
    if not key:
        raise NeedsHuman(f"{where}: none of entry_id, request_id and sale_reference is filled in")
    if kind is KeyKind.ENTRY_ID and not (key.isascii() and key.isdigit() and int(key) <= ENTRY_ID_MAX):
        raise NeedsHuman(f"{where}, column entry_id: {key[:40]} is no entry id, which is a whole number")
    if kind is KeyKind.REQUEST_ID:
        try:
            return str(UUID(key))
        except ValueError:
            raise NeedsHuman(f"{where}, column request_id: {key[:40]} is no UUID") from None
    # Our own statements guard a reference that a spreadsheet would take for a formula.
    return key.removeprefix("'") if kind is KeyKind.SALE_REFERENCE and guarded(key.removeprefix("'")) == key else key


def amount_of(row: Mapping[str, str | None], where: str) -> int:
    """Minor units of a line."""
    minor, text = (row.get("amount_minor") or "").strip(), (row.get("amount") or "").strip()
    if minor:
        if not _MINOR.fullmatch(minor):
            raise NeedsHuman(f"{where}, column amount_minor: {minor[:40]} is no whole number of minor units")
        return int(minor)
    read = _AMOUNT.fullmatch(text)
    if read is None:
        raise NeedsHuman(f"{where}, column amount: {text[:40] or 'nothing'} is no amount such as 12.34")
    amount = int(read[2]) * 100 + int((read[3] or "").ljust(2, "0"))
    return -amount if read[1] else amount


def write_results(path: Path, reconciled: Reconciled) -> None:
    """Everything that is not the same, as CSV."""
    write_csv(path, COLUMNS, (cells(each) for each in reconciled.results if each.finding is not Finding.MATCHED))


def cells(result: Result) -> tuple[object, ...]:
    """One row of the outcome."""
    theirs, ours = result.theirs, result.ours
    return (
        result.finding.value,
        result.why.value if result.why else "",
        result.note,
        *((theirs.number, guarded(theirs.key), major(theirs.amount_minor)) if theirs else ("", "", "")),
        *(
            (ours.entry_id, kind_text(ours.kind), guarded(ours.sale_reference), major(ours.amount_minor))
            if ours
            else ("", "", "", "")
        ),
    )
