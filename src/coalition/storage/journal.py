"""The journal's own statements: claim a request, take a number, write a batch. Insert only.

Everyone who writes entries (the desk, acts, settlement) does it through here, in this order: claim, locks, `TAKE_NUMBER`,
`write_batch`, commit.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from coalition.domain.ids import lane_of_request
from coalition.domain.journal import Entry, Seal
from coalition.storage.arrays import byte_strings, moments, numbers, plain_texts, texts, whole_numbers
from coalition.storage.frontier import JOURNAL_LOCK

# Sorted by the caller, so that rivals wait for each other in one order.
CLAIM: Final = """
INSERT INTO requests (lane, request_id, participant_id, body_hash)
SELECT * FROM unnest(%s::smallint[], %s::uuid[], %s::integer[], %s::bytea[])
ON CONFLICT DO NOTHING
"""
STORED: Final = """
SELECT r.request_id::text, r.participant_id, r.body_hash, e.entry_id, e.kind, e.answer
FROM unnest(%s::smallint[], %s::uuid[], %s::integer[]) AS asked (lane, request_id, participant_id)
JOIN requests r USING (lane, request_id, participant_id)
JOIN entries e ON e.request_id = r.request_id AND e.participant_id = r.participant_id
"""
# The lock is shared and held to the end of the transaction: a follower's frontier waits for it (DESIGN section 3).
HOLD_JOURNAL: Final = f"SELECT pg_advisory_xact_lock_shared({JOURNAL_LOCK})"
TAKE_NUMBER: Final = "SELECT nextval('journal_number'), clock_timestamp()"

INSERT_BATCH: Final = "INSERT INTO batches (number, time, count, root, signature) VALUES (%s, %s, %s, %s, %s)"
INSERT_ENTRIES: Final = """
INSERT INTO entries (lane, entry_id, kind, reason, participant_id, store_id, terminal_id, request_id, wallet_id, card_id,
    amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    sale_reference, answer, leaf)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[], %s::smallint[], %s::integer[], %s::integer[],
    %s::integer[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[],
    %s::date[], %s::timestamptz[], %s::text[], %s::text[], %s::bytea[], %s::bytea[])
"""
INSERT_TRANSFERS: Final = """
INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::smallint[], %s::smallint[], %s::integer[])
"""
INSERT_ALLOCATIONS: Final = """
INSERT INTO allocations (lane, entry_id, lot_id, place, face, principal, agreement_id, agreement_version,
    original_entry_id)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[],
    %s::integer[], %s::integer[], %s::bigint[])
"""


def claim_parameters(requests: Sequence[Any], lane_count: int) -> tuple[str, str, str, str]:
    """The columns of CLAIM for things that have request_id, participant_id and body_hash, in lock order."""
    rows = sorted(
        (lane_of_request(request.request_id, lane_count), request.request_id, request.participant_id, request.body_hash)
        for request in requests
    )
    lanes, ids, participants, hashes = zip(*rows, strict=True)
    return whole_numbers(lanes), plain_texts(ids), whole_numbers(participants), byte_strings(hashes)


def take_number(cursor: Any) -> tuple[int, datetime]:
    """Hold the journal lock to the end of the transaction and take the next number; call after the last other lock."""
    cursor.execute(HOLD_JOURNAL)
    number, time = cursor.execute(TAKE_NUMBER).fetchone()
    return number, time


def write_batch(cursor: Any, number: int, time: datetime, entries: Sequence[Entry], seal: Seal) -> None:
    """Insert a batch with all legs of all its entries; a handful of statements whatever its size."""
    cursor.execute(INSERT_BATCH, (number, time, len(entries), seal.root, seal.signature), prepare=True)
    cursor.execute(INSERT_ENTRIES, _entry_columns(entries, seal), prepare=True)
    legs = [
        (entry.lane, entry.entry_id, leg, *transfer)
        for entry in entries
        for leg, transfer in enumerate(entry.transfers)
    ]
    if legs:
        lanes, ids, leg_numbers, debits, credits, amounts, codes, windows, units = zip(*legs, strict=True)
        whole = (lanes, ids, leg_numbers, debits, credits, amounts, codes, units)
        cursor.execute(INSERT_TRANSFERS, (*map(_ints, whole), numbers(windows)), prepare=True)
    draws = [(entry.lane, entry.entry_id, *row) for entry in entries for row in entry.allocations]
    if draws:
        columns = tuple(zip(*draws, strict=True))
        cursor.execute(INSERT_ALLOCATIONS, (*map(whole_numbers, columns[:6]), *map(numbers, columns[6:])), prepare=True)


def _ints(values: Sequence[int]) -> str:
    """Enum members print their names: write the number."""
    return "{" + ",".join([str(int(value)) for value in values]) + "}"


def _entry_columns(entries: Sequence[Entry], seal: Seal) -> tuple[str, ...]:
    return (
        whole_numbers([entry.lane for entry in entries]),
        whole_numbers([entry.entry_id for entry in entries]),
        _ints([entry.kind for entry in entries]),
        _ints([entry.reason for entry in entries]),
        whole_numbers([entry.participant_id for entry in entries]),
        numbers([entry.store_id for entry in entries]),
        numbers([entry.terminal_id for entry in entries]),
        plain_texts([entry.request_id for entry in entries]),
        numbers([entry.wallet_id for entry in entries]),
        numbers([entry.card_id for entry in entries]),
        whole_numbers([entry.amount_minor for entry in entries]),
        numbers([entry.original_entry_id for entry in entries]),
        numbers([entry.agreement_id for entry in entries]),
        numbers([entry.agreement_version for entry in entries]),
        moments([entry.business_date for entry in entries]),
        moments([entry.occurred_time for entry in entries]),
        texts([entry.actor for entry in entries]),
        texts([entry.sale_reference for entry in entries]),
        byte_strings([entry.answer for entry in entries]),
        byte_strings(seal.leaves),
    )
