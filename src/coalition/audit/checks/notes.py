"""V1, V2, V4: the signed notes of a bundle. Whose log it is, who has seen it when, and that it has only grown."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import CHECKPOINT, START
from coalition.audit.checkpoint import Checkpoint
from coalition.audit.checks.report import Report
from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.note import NoteKey, SignedNote, Verify
from coalition.audit.trust import Trust

WITNESS_SLACK_SECONDS: Final = 300  # how far a witness's clock may be from the ledger's


class NoteChecks:
    """Reads every note at once. `previous` are checkpoints that the auditor has kept; `now` is seconds since 1970.

    Afterwards `waiting` holds the roots that the leaves must lead to, by size, and `witness_times` the earliest time at
    which a witness saw a size.
    """

    def __init__(
        self, bundle: Bundle, trust: Trust, verify: Verify, now: int, previous: Sequence[bytes], report: Report
    ) -> None:
        self._bundle, self._trust, self._verify, self._now = bundle, trust, verify, now
        self._checks = report.checks
        self._edge = bundle.edge()
        self.waiting: dict[int, Checkpoint] = {}
        self.witness_times: dict[int, int] = {}
        self._start_and_end()
        for note in bundle.notes_between():
            self._between(note)
        for note in previous:
            self._previous(note)
        self._check_times()

    def _start_and_end(self) -> None:
        bundle, grown = self._bundle, self._checks["V4"]
        end = self._take(bundle.note(CHECKPOINT) or b"", "the end", witnessed=True)
        if end is not None and end.size != bundle.end_size:
            self._checks["V5"].breach(f"the manifest ends at {bundle.end_size}, the checkpoint at {end.size}")
        if bundle.start_size == 0:
            return
        grown.looked_at += 1
        start = self._take(bundle.note(START) or b"", "the start", witnessed=True)
        if start is None:
            grown.lacks("the start's checkpoint cannot be used")
        elif start.size != bundle.start_size or start.root != self._edge.root():
            grown.breach(f"the tree's edge is not that of the checkpoint the bundle starts from, {start.size}")

    def _take(self, note: bytes, what: str, *, witnessed: bool = False) -> Checkpoint | None:
        """A checkpoint that is the pinned log's; what it says must be reached by the leaves."""
        pins, signed = self._checks["V1"], self._checks["V2"]
        pins.looked_at += 1
        signed.looked_at += 1
        try:
            read = SignedNote.parse(note)
            checkpoint = Checkpoint.parse(read.text)
        except EvidenceMalformed as error:
            signed.breach(f"the checkpoint of {what} cannot be read: {error}")
            return None
        key = self._trust.log
        if checkpoint.origin != key.name:
            pins.breach(f"the checkpoint of {what} is of the log {checkpoint.origin}, not of {key.name}")
            return None
        if not any((each.name, each.key_id) == (key.name, key.key_id) for each in read.signatures):
            pins.breach(f"the checkpoint of {what} is not signed with the pinned key {key.key_id.hex()}")
            return None
        try:
            read.signers([key], self._verify)
            cosigners = read.signers(self._trust.policy.witness_keys, self._verify)
        except EvidenceBroken as error:
            signed.breach(f"the checkpoint of {what}, of {checkpoint.size} entries: {error}")
            return None
        if witnessed and not self._trust.policy.is_met(cosigners):
            signed.lacks(
                f"the checkpoint of {what}, of {checkpoint.size} entries, has not the cosignatures of the quorum"
            )
        self._note_times(read, checkpoint, cosigners)
        other = self.waiting.setdefault(checkpoint.size, checkpoint)
        if other.root != checkpoint.root:
            self._checks["V3"].breach(f"two roots were signed for one size, {checkpoint.size}: the log was forked")
        return checkpoint

    def _note_times(self, note: SignedNote, checkpoint: Checkpoint, cosigners: Sequence[NoteKey]) -> None:
        for key in cosigners:
            for time in note.cosigned_times(key):
                if time > self._now + WITNESS_SLACK_SECONDS:
                    self._checks["V2"].breach(f"{key.name} cosigned {checkpoint.size} entries in the future")
                known = self.witness_times.get(checkpoint.size)
                self.witness_times[checkpoint.size] = time if known is None else min(known, time)

    def _between(self, note: bytes) -> None:
        checkpoint = self._take(note, "a place between")
        if checkpoint is not None and not self._bundle.start_size <= checkpoint.size <= self._bundle.end_size:
            self.waiting.pop(checkpoint.size)  # it says nothing about this range

    def _check_times(self) -> None:
        times = [self.witness_times[size] for size in sorted(self.witness_times)]
        if any(later + WITNESS_SLACK_SECONDS < earlier for earlier, later in pairwise(times)):
            self._checks["V2"].breach("a larger checkpoint was cosigned before a smaller one")

    def _previous(self, note: bytes) -> None:
        """A checkpoint that the auditor has kept: the log must have grown from it."""
        grown = self._checks["V4"]
        grown.looked_at += 1
        checkpoint = self._take(note, "your previous look")
        if checkpoint is None:
            grown.lacks("your previous checkpoint cannot be used")
        elif checkpoint.size < self._bundle.start_size:
            self.waiting.pop(checkpoint.size, None)
            start = self._bundle.start_size
            grown.lacks(f"the bundle starts at {start}: ask for one from your previous look at {checkpoint.size}")
        elif checkpoint.size > self._bundle.end_size:
            end = self._bundle.end_size
            grown.breach(f"you have seen {checkpoint.size} entries, and the bundle's newest checkpoint has {end}")
        elif checkpoint.size == self._bundle.start_size and checkpoint.root != self._edge.root():
            grown.breach(f"the log has another root for the {checkpoint.size} entries of your previous look")
