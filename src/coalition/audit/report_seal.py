"""The seal of a settlement report: a signed note over the digest of its manifest and the entry that recorded it.

The note's first line is no origin of a log and no batch label, so that no signature of the house's key over one kind of
text can be taken for another. Holds no key: signing and verifying are handed in.
"""

import re
from dataclasses import dataclass
from typing import Final

from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import KeyKind, NoteKey, SignedNote, Verify, sign_note
from coalition.audit.trust import Trust
from coalition.domain.ids import number_of
from coalition.domain.journal import Sign

HEADER: Final = "coalition settlement report v1"
BATCHES: Final = "/batches"
REPORTS: Final = "/reports"
_TEXT: Final = re.compile(
    rf"{HEADER}\nwindow (?P<window>[a-z0-9-]+/[^\n]+)\n"
    r"manifest (?P<digest>[0-9a-f]{64})\nentry (?P<entry>[0-9]{1,19})\n",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ReportSeal:
    """Which window, the SHA-256 of its manifest in hex, and the journal entry that says so."""

    window: str
    manifest_sha256: str
    entry_id: int

    def to_text(self) -> str:
        """The note's text."""
        return f"{HEADER}\nwindow {self.window}\nmanifest {self.manifest_sha256}\nentry {self.entry_id}\n"

    @classmethod
    def parse(cls, text: str) -> "ReportSeal":
        """Read a note's text. Raises EvidenceMalformed."""
        read = _TEXT.fullmatch(text)
        if read is None:
            raise EvidenceMalformed("this note is no seal of a settlement report")
        return cls(read["window"], read["digest"], int(read["entry"]))


@dataclass(frozen=True, slots=True)
class ReportSigner:
    """Signs seals as `key.name`. Which key that is, the key ring decides."""

    key: NoteKey
    sign: Sign

    def signed(self, seal: ReportSeal) -> SignedNote:
        """The same bytes whenever it is asked for: Ed25519 is deterministic."""
        return sign_note(seal.to_text(), self.key, self.sign)


def report_key(batches: NoteKey) -> NoteKey:
    """The key of reports that belongs to a key of batches: the same key under a name of its own."""
    return NoteKey(batches.name.removesuffix(BATCHES) + REPORTS, KeyKind.NOTE, batches.public_key)


def open_seal(note: SignedNote, trust: Trust, verify: Verify) -> ReportSeal:
    """The seal of a note that a key of `trust` signed, one that was in force at the entry's batch.

    Raises EvidenceBroken, EvidenceMalformed.
    """
    seal = ReportSeal.parse(note.text)
    number = number_of(seal.entry_id)
    keys = [report_key(each.key) for each in trust.batch_keys if each.may_sign(number)]
    if not note.signers(keys, verify):
        raise EvidenceBroken(f"the seal is not signed by a key that the trust file names for batch {number}")
    return seal
