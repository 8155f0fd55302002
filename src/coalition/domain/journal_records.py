"""The journal as auditors read it: rows of the schema with every number of a participant or window told by its code."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

# Named tuples: an export makes half a million of them, and a frozen dataclass costs three times as much to make.


class BatchRecord(NamedTuple):
    """What one transaction wrote."""

    number: int
    time: datetime
    entry_count: int
    root: bytes
    signature: bytes


class TransferRecord(NamedTuple):
    """A leg; accounts by name such as "FLOAT(trust,store-a)", `window_label` as "calendar/label" or empty."""

    leg: int
    debit: str
    credit: str
    amount_minor: int
    code: int
    unit: int
    window_label: str


class JournalRecord(NamedTuple):
    """An entry and its legs. Codes that do not apply are empty, numbers that do not apply None."""

    entry_id: int
    kind: int
    reason: int
    participant: str
    store: str
    terminal: str
    request_id: str
    wallet_id: int | None
    card_id: int | None
    amount_minor: int
    original_entry_id: int | None
    agreement: str
    agreement_version: int | None
    business_date: date
    post_time: datetime
    occurred_time: datetime | None
    actor: str
    sale_reference: str
    answer: bytes
    leaf: bytes
    transfers: Sequence[TransferRecord]
    details: bytes
