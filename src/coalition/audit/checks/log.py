"""V3, V5 to V7, V21, V22: the leaves. That they are whole, in order, sealed, and lead to what was signed."""

import hashlib
from collections.abc import Iterator
from typing import Final

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import BatchSeal
from coalition.audit.checkpoint import Checkpoint
from coalition.audit.checks.notes import WITNESS_SLACK_SECONDS, NoteChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.leaf import LEGS_MAX, TYPE_JOURNAL, VERSION, LeafData
from coalition.audit.merkle import root_hash
from coalition.audit.notary import batch_message
from coalition.audit.note import Verify
from coalition.audit.trust import Trust
from coalition.domain.accounts import FIRST_OF_POINTS, UNIT_MAX, AccountKind, TransferCode, Unit
from coalition.domain.ids import number_of, place_of
from coalition.domain.kinds import Kind
from coalition.domain.reasons import FIRST_UNSTORED, Reason

# Two batches that are written at once take number and time in one order, but not in one instant.
TIME_SLACK_US: Final = 2_000_000
KINDS: Final = frozenset(map(int, Kind))
REASONS: Final = frozenset(int(reason) for reason in Reason if reason < FIRST_UNSTORED)
CODES: Final = frozenset(map(int, TransferCode))
UNITS: Final = frozenset(map(int, Unit))
ACCOUNTS: Final = frozenset(map(int, AccountKind))
ANSWER_BYTES_MAX: Final = 1024 * 1024
"""An import tells of 500 members, a close of a day of 1,000 differences: some 150 KB."""
MICROS: Final = 1_000_000


