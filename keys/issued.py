"""The authority's record of what it issued: one line of JSON a certificate, appended before the files are handed out.

Without it a certificate that was replaced could not be revoked any more: nobody would know its serial number. Holds no
key. An authority older than this record has none for its first certificates; those are revoked by serial number.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from keys import private_files
from keys.errors import KeyFileBroken

RECORD_NAME: Final = "issued.jsonl"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate this authority signed: its serial number, its SPIFFE id, and its life."""

    serial: int
    identity: str
    begin: datetime
    end: datetime


def record(directory: Path, certificate: Issued) -> None:
    """Append a certificate; durable when this returns."""
    line = json.dumps(
        {
            "serial": f"{certificate.serial:x}",
            "identity": certificate.identity,
            "begin": certificate.begin.isoformat(),
            "end": certificate.end.isoformat(),
        }
    )
    path = directory / RECORD_NAME
    is_new = not path.exists()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, private_files.FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        private_files.sync_directory(directory)


def read_record(directory: Path) -> list[Issued]:
    """Everything issued, oldest first; nothing where there is no record. Raises KeyFileBroken, which names the line."""
    path = directory / RECORD_NAME
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            fields = json.loads(line)
            found.append(
                Issued(
                    int(fields["serial"], 16),
                    str(fields["identity"]),
                    datetime.fromisoformat(fields["begin"]),
                    datetime.fromisoformat(fields["end"]),
                )
            )
        except (ValueError, KeyError, TypeError):
            raise KeyFileBroken(path, f"line {number} is no certificate's; restore it from a backup") from None
    return found
