"""The journal's own statements: claim a request, take a number, write a batch. Insert only.

Everyone who writes entries (the desk, acts, settlement) does it through here, in this order: claim, locks,
`take_number`, `write_batch`, commit.
"""

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import psycopg

from coalition.domain.ids import lane_of_request
from coalition.domain.journal import Entry, Seal
from coalition.storage.arrays import byte_strings, for_rows, moments, numbers, of_one, plain_texts, texts, whole_numbers
from coalition.storage.frontier import JOURNAL_LOCK

# Sorted by the caller, so that rivals wait for each other in one order.
CLAIM: Final = """
INSERT INTO requests (lane, request_id, participant_id, body_hash)
SELECT * FROM unnest(%s::smallint[], %s::uuid[], %s::integer[], %s::bytea[]) AS told
ON CONFLICT DO NOTHING
"""
STORED: Final = """
SELECT r.request_id::text, r.participant_id, r.body_hash, e.entry_id, e.kind, e.answer
FROM unnest(%s::smallint[], %s::uuid[], %s::integer[]) AS asked (lane, request_id, participant_id)
JOIN requests r USING (lane, request_id, participant_id)
JOIN entries e ON e.request_id = r.request_id AND e.participant_id = r.participant_id
"""
# The lock is shared and held to the end of the transaction: a follower's frontier waits for it (DESIGN section 3).
# OFFSET keeps it a query of its own, which is run before the number is taken.
TAKE_NUMBER: Final = f"""
SELECT nextval('journal_number'), clock_timestamp()
FROM (SELECT pg_advisory_xact_lock_shared({JOURNAL_LOCK}) OFFSET 0) AS held
"""

INSERT_BATCH: Final = """
INSERT INTO batches (number, time, count, root, signature)
VALUES (%s::bigint, %s::timestamptz, %s::integer, %s::bytea, %s::bytea)
"""
INSERT_ENTRIES: Final = """
INSERT INTO entries (lane, entry_id, kind, reason, participant_id, store_id, terminal_id, request_id, wallet_id,
    card_id, amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    sale_reference, answer, leaf)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[], %s::smallint[], %s::integer[], %s::integer[],
    %s::integer[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[],
    %s::date[], %s::timestamptz[], %s::text[], %s::text[], %s::bytea[], %s::bytea[])
"""
# Few entries tell details of their sale; the batches without one are written as if there were no such column.
INSERT_DETAILED: Final = INSERT_ENTRIES.replace("leaf)", "leaf, details)").replace(
    "%s::bytea[])", "%s::bytea[], %s::bytea[])"
)
# The one entry of a lone terminal's batch: to take apart twenty arrays of one costs more than twice the insert.
INSERT_ENTRY: Final = """
INSERT INTO entries (lane, entry_id, kind, reason, participant_id, store_id, terminal_id, request_id, wallet_id,
    card_id, amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    sale_reference, answer, leaf)
VALUES (%s::smallint, %s::bigint, %s::smallint, %s::smallint, %s::integer, %s::integer, %s::integer, %s::uuid,
    %s::bigint, %s::bigint, %s::bigint, %s::bigint, %s::integer, %s::integer, %s::date, %s::timestamptz, %s::text,
    %s::text, %s::bytea, %s::bytea)
"""
# Legs are numbers alone, so all of them travel as one array, nine a leg, 0 for no window: to take apart nine arrays
# costs a small batch more than to insert its legs.
INSERT_TRANSFERS: Final = """
INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id)
SELECT n[i]::smallint, n[i + 1], n[i + 2]::smallint, n[i + 3], n[i + 4], n[i + 5], n[i + 6]::smallint,
    n[i + 7]::smallint, nullif(n[i + 8], 0)::integer
FROM (SELECT %s::bigint[] AS n) AS told, generate_series(1, cardinality(n), 9) AS i
"""
COPY_ENTRIES: Final = """
COPY entries (lane, entry_id, kind, reason, participant_id, store_id, terminal_id, request_id, wallet_id, card_id,
    amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    sale_reference, answer, leaf) FROM STDIN
"""
COPY_DETAILED: Final = COPY_ENTRIES.replace("leaf)", "leaf, details)")
COPY_TRANSFERS: Final = """
COPY transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id) FROM STDIN (FORMAT BINARY)
"""
COPY_ALLOCATIONS: Final = """
COPY allocations (lane, entry_id, lot_id, place, face, principal, agreement_id, agreement_version, original_entry_id)
FROM STDIN
"""
# From this many entries on a batch goes by COPY: 7,000 legs take 10 ms, unnested 25. It needs three round trips more,
# and is even at 64.
COPY_FROM: Final = 256
NULL: Final = "\\N"  # in COPY's text form
# COPY's binary form (PostgreSQL's manual, COPY, "Binary Format"): of a batch's rows legs are the most, and as text they
# take twice as long to write and a seventh longer to read. A leg: how many columns, then each with its length, -1 for
# NULL.
BINARY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_END: Final = b"\xff\xff"
LEG: Final = struct.Struct(">h ih iq ih iq iq iq ih ih ii")
LEG_WITHOUT_WINDOW: Final = struct.Struct(">h ih iq ih iq iq iq ih ih i")

