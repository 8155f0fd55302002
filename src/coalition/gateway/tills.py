"""The mapping file: which till of the coalition a terminal id (DE41) of a merchant id (DE42) is, and who speaks for it.

CSV with the header `merchant_id,terminal_id,till,identity`; till is participant/store/terminal, identity may be empty
(then the gateway's own). Read and checked once at the start; whether a till is registered is the server's to say.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coalition.gateway.errors import TillsInvalid
from coalition.v1.operations_pb2 import TerminalRef

HEADER: Final = ["merchant_id", "terminal_id", "till", "identity"]
ROWS_MAX: Final = 100_000
_CODE: Final = "[a-z0-9][a-z0-9-]{0,62}"
_TILL: Final = re.compile(f"{_CODE}/{_CODE}/{_CODE}", re.ASCII)
_IDENTITY: Final = re.compile(f"(?:t/{_CODE}/{_CODE}/{_CODE}|ts/{_CODE}/{_CODE})", re.ASCII)
_MERCHANT: Final = re.compile(r"[!-~](?:[ -~]{0,13}[!-~])?", re.ASCII)
_TERMINAL: Final = re.compile(r"[!-~](?:[ -~]{0,6}[!-~])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Till:
    """A till of the coalition, such as cafe/main/till-1, and the identity that speaks for it."""

    path: str
    identity: str

    @property
    def ref(self) -> TerminalRef:
        """The till as requests name it."""
        participant, store, terminal = self.path.split("/")
        return TerminalRef(participant=participant, store=store, terminal=terminal)


Tills = Mapping[tuple[str, str], Till]
"""By merchant id and terminal id, without the blanks that fill them up."""


def is_identity(text: str) -> bool:
    """Whether it may speak for tills: ts/PARTICIPANT-OR-CHAIN/NAME or t/PARTICIPANT/STORE/TERMINAL."""
    return _IDENTITY.fullmatch(text) is not None


def load_tills(file: Path, identity: str) -> Tills:
    """Read the mapping file; rows without an identity are spoken for by `identity`. Raises TillsInvalid."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return read_tills(lines, identity)
    except OSError as error:
        raise TillsInvalid(f"the mapping file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TillsInvalid(f"the mapping file {file} is no text: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise TillsInvalid(f"the mapping file {file} is no CSV: {error}") from None


def read_tills(lines: Iterable[str], identity: str) -> Tills:
    """The tills of the lines of a mapping file. Raises TillsInvalid with the line and the cure."""
    rows = csv.reader(lines, strict=True)
    if next(rows, None) != HEADER:
        raise TillsInvalid(f"line 1 of the mapping file must be: {','.join(HEADER)}")
    tills: dict[tuple[str, str], Till] = {}
    line_of: dict[object, int] = {}
    for row in rows:
        line = rows.line_num
        if not row:
            continue
        if len(tills) == ROWS_MAX:
            raise TillsInvalid(f"line {line}: at most {ROWS_MAX} tills; give the rest to another gateway")
        key, till = _row(row, line, identity)
        for each, name in ((key, "merchant_id and terminal_id"), (till.path, "till")):
            if each in line_of:
                raise TillsInvalid(f"line {line}: {name} stand in line {line_of[each]} already; remove one of the two")
            line_of[each] = line
        tills[key] = till
    if not tills:
        raise TillsInvalid("the mapping file names no till; write a line for each terminal below the header")
    return tills


def _row(row: list[str], line: int, identity: str) -> tuple[tuple[str, str], Till]:
    if len(row) != len(HEADER):
        raise TillsInvalid(f"line {line}: {len(row)} columns; write {','.join(HEADER)} (identity may be empty)")
    merchant_id, terminal_id, path, own = (each.strip() for each in row)
    if not _MERCHANT.fullmatch(merchant_id):
        raise TillsInvalid(f"line {line}: merchant_id is DE42, 1 to 15 printable ASCII characters")
    if not _TERMINAL.fullmatch(terminal_id):
        raise TillsInvalid(f"line {line}: terminal_id is DE41, 1 to 8 printable ASCII characters")
    if not _TILL.fullmatch(path):
        raise TillsInvalid(f"line {line}: till is PARTICIPANT/STORE/TERMINAL, such as cafe/main/till-1")
    speaker = own or identity
    if not is_identity(speaker):
        raise TillsInvalid(f"line {line}: identity is ts/PARTICIPANT-OR-CHAIN/NAME or t/PARTICIPANT/STORE/TERMINAL")
    if speaker.startswith("t/") and speaker != f"t/{path}":
        raise TillsInvalid(
            f"line {line}: the terminal {speaker} speaks for itself only; name t/{path} or a till server"
        )
    return (merchant_id, terminal_id), Till(path, speaker)
