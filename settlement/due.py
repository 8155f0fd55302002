"""What is due by the calendars: every window whose period is over is closed, oldest first; late sales are listed.

A period ends at midnight in the coalition's zone. Closing is the close's own act, so whoever runs this twice, or on two
machines, closes each window once. Moves no money.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from settlement import closing
from settlement.closing import Closed
from settlement.errors import NeedsHuman, NothingToDo
from settlement.labels import period_start

LATE: Final = """
SELECT e.entry_id, p.code, s.code || '/' || t.code, e.occurred_time, e.amount_minor
FROM generate_series(0, (SELECT lane_count FROM scheme) - 1) AS lanes (lane)
JOIN entries e ON e.lane = lanes.lane AND e.entry_id >= %(first)s AND e.entry_id < %(end)s
JOIN participants p ON p.participant_id = e.participant_id
JOIN terminals t ON t.terminal_id = e.terminal_id JOIN stores s ON s.store_id = t.store_id
WHERE e.kind = %(upload)s AND e.reason = 0 AND (e.occurred_time AT TIME ZONE %(zone)s)::date < %(start)s
ORDER BY e.entry_id
"""


@dataclass(frozen=True, slots=True)
class LateSale:
    """A sale that was approved offline before a window's period began and told within it; amounts are minor units."""

    entry_id: int
    participant: str
    terminal: str
    occurred_time: datetime
    amount_minor: int


def close_due(
    connection: Connection, *, clock: Callable[[], datetime], sleep: Callable[[float], None], notary: Notary
) -> list[Closed]:
    """Close what is due in every calendar; none that is cut by hand. Raises NothingToDo where nothing is.

    NeedsHuman and Contention as `closing.close`; what was closed before stays closed.
    """
    closed: list[Closed] = []
    for calendar, cadence in store.calendars(connection).items():
        if cadence == "MANUAL":
            continue
        while True:  # more than one if the job did not run for a while
            try:
                closed.append(
                    closing.close(
                        connection, calendar, label=None, following=None, clock=clock, sleep=sleep, notary=notary
                    )
                )
            except NothingToDo:
                break
    if not closed:
        raise NothingToDo("no window is due", {"closed": 0})
    return closed


def late_sales(connection: Connection, calendar: str, label: str) -> list[LateSale]:
    """Offline sales of the window that happened, by their terminals' clocks, before its period began, in journal order.

    Their claims fall in the window in which they were told, always. Reads the entries between the window's cuts.
    """
    windows = store.windows(connection, calendar)
    window = next((each for each in windows if each.label == label), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    known = store.scheme(connection)
    start = period_start(window.cadence, window.label) or window.open_time.astimezone(ZoneInfo(known.zone)).date()
    earlier = (each.cut_number or 0 for each in windows if each.window_id < window.window_id)
    after = max(earlier, default=window.open_number or 0)
    return [LateSale(*row) for row in connection.execute(LATE, _bounds(after, window.cut_number, start, known.zone))]


def _bounds(after: int, cut_number: int | None, start: date, zone: str) -> dict[str, object]:
    end = (1 << 63) - 1 if cut_number is None else cut_number + 1 << NUMBER_SHIFT
    return {"first": after + 1 << NUMBER_SHIFT, "end": end, "upload": Kind.UPLOAD, "zone": zone, "start": start}
