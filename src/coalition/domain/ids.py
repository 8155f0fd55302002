"""How things are numbered, so that a number alone says where its row lies.

`entry_id = number << 22 | place << 10 | lane`: the journal number of its batch, its place in the batch, its lane.
Ordering by entry_id is the order of the journal. A lot's id is the id of the entry that opened it. Wallet and card ids
are random; a wallet's lane is `wallet_id % lane_count`, a request's lane `request_id % lane_count`.
"""

import zlib
from typing import Final
from uuid import UUID

LANE_BITS: Final = 10
PLACE_BITS: Final = 12
PLACE_MAX: Final = (1 << PLACE_BITS) - 1
NUMBER_SHIFT: Final = LANE_BITS + PLACE_BITS


def entry_id(number: int, place: int, lane: int) -> int:
    """The id of the entry at `place` of batch `number`, in `lane`."""
    return number << NUMBER_SHIFT | place << LANE_BITS | lane


def number_of(entry: int) -> int:
    """The journal number of the entry's batch."""
    return entry >> NUMBER_SHIFT


def place_of(entry: int) -> int:
    """The entry's place in its batch, from 0."""
    return entry >> LANE_BITS & PLACE_MAX


def lane_of_entry(entry: int) -> int:
    """The lane in which the entry's row lies."""
    return entry & ((1 << LANE_BITS) - 1)


def lane_of_wallet(wallet_id: int, lane_count: int) -> int:
    """The lane in which a wallet, its cards, lots and entries lie."""
    return wallet_id % lane_count


def lane_of_request(request_id: UUID, lane_count: int) -> int:
    """A request's lane, from the random low half of its UUID."""
    return (request_id.int & 0xFFFFFFFFFFFFFFFF) % lane_count


def lane_of_sale(terminal_id: int, reference: str, lane_count: int) -> int:
    """The lane of a terminal's sale reference: CRC-32 of both spreads them."""
    return zlib.crc32(f"{terminal_id}|{reference}".encode()) % lane_count
