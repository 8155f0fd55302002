"""The audit log as it is kept: checkpoints that were signed, and leaves with the entries they stand for."""

from datetime import datetime
from typing import NamedTuple

from coalition.domain.journal import Entry


class CheckpointRecord(NamedTuple):
    """A signed checkpoint: the tree of `size` leaves, which are all entries up to journal number `number`."""

    size: int
    number: int
    root: bytes
    note: str
    time: datetime


class LeafRecord(NamedTuple):
    """An entry as it lies in the tables now, its batch's time, and the leaf that was stored with it."""

    entry: Entry
    time: datetime
    leaf: bytes


class StatePage(NamedTuple):
    """Rows of a section of the tables, each a JSON array; the key of the last (None: no more follow); the number of a
    batch that they are as new as, at least.
    """

    rows: list[bytes]
    last_key: str | None
    number: int
