"""The SQL of the positions fold: from journal transfers to claims per window, and from those to positions.

Writes `followers` and `window_claims` only. Never changes the journal and never decides what to fold: the loop and the
comparison live in coalition.followers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from coalition.domain.accounts import AccountKind, TransferCode
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage import cursors
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag

FOLLOWER: Final = "positions"
LIVE: Final = "window_claims"
SCRATCH: Final = "scratch_claims"
FETCH_ROWS: Final = 10_000  # rows of a claims table held in memory at a time


@dataclass(frozen=True, slots=True)
class Claim:
    """What one participant owes another in a window, by code and unit; `amount_minor` in minor units of `unit`."""

    window_id: int
    debtor_id: int
    creditor_id: int
    code: int
    unit: int
    amount_minor: int
    transfer_count: int


@dataclass(frozen=True, slots=True)
class Party:
    """A participant as reports name it."""

    participant_id: int
    code: str
    display_name: str
    role: str


@dataclass(frozen=True, slots=True)
class Position:
    """What a participant received and sent in a window; the net positions of a unit add up to zero."""

    participant_id: int
    unit: int
    received_minor: int
    sent_minor: int

    @property
    def net_minor(self) -> int:
        return self.received_minor - self.sent_minor


def cursor_of(connection: Connection) -> int:
    """Up to which journal number the fold has read; 0 before its first step."""
    return cursors.cursor_of(connection, FOLLOWER)


def lock_cursor(connection: Connection, time: datetime) -> int:
    """The same, kept locked until this transaction ends."""
    return cursors.lock_cursor(connection, FOLLOWER, time)


def move_cursor(connection: Connection, number: int, time: datetime) -> None:
    """Say that everything up to `number` is folded; the caller holds the row's lock."""
    cursors.move_cursor(connection, FOLLOWER, number, time)


def step(connection: Connection, up_to: int, time: datetime, *, numbers_max: int) -> int:
    """Fold the next range, at most `numbers_max` journal numbers and none above `up_to`; the cursor afterwards.

    One short transaction. `up_to` must come from `frontier`, asked before.
    """
    with connection.transaction():
        cursor = lock_cursor(connection, time)
        target = min(up_to, cursor + numbers_max)
        if target <= cursor:
            return cursor
        fold(connection, LIVE, cursor, target)
        move_cursor(connection, target, time)
        return target


def fold(connection: Connection, table: str, after: int, up_to: int) -> None:
    """Add the claims of `after < number <= up_to` to `table`; the postings of netting itself are left out (SUMS 4).

    The range is found by the BRIN index on entry_id.
    """
    connection.execute(
        f"""
        INSERT INTO {table} AS folded (window_id, debtor_id, creditor_id, code, unit, amount_minor, transfer_count)
        SELECT window_id, (debit >> 24 & 16777215)::integer, (credit >> 24 & 16777215)::integer, code, unit,
               sum(amount_minor), count(*)
        FROM transfers
        WHERE entry_id >= %(first)s AND entry_id < %(end)s AND window_id IS NOT NULL
          AND debit >> 48 = %(clearing)s AND credit >> 48 = %(clearing)s AND code <> %(netting)s
        GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (window_id, debtor_id, creditor_id, code, unit) DO UPDATE
        SET amount_minor = folded.amount_minor + excluded.amount_minor,
            transfer_count = folded.transfer_count + excluded.transfer_count
        """,
        {
            "first": after + 1 << NUMBER_SHIFT,
            "end": up_to + 1 << NUMBER_SHIFT,
            "clearing": AccountKind.CLEARING,
            "netting": TransferCode.NETTING,
        },
    )


def make_scratch(connection: Connection) -> None:
    """An empty table of the same shape, seen by this connection alone and gone with it."""
    connection.execute(f"DROP TABLE IF EXISTS pg_temp.{SCRATCH}")
    connection.execute(f"CREATE TEMP TABLE {SCRATCH} (LIKE {LIVE} INCLUDING ALL)")


def drop_scratch(connection: Connection) -> None:
    """Remove what `make_scratch` made."""
    connection.execute(f"DROP TABLE pg_temp.{SCRATCH}")


def forget(connection: Connection, time: datetime) -> None:
    """Empty the fold, to be made again from the journal's first number."""
    with connection.transaction():
        lock_cursor(connection, time)
        connection.execute(f"DELETE FROM {LIVE}")
        move_cursor(connection, 0, time)


def serialised(connection: Connection, table: str) -> Iterator[bytes]:
    """Each row of a claims table in key order, as one line of decimal integers: the bytes that two folds share."""
    with connection.transaction(), connection.cursor("claims_in_order") as rows:
        rows.itersize = FETCH_ROWS
        rows.execute(
            f"SELECT window_id, debtor_id, creditor_id, code, unit, amount_minor, transfer_count FROM {table} "
            "ORDER BY window_id, debtor_id, creditor_id, code, unit"
        )
        for row in rows:
            yield ",".join(map(str, row)).encode() + b"\n"


def lag(connection: Connection, clock: Callable[[], datetime]) -> Lag:
    """How far the fold is behind the last number taken."""
    return cursors.lag_behind(connection, cursor_of(connection), clock)


def parties(connection: Connection) -> list[Party]:
    """Every participant, in order of their number."""
    rows = connection.execute(
        "SELECT participant_id, code, display_name, role FROM participants ORDER BY participant_id"
    )
    return [Party(*row) for row in rows]


def bilateral(connection: Connection, window_id: int) -> list[Claim]:
    """The claims of a window as far as they are folded, in key order: the bilateral matrix, by code and unit."""
    rows = connection.execute(
        "SELECT window_id, debtor_id, creditor_id, code, unit, amount_minor, transfer_count FROM window_claims "
        "WHERE window_id = %s ORDER BY debtor_id, creditor_id, code, unit",
        (window_id,),
    )
    return [Claim(*row) for row in rows]


def live_positions(connection: Connection, window_id: int) -> list[Position]:
    """Every participant's position in a window as far as it is folded, also those with nothing, by unit and number."""
    rows = connection.execute(
        """
        WITH claims AS (
                 SELECT debtor_id, creditor_id, unit, amount_minor FROM window_claims WHERE window_id = %(window)s
             ),
             units AS (SELECT 1::smallint AS unit UNION SELECT unit FROM claims),
             received AS (
                 SELECT creditor_id AS participant_id, unit, sum(amount_minor) AS total FROM claims GROUP BY 1, 2
             ),
             sent AS (
                 SELECT debtor_id AS participant_id, unit, sum(amount_minor) AS total FROM claims GROUP BY 1, 2
             )
        SELECT p.participant_id, u.unit, coalesce(r.total, 0)::bigint, coalesce(s.total, 0)::bigint
        FROM participants p CROSS JOIN units u
        LEFT JOIN received r USING (participant_id, unit) LEFT JOIN sent s USING (participant_id, unit)
        ORDER BY u.unit, p.participant_id
        """,
        {"window": window_id},
    )
    return [Position(*row) for row in rows]
