"""What a journal entry looks like to an auditor: fixed bytes whose hash is its leaf.

leaf_data, 142 bytes, big endian: version 1 | type 1 | time_us 8 | entity 16 | revision 4 | payload_sha256 32 |
actor_sha256 32 | request_id 16 | body_sha256 32 (the format of the house's reliability notes, 5.6). The payload is the
canonical form of the entry with all its legs; no personal data is in it.
"""

import hashlib
import struct
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from coalition.audit.merkle import leaf_hash
from coalition.domain.journal import Entry, micros_of

VERSION: Final = 1
TYPE_JOURNAL: Final = 1
_LEAF: Final = struct.Struct(">BBq16sI32s32s16s32s")


def payload(entry: Entry) -> bytes:
    """The entry's own bytes: its answer, a line feed, signed 64-bit big endian numbers, what was told of the sale.

    The numbers: entry, kind, reason, participant, store, terminal, wallet, card, amount, original, agreement, its
    version, business date (days, 1 is 0001-01-01), time of the sale (microseconds since 1970, UTC), count of transfers,
    count of allocations; per transfer debit, credit, amount, code, window, unit; per allocation lot, place, face,
    principal, agreement, its version, original. 0 stands for what an entry does not have. The reference is UTF-8; where
    details of the sale were told, a line feed and their canonical JSON follow (no reference has a line feed in it).
    """
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
        len(entry.allocations),
    ]
    for debit, credit, amount, code, window, unit in entry.transfers:
        numbers += (debit, credit, amount, code, window or 0, unit)
    for lot, place, face, principal, agreement, version, original in entry.allocations:
        numbers += (lot, place, face, principal, agreement or 0, version or 0, original or 0)
    reference = (entry.sale_reference or "").encode()
    told = b"\n" + entry.details if entry.details else b""
    return b"%b\n%b%b%b" % (entry.answer, struct.pack(f">{len(numbers)}q", *numbers), reference, told)


@lru_cache(maxsize=4096)
def _actor_hash(actor: str) -> bytes:
    return hashlib.sha256(actor.encode()).digest()


def leaves(time: datetime, entries: Sequence[Entry]) -> list[bytes]:
    """The leaf hash of every entry of a batch, in the batch's order."""
    time_us = micros_of(time)
    return [
        leaf_hash(
            _LEAF.pack(
                VERSION,
                TYPE_JOURNAL,
                time_us,
                (entry.wallet_id or 0).to_bytes(16, "big"),
                0,
                hashlib.sha256(payload(entry)).digest(),
                _actor_hash(entry.actor),
                entry.request_id.bytes,
                entry.body_hash,
            )
        )
        for entry in entries
    ]
