"""The SQL of the month: windows, their cut, net positions and the posting of netting.

Every function that writes runs in the caller's transaction, so that an act or a job can wrap it. Touches no wallet, and
adds to the journal only through `post_netting`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from psycopg import errors

from coalition.domain.accounts import TransferCode, Unit, clearing_account, due_account
from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.errors import Contention, LedgerBroken
from coalition.domain.ids import number_of
from coalition.domain.journal import Entry, Notary, Transfer
from coalition.domain.kinds import Kind
from coalition.storage.connect import Connection
from coalition.storage.frontier import LAST_NUMBER
from coalition.storage.positions import Position
from coalition.storage.settlement_entries import Draft, post_entries

# While the close waits for the table, every later batch waits behind it: give up before a till does, and ask again.
LOCK_PATIENCE: Final = "5s"
ACTOR: Final = "/op/settlement"

WINDOWS = """
SELECT w.window_id, w.calendar_id, c.code, c.cadence, w.label, w.state, w.open_time, w.close_time, w.cut_number,
       w.net_time, w.netting_entry_id, w.assess_entry_id, w.open_number,
       w.valuation_entry_id
FROM windows w JOIN calendars c USING (calendar_id)
"""


@dataclass(frozen=True, slots=True)
class Window:
    """One settlement window of a calendar; what has not happened yet is None."""

    window_id: int
    calendar_id: int
    calendar: str
    cadence: str
    label: str
    state: str
    open_time: datetime
    close_time: datetime | None
    cut_number: int | None
    net_time: datetime | None
    netting_entry_id: int | None
    assess_entry_id: int | None
    open_number: int | None
    valuation_entry_id: int | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """What settlement needs to know of the coalition."""

    deployment_id: UUID
    display_name: str
    zone: str
    currency_code: str
    lane_count: int
    operator_id: int


def scheme(connection: Connection) -> Scheme:
    """The coalition of this database; LedgerBroken if it was never made."""
    row = connection.execute(
        "SELECT deployment_id, display_name, zone, currency_code, lane_count, operator_id FROM scheme"
    ).fetchone()
    if row is None:
        raise LedgerBroken(
            "table scheme has no row: make the coalition first, with `coalition serve` or `coalition demo`"
        )
    return Scheme(*row)


def now(connection: Connection) -> datetime:
    """The database's clock, which also stamps the batches."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise LedgerBroken("the database told no time")
    moment: datetime = row[0]
    return moment


def calendars(connection: Connection) -> dict[str, str]:
    """Cadence of every calendar by its code."""
    return dict(connection.execute("SELECT code, cadence FROM calendars ORDER BY code").fetchall())


def windows(connection: Connection, calendar: str | None = None) -> list[Window]:
    """The windows of one calendar or of all, oldest first within each."""
    rows = connection.execute(
        WINDOWS + " WHERE %(calendar)s::text IS NULL OR c.code = %(calendar)s ORDER BY c.code, w.window_id",
        {"calendar": calendar},
    )
    return [Window(*row) for row in rows]


def lock_windows(connection: Connection) -> None:
    """Let every batch that shares an open window commit, and hold the next ones back until this transaction ends.

    A table lock, because a waiting FOR UPDATE starves behind overlapping FOR SHARE holders (DESIGN section 4).
    Raises Contention if a writer does not commit in time; nothing was changed, the same close may be tried again.
    """
    try:
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE}'")
        connection.execute("LOCK TABLE windows IN EXCLUSIVE MODE")
    except errors.LockNotAvailable as error:
        raise Contention(
            f"a transaction has held the open windows for more than {LOCK_PATIENCE}; if this repeats, find it in "
            "pg_stat_activity and end it"
        ) from error


def close_window(connection: Connection, window_id: int, time: datetime) -> int:
    """Close an open window at the last journal number taken: the cut. The caller holds `lock_windows`."""
    row = connection.execute(
        f"UPDATE windows SET state = 'CLOSED', close_time = %s, cut_number = ({LAST_NUMBER}) "
        "WHERE window_id = %s AND state = 'OPEN' RETURNING cut_number",
        (time, window_id),
    ).fetchone()
    if row is None:
        raise LedgerBroken(f"window {window_id} is not open although the windows are locked")
    return int(row[0])


def open_window(connection: Connection, calendar_id: int, label: str, time: datetime) -> None:
    """Open the next window, and let every desk notice: terminals find it in their next batch."""
    connection.execute(
        "INSERT INTO windows (calendar_id, label, open_time) VALUES (%s, %s, %s)", (calendar_id, label, time)
    )
    connection.execute("UPDATE config_epoch SET epoch = epoch + 1")