INSERT_ALLOCATIONS: Final = """
INSERT INTO allocations (lane, entry_id, lot_id, place, face, principal, agreement_id, agreement_version,
    original_entry_id)
SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[],
    %s::integer[], %s::integer[], %s::bigint[]) AS told
"""
# What a desk's session prepares.
PREPARED: Final = (
    CLAIM,
    of_one(CLAIM),
    STORED,
    TAKE_NUMBER,
    INSERT_BATCH,
    INSERT_ENTRY,
    INSERT_ENTRIES,
    INSERT_DETAILED,
    INSERT_TRANSFERS,
    INSERT_ALLOCATIONS,
    of_one(INSERT_ALLOCATIONS),
)


def claim_of(requests: Sequence[Any], lane_count: int) -> tuple[str, tuple[str, ...]]:
    """What to execute to claim things that have request_id, participant_id and body_hash, in lock order."""
    rows = sorted(
        (
            lane_of_request(request.request_id, lane_count),
            request.request_id.hex,
            request.participant_id,
            request.body_hash,
        )
        for request in requests
    )
    if len(rows) == 1:
        [(lane, request_id, participant_id, body_hash)] = rows
        return of_one(CLAIM), (str(lane), request_id, str(participant_id), "\\x" + body_hash.hex())
    lanes, ids, participants, hashes = zip(*rows, strict=True)
    return CLAIM, (whole_numbers(lanes), plain_texts(ids), whole_numbers(participants), byte_strings(hashes))


def requests_columns(requests: Sequence[Any], lane_count: int) -> tuple[str, str, str]:
    """The columns of STORED for things that have request_id and participant_id."""
    return (
        whole_numbers([lane_of_request(each.request_id, lane_count) for each in requests]),
        plain_texts([each.request_id.hex for each in requests]),
        whole_numbers([each.participant_id for each in requests]),
    )


def take_number(cursor: Any) -> tuple[int, datetime]:
    """Hold the journal lock to the end of the transaction and take the next number; call after the last other lock."""
    number, time = cursor.execute(TAKE_NUMBER).fetchone()
    return number, time


class Execute(Protocol):
    """A cursor of psycopg, or a Pipeline: takes a statement and its parameters."""

    def execute(self, statement: str, parameters: Any = ..., /, *, prepare: bool = ...) -> Any: ...


def write_batch(cursor: Execute, number: int, time: datetime, entries: Sequence[Entry], seal: Seal) -> None:
    """Insert a small batch with all legs of all its entries."""
    insert_entries(cursor, entries, seal)
    insert_batch(cursor, number, time, len(entries), seal)


def insert_batch(cursor: Execute, number: int, time: datetime, count: int, seal: Seal) -> None:
    """Insert the batch's own row."""
    row = (str(number), time.isoformat(), str(count), "\\x" + seal.root.hex(), "\\x" + seal.signature().hex())
    cursor.execute(INSERT_BATCH, row, prepare=True)


def insert_entries(cursor: Execute, entries: Sequence[Entry], seal: Seal) -> None:
    """Insert entries and their legs unnested, statements that fit in a pipeline: the fewest round trips for a few."""
    if any(entry.details for entry in entries):
        cursor.execute(INSERT_DETAILED, (*_entry_columns(entries, seal), _details_column(entries)), prepare=True)
    elif len(entries) == 1:
        cursor.execute(INSERT_ENTRY, _entry_values(entries[0], seal.leaves[0]), prepare=True)
    else:
        cursor.execute(INSERT_ENTRIES, _entry_columns(entries, seal), prepare=True)
    legs = _leg_numbers(entries)
    if legs:
        cursor.execute(INSERT_TRANSFERS, (whole_numbers(legs),), prepare=True)
    draws = _draw_rows(entries)
    if draws:
        cursor.execute(*for_rows(INSERT_ALLOCATIONS, draws), prepare=True)


def copy_entries(cursor: "psycopg.Cursor[Any]", entries: Sequence[Entry], seal: Seal) -> None:
    """Insert entries and their legs by COPY: the rows of `insert_entries` at a quarter of the cost a row."""
    are_detailed = any(entry.details for entry in entries)
    lines = _entry_lines(entries, seal)
    if are_detailed:
        lines = [f"{line}\t{_bytes_or_null(entry.details)}" for line, entry in zip(lines, entries, strict=True)]
    for statement, rows in (
        (COPY_DETAILED if are_detailed else COPY_ENTRIES, "\n".join(lines)),
        (COPY_TRANSFERS, _leg_block(entries)),
        (COPY_ALLOCATIONS, "\n".join(_number_lines(_draw_rows(entries)))),
    ):
        if rows:
            with cursor.copy(statement) as copy:
                copy.write(rows)


