"""What a witness decides (C2SP tlog-witness, add-checkpoint): a state machine without network, disk or key.

A witness remembers one checkpoint a log and cosigns only what has grown from it. Refusals carry the HTTP status and
body of the specification. Whoever calls must remember the new checkpoint before it lets the cosignature out, and must
let nobody else judge the same log meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coalition.audit.checkpoint import Checkpoint, parse_size
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import NoteKey, SignedNote, Verify, parse_hash, to_base64_lines
from coalition.audit.proofs import verify_consistency

PROOF_LINES_MAX: Final = 63
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
UNPROCESSABLE: Final = 422
REQUEST_BYTES_MAX: Final = 64 * 1024


class WitnessRefused(Exception):
    """The checkpoint is not cosigned. `status` is the HTTP status, `size` the remembered size where that was wrong."""

    def __init__(self, status: int, sentence: str, size: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.size = size


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the size the sender believes is remembered, the proof from there, the new checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: SignedNote

    def to_bytes(self) -> bytes:
        """The request's body."""
        return f"old {self.old_size}\n{to_base64_lines(self.proof)}\n{self.note}".encode()

    @classmethod
    def parse(cls, body: bytes) -> "AddCheckpoint":
        """Read a request's body. Raises WitnessRefused(400)."""
        head, blank, note = body.partition(b"\n\n")
        try:
            first, *proof = head.decode("ascii").split("\n")
            old, _, size = first.partition(" ")
            hashes = tuple(parse_hash(line, "line of the proof") for line in proof)
            request = cls(parse_size(size), hashes, SignedNote.parse(note))
        except (EvidenceMalformed, UnicodeDecodeError) as error:
            raise WitnessRefused(BAD_REQUEST, str(error)) from error
        if not blank or old != "old" or len(hashes) > PROOF_LINES_MAX:
            raise WitnessRefused(
                BAD_REQUEST, "a request is `old SIZE`, 63 lines of proof or fewer, an empty line, a note"
            )
        return request


def judge(
    request: AddCheckpoint, remembered: Checkpoint | None, logs: Mapping[str, Sequence[NoteKey]], verify: Verify
) -> Checkpoint:
    """The checkpoint to remember and cosign. `logs` are the keys trusted for each origin. Raises WitnessRefused."""
    try:
        checkpoint = Checkpoint.parse(request.note.text)
    except EvidenceMalformed as error:
        raise WitnessRefused(BAD_REQUEST, str(error)) from error
    keys = logs.get(checkpoint.origin)
    if keys is None:
        raise WitnessRefused(NOT_FOUND, "this witness does not know the log; its operator may add it")
    if not _is_signed(request.note, keys, verify):
        raise WitnessRefused(FORBIDDEN, "no signature below the checkpoint is by a key of this log")
    if request.old_size > checkpoint.size:
        raise WitnessRefused(BAD_REQUEST, "the old size is above the checkpoint's")
    size = remembered.size if remembered else 0
    if request.old_size != size:
        raise WitnessRefused(CONFLICT, f"the remembered size is {size}", size)
    if remembered is None:
        if request.proof:
            raise WitnessRefused(UNPROCESSABLE, "from size 0 the proof is empty")
        return checkpoint
    if checkpoint.size == size and checkpoint.root != remembered.root:
        raise WitnessRefused(CONFLICT, "another root of the same size is remembered", size)
    try:
        verify_consistency(size, checkpoint.size, remembered.root, checkpoint.root, request.proof)
    except EvidenceBroken as error:
        raise WitnessRefused(UNPROCESSABLE, str(error)) from error
    return checkpoint


def _is_signed(note: SignedNote, keys: Iterable[NoteKey], verify: Verify) -> bool:
    for key in keys:
        try:
            if note.signers([key], verify):
                return True
        except EvidenceBroken:
            continue
    return False