class LogChecks:
    """Sees every leaf with its hash, in order, then sums up. `notes` says which roots must be reached."""

    def __init__(self, bundle: Bundle, trust: Trust, verify: Verify, notes: NoteChecks, report: Report) -> None:
        self._bundle, self._trust, self._verify, self._notes = bundle, trust, verify, notes
        self._checks = report.checks
        self._edge = bundle.edge()
        self._seals: Iterator[BatchSeal] = bundle.batches()
        self._next_seal = next(self._seals, None)
        self._seal: BatchSeal | None = None
        self._batch_leaves: list[bytes] = []
        self._last_number = 0
        self._latest_us = 0
        self._pending: list[bytes] = []
        self._shapes: set[tuple[int, int, int, int]] = set()  # of legs, that were found to be known
        self._actors: set[str] = set()

    @property
    def size(self) -> int:
        """How large the tree is that was grown so far."""
        return self._edge.size + len(self._pending)

    def leaf(self, opened: Opened, leaf_hash: bytes) -> None:
        """The next leaf."""
        entry, data, index = opened.entry, opened.leaf, opened.at
        self._sequence(opened)
        if opened.actor is None:
            self._checks["V6"].lacks(f"the actor of leaf {index} is not told")
        else:
            self._actors.add(opened.actor)
        if data.entity != (entry.wallet_id & (1 << 128) - 1).to_bytes(16, "big") or data.revision:
            self._checks["V6"].breach("the leaf names another wallet than the entry", index, entry.entry_id)
        self._checks["V6"].looked_at += 1
        self._bounds(opened)
        self._grow(leaf_hash)
        self._batch_leaves.append(leaf_hash)
        if self._seal is not None and len(self._batch_leaves) == self._seal.entry_count:
            self._sealed(self._seal)

    def wrong_bytes(self, index: int, entry_id: int | None) -> None:
        """The payload is not the one that the leaf names."""
        self._checks["V6"].breach("the entry's bytes are not those its leaf names", index, entry_id)

    def unreadable(self, index: int, cause: str, leaf_hash: bytes) -> None:
        """A leaf or payload that cannot be read; the tree grows by it all the same."""
        self._checks["V22"].breach(f"the entry cannot be read: {cause}", index)
        self._grow(leaf_hash)
        self._batch_leaves.append(leaf_hash)

    def finish(self) -> None:
        """Everything was seen."""
        self._flush()
        if strangers := set(self._bundle.actors.values()) - self._actors:
            self._checks["V6"].lacks(f"the bundle names {len(strangers)} actors who are in no leaf of it")
        order, root = self._checks["V5"], self._checks["V3"]
        if self._batch_leaves:
            order.breach(f"batch {self._last_number} ends within the bundle: {len(self._batch_leaves)} entries of it")
        if self._next_seal is not None:
            order.breach(f"batch {self._next_seal.number} has a seal and no entries")
        wanted = self._bundle.end_size - self._bundle.start_size
        if self._bundle.count != wanted:
            order.breach(f"the bundle has {self._bundle.count} leaves where its checkpoints span {wanted}")
        for size, checkpoint in self._notes.waiting.items():
            if size > self._edge.size:
                root.breach(f"the checkpoint over {checkpoint.size} entries was never reached: entries are missing")

    def _sequence(self, opened: Opened) -> None:
        """V5 and V7: numbers rise, places have no gap, each batch has its seal; times do not go back."""
        order, times = self._checks["V5"], self._checks["V7"]
        order.looked_at += 1
        entry_id, index = opened.entry.entry_id, opened.at
        number, place = number_of(entry_id), place_of(entry_id)
        if self._batch_leaves and number != self._last_number:
            order.breach(f"batch {self._last_number} has fewer entries than it was sealed with", index, entry_id)
            self._batch_leaves = []
        if not self._batch_leaves:
            if number <= self._last_number:
                order.breach(f"batch {number} stands behind batch {self._last_number}", index, entry_id)
            self._last_number = number
            self._seal = self._seal_of(number, opened)
        if place != len(self._batch_leaves):
            order.breach(
                f"the entry says place {place} of its batch and stands at {len(self._batch_leaves)}", index, entry_id
            )
        time = opened.leaf.time_us
        times.looked_at += 1
        if self._seal is not None and self._seal.time_us != time:
            times.breach("the entry's time is not its batch's", index, entry_id)
        if time + TIME_SLACK_US < self._latest_us:
            times.breach("the entry's time lies before that of entries before it", index, entry_id)
        self._latest_us = max(self._latest_us, time)

    def _seal_of(self, number: int, opened: Opened) -> BatchSeal | None:
        """The seal of a batch; seals lie in the order of their numbers too."""
        while self._next_seal is not None and self._next_seal.number < number:
            self._checks["V5"].breach(f"batch {self._next_seal.number} has a seal and no entries", opened.at)
            self._next_seal = next(self._seals, None)
        seal = self._next_seal
        if seal is None or seal.number != number:
            self._checks["V5"].breach(f"batch {number} has no seal", opened.at, opened.entry.entry_id)
            return None
        self._next_seal = next(self._seals, None)
        return seal

    def _sealed(self, seal: BatchSeal) -> None:
        """V21: the batch's leaves lead to its root, and the root is signed."""
        check = self._checks["V21"]
        check.looked_at += 1
        if root_hash(self._batch_leaves) != seal.root:
            check.breach(f"the entries of batch {seal.number} do not lead to the root that was sealed")
        keys = self._trust.keys_of(seal.number)
        message = batch_message(seal.number, seal.entry_count, seal.root)
        if not keys:
            check.breach(f"no pinned key may have sealed batch {seal.number}")
        elif not any(self._verify(key, seal.signature, message) for key in keys):
            check.breach(f"batch {seal.number} is not sealed by a key that was valid for it")
        self._batch_leaves = []

    def _bounds(self, opened: Opened) -> None:
        check, entry, data = self._checks["V22"], opened.entry, opened.leaf
        check.looked_at += 1
        if data.version != VERSION or data.type != TYPE_JOURNAL:
            check.breach(f"leaf of unknown version {data.version} or type {data.type}", opened.at, entry.entry_id)
        if entry.kind not in KINDS or entry.reason not in REASONS:
            check.breach(f"entry of unknown kind {entry.kind} or reason {entry.reason}", opened.at, entry.entry_id)
        if len(entry.answer) > ANSWER_BYTES_MAX or len(entry.transfers) + len(entry.allocations) > LEGS_MAX:
            check.breach("the entry is larger than one can be", opened.at, entry.entry_id)
        shapes = {(debit >> 48, credit >> 48, code, unit) for debit, credit, _, code, _, unit in entry.transfers}
        for shape in shapes - self._shapes:  # hardly ever one: there are a few dozen
            is_unit = shape[3] in UNITS or FIRST_OF_POINTS <= shape[3] <= UNIT_MAX
            if shape[2] in CODES and is_unit and {shape[0], shape[1]} <= ACCOUNTS:
                self._shapes.add(shape)
            else:
                check.breach("a leg of unknown code, unit or account", opened.at, entry.entry_id)

    def _grow(self, leaf_hash: bytes) -> None:
        self._pending.append(leaf_hash)
        size = self.size
        if size in self._notes.waiting or len(self._pending) >= 4096:  # noqa: PLR2004 - sixteen tiles at a time
            self._flush()
        if (checkpoint := self._notes.waiting.get(size)) is not None:
            self._reached(checkpoint)

    def _reached(self, checkpoint: Checkpoint) -> None:
        root = self._checks["V3"]
        root.looked_at += 1
        if self._edge.root() != checkpoint.root:
            root.breach(f"the first {checkpoint.size} entries do not lead to the root that was signed for them")
        seen = self._notes.witness_times.get(checkpoint.size)
        if seen is not None and self._latest_us > (seen + WITNESS_SLACK_SECONDS) * MICROS:
            self._checks["V7"].breach(
                f"entries among the first {checkpoint.size} are dated behind their witness's time"
            )

    def _flush(self) -> None:
        self._edge.append(self._pending)
        self._pending = []


def leaf_data_holds(data: LeafData, payload: bytes) -> bool:
    """Whether the payload is the one that the leaf names."""
    return hashlib.sha256(payload).digest() == data.payload_hash
