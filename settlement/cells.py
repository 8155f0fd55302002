"""How files of a report are written: cells, rows, JSON, digests. The same bytes everywhere; no clock, no locale."""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from coalition.domain.accounts import FIRST_OF_POINTS, Unit
from coalition.domain.kinds import Kind

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
KIND_NAMES: Final = {int(kind): kind.name for kind in Kind}
UNIT_NAMES: Final = {int(unit): unit.name for unit in Unit}


def guarded(text: str) -> str:
    """A text cell no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def timestamp(moment: datetime) -> str:
    """UTC with microseconds, whatever zone the session had."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def kind_text(kind: int) -> str:
    """An entry kind's name; a number that has none is shown as it is."""
    return KIND_NAMES.get(kind) or f"kind {kind}"


def unit_text(unit: int) -> str:
    """A unit's name; one of points by its number (`coalition agreement show` says whose), any other as it is."""
    return UNIT_NAMES.get(unit) or (f"POINTS {unit}" if unit >= FIRST_OF_POINTS else f"unit {unit}")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """UTF-8, commas, one line feed a row, the columns' names first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def append_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """More rows at the end of what `write_csv` began."""
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Sorted keys, two spaces, a line feed at the end."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def file_digest(path: Path) -> str:
    """SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