def add_calendar(connection: Connection, code: str, cadence: str, label: str, time: datetime) -> None:
    """Lay a calendar and its first window, behind the last number taken. The caller holds `lock_windows`."""
    connection.execute(
        f"WITH calendar AS (INSERT INTO calendars (code, cadence) VALUES (%s, %s) RETURNING calendar_id) "
        f"INSERT INTO windows (calendar_id, label, open_time, open_number) "
        f"SELECT calendar_id, %s, %s, ({LAST_NUMBER}) FROM calendar",
        (code, cadence, label, time),
    )
    connection.execute("UPDATE config_epoch SET epoch = epoch + 1")


def lock_window(connection: Connection, window_id: int) -> Window:
    """The window's row, locked until this transaction ends: one netting at a time."""
    row = connection.execute(WINDOWS + " WHERE w.window_id = %s FOR UPDATE OF w", (window_id,)).fetchone()
    if row is None:
        raise LedgerBroken(f"window {window_id} disappeared")
    return Window(*row)


def note_assessment(connection: Connection, window_id: int, entry_id: int) -> None:
    """Keep which entry holds the window's fees."""
    connection.execute("UPDATE windows SET assess_entry_id = %s WHERE window_id = %s", (entry_id, window_id))


def note_valuation(connection: Connection, window_id: int, entry_id: int) -> None:
    """Keep which entry says what the window's points are worth."""
    connection.execute("UPDATE windows SET valuation_entry_id = %s WHERE window_id = %s", (entry_id, window_id))


def net_positions(connection: Connection, window_id: int) -> list[Position]:
    """What netting stored for a window, by unit and participant number; empty before."""
    rows = connection.execute(
        "SELECT participant_id, unit, received_minor, sent_minor FROM net_positions WHERE window_id = %s "
        "ORDER BY unit, participant_id",
        (window_id,),
    )
    return [Position(*row) for row in rows]


def store_net_positions(connection: Connection, window_id: int, positions: Sequence[Position]) -> None:
    """Keep the figures for ever, one row per participant and unit."""
    connection.execute(
        """
        INSERT INTO net_positions (window_id, participant_id, unit, received_minor, sent_minor, net_position_minor)
        SELECT %s, participant_id, unit, received, sent, received - sent
        FROM unnest(%s::integer[], %s::smallint[], %s::bigint[], %s::bigint[])
             AS given (participant_id, unit, received, sent)
        """,
        (
            window_id,
            [position.participant_id for position in positions],
            [position.unit for position in positions],
            [position.received_minor for position in positions],
            [position.sent_minor for position in positions],
        ),
    )


def post_netting(
    connection: Connection,
    window: Window,
    positions: Sequence[Position],
    *,
    known: Scheme,
    notary: Notary,
    order: Act | None = None,
) -> Entry:
    """Post the window's one NETTING entry, a batch of its own: afterwards its CLEARING accounts stand at zero.

    Debtor: DUE(p)->CLEARING(p); creditor: CLEARING(p)->DUE(p) (SUMS section 4). An empty month posts an entry without
    transfers. It answers `order`; without one its request_id follows from the window, so that a second one collides.
    Marks the window NETTED.
    """
    body: dict[str, JSON] = {
        "calendar": window.calendar,
        "label": window.label,
        "positions": [[position.participant_id, position.unit, position.net_minor] for position in positions],
    }
    own_id = uuid5(known.deployment_id, f"netting/{window.window_id}/{window.netting_entry_id or 0}")
    act = order or Act(Kind.NETTING, known.operator_id, own_id, body_hash(Kind.NETTING, body), ACTOR)
    moved = sum(max(position.net_minor, 0) for position in positions if position.unit == Unit.MONEY)
    draft = Draft(act, body, netting_transfers(positions, window.window_id), moved)
    entry = post_entries(connection, [draft], lane_count=known.lane_count, zone=known.zone, notary=notary)[0]
    connection.execute(
        "UPDATE windows SET state = 'NETTED', net_time = (SELECT time FROM batches WHERE number = %s), "
        "netting_entry_id = %s WHERE window_id = %s",
        (number_of(entry.entry_id), entry.entry_id, window.window_id),
    )
    return entry


def netting_transfers(positions: Sequence[Position], window_id: int) -> list[Transfer]:
    """One transfer for each participant that pays or receives."""
    transfers = []
    for position in positions:
        clearing, due = clearing_account(position.participant_id), due_account(position.participant_id)
        debit, credit = (clearing, due) if position.net_minor > 0 else (due, clearing)
        if position.net_minor:
            amount, unit = abs(position.net_minor), Unit(position.unit)
            transfers.append(Transfer(debit, credit, amount, TransferCode.NETTING, window_id, unit))
    return transfers