def _leg_numbers(entries: Sequence[Entry]) -> list[int]:
    """lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id or 0, of one leg after the other."""
    return [
        number
        for entry in entries
        for leg, (debit, credit, amount, code, window, unit) in enumerate(entry.transfers)
        for number in (entry.lane, entry.entry_id, leg, debit, credit, amount, code, unit, window or 0)
    ]


def _leg_block(entries: Sequence[Entry]) -> bytes:
    """The legs of `_leg_numbers` in COPY's binary form."""
    whole, without = LEG.pack, LEG_WITHOUT_WINDOW.pack
    return b"".join(
        [
            BINARY_HEAD,
            *[
                without(
                    9, 2, entry.lane, 8, entry.entry_id, 2, leg, 8, debit, 8, credit, 8, amount, 2, code, 2, unit, -1
                )
                if window is None
                else whole(
                    9,
                    2,
                    entry.lane,
                    8,
                    entry.entry_id,
                    2,
                    leg,
                    8,
                    debit,
                    8,
                    credit,
                    8,
                    amount,
                    2,
                    code,
                    2,
                    unit,
                    4,
                    window,
                )
                for entry in entries
                for leg, (debit, credit, amount, code, window, unit) in enumerate(entry.transfers)
            ],
            BINARY_END,
        ]
    )


def _draw_rows(entries: Sequence[Entry]) -> list[tuple[int | None, ...]]:
    """lane, entry_id, then the columns of an AllocationRow"""
    return [(entry.lane, entry.entry_id, *row) for entry in entries for row in entry.allocations]


def _number_lines(rows: Sequence[tuple[int | None, ...]]) -> list[str]:
    """Rows of numbers in COPY's text form. One formatting a row is half the cost of one a value."""
    if not rows:
        return []
    form = "\t".join(["%s"] * len(rows[0]))
    return [form % (tuple([NULL if value is None else value for value in row]) if None in row else row) for row in rows]


def _entry_lines(entries: Sequence[Entry], seal: Seal) -> list[str]:
    """Entries in COPY's text form, columns as in COPY_ENTRIES."""
    lines = []
    for entry, leaf in zip(entries, seal.leaves, strict=True):
        plain = "\t".join([NULL if value is None else str(value) for value in _plain_values(entry)])
        reference = NULL if entry.sale_reference is None else _escaped(entry.sale_reference)
        lines.append(f"{plain}\t{_escaped(entry.actor)}\t{reference}\t\\\\x{entry.answer.hex()}\t\\\\x{leaf.hex()}")
    return lines


def _bytes_or_null(value: bytes) -> str:
    """Bytes in COPY's text form; of none, NULL."""
    return f"\\\\x{value.hex()}" if value else NULL


def _details_column(entries: Sequence[Entry]) -> str:
    """For bytea[]; NULL where nothing was told."""
    return "{" + ",".join([f'"\\\\x{entry.details.hex()}"' if entry.details else "NULL" for entry in entries]) + "}"


def _entry_values(entry: Entry, leaf: bytes) -> tuple[str | None, ...]:
    """One entry, columns as in INSERT_ENTRY."""
    plain = [None if value is None else str(value) for value in _plain_values(entry)]
    return (*plain, entry.actor, entry.sale_reference, "\\x" + entry.answer.hex(), "\\x" + leaf.hex())


def _plain_values(entry: Entry) -> tuple[object, ...]:
    """The columns of an entry from its lane to the time of the sale, whose text form needs no quoting."""
    return (
        entry.lane,
        entry.entry_id,
        entry.kind,
        entry.reason,
        entry.participant_id,
        entry.store_id,
        entry.terminal_id,
        entry.request_id.hex,
        entry.wallet_id,
        entry.card_id,
        entry.amount_minor,
        entry.original_entry_id,
        entry.agreement_id,
        entry.agreement_version,
        entry.business_date,
        entry.occurred_time,
    )


def _escaped(text: str) -> str:
    """Text in COPY's text form."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _entry_columns(entries: Sequence[Entry], seal: Seal) -> tuple[str, ...]:
    return (
        whole_numbers([entry.lane for entry in entries]),
        whole_numbers([entry.entry_id for entry in entries]),
        whole_numbers([entry.kind for entry in entries]),
        whole_numbers([entry.reason for entry in entries]),
        whole_numbers([entry.participant_id for entry in entries]),
        numbers([entry.store_id for entry in entries]),
        numbers([entry.terminal_id for entry in entries]),
        plain_texts([entry.request_id.hex for entry in entries]),
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
