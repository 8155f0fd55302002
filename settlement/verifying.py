"""Checking a report on a merchant's or an auditor's desk: its files, its manifest, the seal. Opens no database.

Decides nothing about figures: who wants to recompute them has the journal's bundle (`coalition audit verify`).
"""

from dataclasses import dataclass
from pathlib import Path

from coalition.audit.bundle_format import read_bounded
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import NOTE_BYTES_MAX, SignedNote, Verify
from coalition.audit.report_seal import open_seal
from coalition.audit.trust import Trust
from settlement.cells import file_digest
from settlement.errors import NeedsHuman
from settlement.manifest import MANIFEST, NOTE, check_files


@dataclass(frozen=True, slots=True)
class Verified:
    """A report whose files are as they were sealed; `entry_id` is the journal entry that recorded its manifest."""

    window: str
    files: int
    manifest_sha256: str
    entry_id: int


def verify_report(directory: Path, trust: Trust, verify: Verify) -> Verified:
    """Hold every file against the manifest, and that against its seal. Raises NeedsHuman, saying what is wrong."""
    listed = check_files(directory)
    if not (directory / NOTE).is_file():
        raise NeedsHuman(f"{directory} has no {NOTE}: this report was not sealed")
    digest = file_digest(directory / MANIFEST)
    try:
        seal = open_seal(SignedNote.parse(read_bounded(directory / NOTE, NOTE_BYTES_MAX)), trust, verify)
    except (EvidenceBroken, EvidenceMalformed) as error:
        raise NeedsHuman(f"{directory / NOTE}: {error}") from error
    if (seal.window, seal.manifest_sha256) != (listed["window"], digest):
        raise NeedsHuman(
            f"{directory}: the seal is over manifest {seal.manifest_sha256} of {seal.window}, "
            f"the files are of manifest {digest} of {listed['window']}"
        )
    return Verified(seal.window, int(str(listed["files"])), digest, seal.entry_id)
