"""The positions fold: from journal transfers to claims per window, and from those to positions.

Writes `window_claims` only. Never changes the journal and never decides what to fold: coalition.followers does.
"""

from dataclasses import dataclass
from typing import Final

from coalition.domain.accounts import AccountKind, TransferCode
from coalition.domain.errors import LedgerBroken
from coalition.domain.ids import NUMBER_SHIFT
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold


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


def add_claims(connection: Connection, table: str, after: int, up_to: int) -> None:
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


POSITIONS: Final = Fold(
    name="positions",
    table="window_claims",
    columns=("window_id", "debtor_id", "creditor_id", "code", "unit", "amount_minor", "transfer_count"),
    keys=5,
    add=add_claims,
)


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


def totals(connection: Connection, window_id: int) -> tuple[int, int, int]:
    """(claims, transfers, all of them added up in money, minor units) of a window as far as it is folded."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(transfer_count), 0)::bigint, "
        "coalesce(sum(amount_minor) FILTER (WHERE unit = 1), 0)::bigint FROM window_claims WHERE window_id = %s",
        (window_id,),
    ).fetchone()
    if row is None:
        raise LedgerBroken("an aggregate has no row")
    return row[0], row[1], row[2]


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
