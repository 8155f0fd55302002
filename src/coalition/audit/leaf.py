"""What a journal entry looks like to an auditor: fixed bytes whose hash is its leaf, and how they are read again.

leaf_data, 142 bytes, big endian: version 1 | type 1 | time_us 8 | entity 16 | revision 4 | payload_sha256 32 |
actor_sha256 32 | request_id 16 | body_sha256 32 (the format of the house's reliability notes, 5.6). The payload is the
canonical form of the entry with all its legs; no personal data is in it. docs/audit-log.md spells every byte out.
"""

import struct
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Final, NamedTuple

from coalition.audit.errors import EvidenceMalformed
from coalition.domain.journal import Entry, micros_of

VERSION: Final = 1
TYPE_JOURNAL: Final = 1
_LEAF: Final = struct.Struct(">BBq16sI32s32s16s32s")
LEAF_BYTES: Final = _LEAF.size
_FIXED: Final = 16
_HEAD: Final = struct.Struct(f">{_FIXED}q")
_TRANSFER: Final = 6
_ALLOCATION: Final = 7
_LEG: Final = struct.Struct(f">{_TRANSFER}q")
_DRAW: Final = struct.Struct(f">{_ALLOCATION}q")
_NUMBER_BYTES: Final = 8
_PLACE: Final = itemgetter(1)
LEGS_MAX: Final = 10_000
"""Far above what an entry can have; a payload that says more is not read further."""


def payload(entry: Entry) -> bytes:
    """The entry's own bytes: its answer, a line feed, signed 64-bit big endian numbers, what was told of the sale.

    The numbers: entry, kind, reason, participant, store, terminal, wallet, card, amount, original, agreement, its
    version, business date (days, 1 is 0001-01-01), time of the sale (microseconds since 1970, UTC), count of transfers,
    count of allocations; per transfer debit, credit, amount, code, window, unit; per allocation, in order of their
    places, lot, place, face, principal, agreement, its version, original. 0 stands for what an entry does not have. The
    reference is UTF-8; where details of the sale were told, a line feed and their canonical JSON follow (no reference
    has a line feed in it).
    """
    allocations = entry.allocations
    if len(allocations) > 1:
        allocations = sorted(allocations, key=_PLACE)  # a refund returns the last draw first, and rows have no order
    numbers: list[int] = [
        entry.entry_id,
        entry.kind,
        entry.reason,
        entry.participant_id,
        entry.store_id or 0,
        entry.terminal_id or 0,
        entry.wallet_id or 0,
        entry.card_id or 0,
        entry.amount_minor,
        entry.original_entry_id or 0,
        entry.agreement_id or 0,
        entry.agreement_version or 0,
        entry.business_date.toordinal(),
        micros_of(entry.occurred_time) if entry.occurred_time else 0,
        len(entry.transfers),
        len(allocations),
    ]
    for debit, credit, amount, code, window, unit in entry.transfers:
        numbers += (debit, credit, amount, code, window or 0, unit)
    for lot, place, face, principal, agreement, version, original in allocations:
        numbers += (lot, place, face, principal, agreement or 0, version or 0, original or 0)
    reference = (entry.sale_reference or "").encode()
    told = b"\n" + entry.details if entry.details else b""
    return b"%b\n%b%b%b" % (entry.answer, struct.pack(f">{len(numbers)}q", *numbers), reference, told)


@lru_cache(maxsize=4096)
def actor_hash(actor: str) -> bytes:
    """What stands for the identity that asked."""
    return sha256(actor.encode()).digest()


def leaf_data(time_us: int, entry: Entry, own: bytes) -> bytes:
    """The bytes a leaf is the hash of; `own` is the entry's payload, `time_us` its batch's time."""
    return _LEAF.pack(
        VERSION,
        TYPE_JOURNAL,
        time_us,
        (entry.wallet_id or 0).to_bytes(16, "big"),
        0,
        sha256(own).digest(),
        actor_hash(entry.actor),
        entry.request_id.bytes,
        entry.body_hash,
    )


def leaves(time: datetime, entries: Sequence[Entry]) -> list[bytes]:
    """The leaf hash of every entry of a batch, in the batch's order."""
    time_us = micros_of(time)
    # leaf_hash, without a call an entry: this is on the tills' path.
    return [sha256(b"\x00" + leaf_data(time_us, entry, payload(entry))).digest() for entry in entries]


class LeafData(NamedTuple):
    """A leaf's bytes, read."""

    version: int
    type: int
    time_us: int
    entity: bytes
    revision: int
    payload_hash: bytes
    actor_hash: bytes
    request_id: bytes
    body_hash: bytes

    @classmethod
    def parse(cls, data: bytes) -> "LeafData":
        """Raises EvidenceMalformed unless there are 142 bytes. What they say is judged by whoever asked."""
        if len(data) != LEAF_BYTES:
            raise EvidenceMalformed(f"a leaf has {LEAF_BYTES} bytes, not {len(data)}")
        return cls(*_LEAF.unpack(data))


class Payload(NamedTuple):
    """An entry's own bytes, read; the fields are those of `payload`, 0 or empty for what it does not have."""

    answer: bytes
    entry_id: int
    kind: int
    reason: int
    participant_id: int
    store_id: int
    terminal_id: int
    wallet_id: int
    card_id: int
    amount_minor: int
    original_entry_id: int
    agreement_id: int
    agreement_version: int
    business_day: int
    occurred_us: int
    transfers: tuple[tuple[int, ...], ...]
    allocations: tuple[tuple[int, ...], ...]
    reference: bytes
    details: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Payload":
        """Raises EvidenceMalformed where the bytes end too early or say impossible counts."""
        begin = data.find(b"\n") + 1
        if not begin or len(data) < begin + _FIXED * _NUMBER_BYTES:
            raise EvidenceMalformed("a payload is an answer, a line feed and at least 16 numbers")
        *fixed, transfer_count, allocation_count = _HEAD.unpack_from(data, begin)
        if not (0 <= transfer_count <= LEGS_MAX and 0 <= allocation_count <= LEGS_MAX):
            raise EvidenceMalformed("a payload says an impossible count of legs")
        count = transfer_count * _TRANSFER + allocation_count * _ALLOCATION
        begin_legs = begin + _FIXED * _NUMBER_BYTES
        end = begin_legs + count * _NUMBER_BYTES
        if len(data) < end:
            raise EvidenceMalformed("a payload ends within its legs")
        split = begin_legs + transfer_count * _TRANSFER * _NUMBER_BYTES
        transfers = tuple(_LEG.iter_unpack(data[begin_legs:split]))
        allocations = tuple(_DRAW.iter_unpack(data[split:end]))
        reference, _, details = data[end:].partition(b"\n")
        return cls._make((data[: begin - 1], *fixed, transfers, allocations, reference, details))
