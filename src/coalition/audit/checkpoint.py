"""Checkpoints of C2SP tlog-checkpoint: origin, size and root of the log, as the text of a signed note.

The same size always gives the same bytes (Ed25519 is deterministic), so a log that signs a size twice says one thing.
"""

import base64
from dataclasses import dataclass
from typing import Final

from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import NoteKey, SignedNote, Verify, check_name, parse_hash

LINES: Final = 3
SIZE_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its name, how many leaves it has, the root over them."""

    origin: str
    size: int
    root: bytes

    def to_text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a note's text; extension lines are refused, our logs write none. Raises EvidenceMalformed."""
        lines = text.split("\n")
        if len(lines) != LINES + 1 or lines[LINES]:
            raise EvidenceMalformed("a checkpoint has three lines: origin, size, root")
        origin, size, root = lines[:LINES]
        check_name(origin)
        return cls(origin, parse_size(size), parse_hash(root, "root of the checkpoint"))


def parse_size(text: str) -> int:
    """A tree size in decimal, without leading zeroes. Raises EvidenceMalformed."""
    if not (text.isascii() and text.isdigit()) or (len(text) > 1 and text[0] == "0") or len(text) > len(str(SIZE_MAX)):
        raise EvidenceMalformed("a tree size is a decimal number without leading zeroes")
    size = int(text)
    if size > SIZE_MAX:
        raise EvidenceMalformed("a tree size has at most 63 bits")
    return size


def open_checkpoint(note: SignedNote, key: NoteKey, verify: Verify) -> Checkpoint:
    """The checkpoint of a note that the log `key` has signed, its name being the origin.

    Raises EvidenceBroken, EvidenceMalformed.
    """
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != key.name:
        raise EvidenceBroken(f"the checkpoint is of {checkpoint.origin}, not of {key.name}")
    if not note.signers([key], verify):
        raise EvidenceBroken(f"the checkpoint is not signed by {key.name} with key {key.key_id.hex()}")
    return checkpoint
