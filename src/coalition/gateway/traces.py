"""Traces: how a terminal counts its messages, and the statements that know a message again. Decides nothing.

A trace number (STAN, DE11) counts to 999999 and starts again, so it is never the key by itself: a message is known
again by merchant, terminal, STAN, retrieval reference and local date and time. The original of a reversal or completion
is known by merchant, terminal, its STAN and its time, local (DE13, DE12) or of sending (DE7).
"""

import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SCHEMA: Final = """
CREATE TABLE seen (
    request_id TEXT PRIMARY KEY,
    merchant_id TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    stan TEXT NOT NULL,
    reference TEXT NOT NULL,
    local_time TEXT NOT NULL,
    sent_time TEXT NOT NULL,
    is_reversal INTEGER NOT NULL,
    occurred_s INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    undone INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX seen_by_trace ON seen (terminal_id, merchant_id, stan, is_reversal);
CREATE INDEX seen_by_age ON seen (made_ms);
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL UNIQUE,
    original_request_id TEXT NOT NULL,
    till TEXT NOT NULL,
    identity TEXT NOT NULL,
    occurred_s INTEGER NOT NULL,
    refused TEXT NOT NULL
)
"""
_FIND = """
SELECT request_id, occurred_s, undone FROM seen
WHERE terminal_id = ? AND merchant_id = ? AND stan = ? AND is_reversal = ? AND made_ms > ?
"""
_LAST = " ORDER BY made_ms DESC, request_id DESC LIMIT 1"


class Undone(IntEnum):
    """Whether an operation was undone by a reversal, of its terminal or of this gateway."""

    NO = 0
    MAYBE = 1
    """A reversal is under way: the operation must not be sent again."""
    YES = 2


@dataclass(frozen=True, slots=True)
class Trace:
    """How a terminal counts its messages. Times are MMDDhhmmss; `reference` is the retrieval reference (DE37)."""

    merchant_id: str
    terminal_id: str
    stan: str
    reference: str
    local_time: str
    sent_time: str


@dataclass(frozen=True, slots=True)
class Noted:
    """What stands in the notebook. `occurred_s` is the terminal's time as first understood, seconds since 1970."""

    request_id: str
    occurred_s: int
    undone: Undone


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reversal that must still be delivered; `occurred_s` 0 when the gateway made it."""

    position: int
    request_id: str
    original_request_id: str
    till: str
    identity: str
    occurred_s: int


def exact(disk: sqlite3.Connection, trace: Trace, *, is_reversal: bool, since: int) -> Noted | None:
    """The same message, seen before."""
    return noted(
        disk.execute(
            f"{_FIND} AND local_time = ? AND reference = ?{_LAST}",
            (trace.terminal_id, trace.merchant_id, trace.stan, is_reversal, since, trace.local_time, trace.reference),
        )
    )


def stub(disk: sqlite3.Connection, trace: Trace, since: int) -> Noted | None:
    """This message, known only from a reversal that named it by one of its times."""
    return noted(
        disk.execute(
            f"{_FIND} AND reference = '' AND local_time IN (?, ?){_LAST}",
            (trace.terminal_id, trace.merchant_id, trace.stan, False, since, trace.local_time, trace.sent_time),
        )
    )


def original(disk: sqlite3.Connection, trace: Trace, since: int) -> Noted | None:
    """The operation that another message names; its retrieval reference is not asked for."""
    return noted(
        disk.execute(
            f"{_FIND} AND ? IN (local_time, sent_time){_LAST}",
            (trace.terminal_id, trace.merchant_id, trace.stan, False, since, trace.local_time),
        )
    )


def noted(cursor: sqlite3.Cursor) -> Noted | None:
    """The first row of what was found."""
    row = cursor.fetchone()
    return Noted(row[0], row[1], Undone(row[2])) if row else None


def mark(disk: sqlite3.Connection, request_id: str, state: Undone) -> None:
    """Keep whether an operation is undone. YES is for ever; NO waits until no reversal of it is in the outbox."""
    disk.execute(
        "UPDATE seen SET undone = ? WHERE request_id = ? AND undone <> ?"
        " AND (? OR NOT EXISTS (SELECT 1 FROM outbox WHERE original_request_id = seen.request_id AND refused = ''))",
        (state, request_id, Undone.YES, state is not Undone.NO),
    )
