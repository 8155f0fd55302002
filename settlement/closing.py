"""Closing a window: the instant after which nothing enters it, and the next one is open.

One short transaction that touches no wallet and waits for no follower. Never closes two windows for one order: the
caller names the label it means, or the window's period must be over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from coalition.domain.errors import Contention
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from settlement.errors import NeedsHuman, NothingToDo
from settlement.labels import next_label, period_end

ATTEMPTS: Final = 3  # each waits for running batches for up to storage.settlement.LOCK_PATIENCE
PAUSE_SECONDS: Final = 1.0  # between attempts, so that the tills move on


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that was just closed, and the one that took its place."""

    calendar: str
    label: str
    next_label: str
    close_time: datetime
    cut_number: int


def close(
    connection: Connection,
    calendar: str,
    *,
    label: str | None,
    following: str | None,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> Closed:
    """Close the open window of `calendar`; tries again if a batch holds it for long. Needs an autocommit connection.

    Raises NothingToDo if `label` is closed already, or without a label if the open window's period is not over;
    NeedsHuman if the calendar or label does not exist, or the next label cannot be told; Contention after the last try.
    """
    for attempt in range(ATTEMPTS):
        try:
            with connection.transaction():
                return close_in_transaction(connection, calendar, label=label, following=following, clock=clock)
        except Contention:
            if attempt + 1 == ATTEMPTS:
                raise
            sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable: the last attempt returns or raises")


def close_in_transaction(
    connection: Connection,
    calendar: str,
    *,
    label: str | None,
    following: str | None,
    clock: Callable[[], datetime],
) -> Closed:
    """The same within the caller's transaction, for an act that is part of the journal."""
    store.lock_windows(connection)
    time = clock()  # after the lock: later than every batch that entered the window
    all_windows = store.windows(connection, calendar)
    window = window_to_close(connection, calendar, all_windows, label, time)
    following = following or next_label(window.cadence, window.label)
    if following is None:
        raise NeedsHuman(
            f"the label after {window.label} cannot be told in calendar {calendar} ({window.cadence}): "
            "name it with --next-label"
        )
    if any(other.label == following for other in all_windows):
        raise NeedsHuman(f"calendar {calendar} already has a window {following}: name another with --next-label")
    cut_number = store.close_window(connection, window.window_id, time)
    store.open_window(connection, window.calendar_id, following, time)
    return Closed(calendar, window.label, following, time, cut_number)


def window_to_close(
    connection: Connection, calendar: str, windows: list[store.Window], label: str | None, time: datetime
) -> store.Window:
    """The open window, if it is the one that is meant."""
    if not windows:
        known = ", ".join(store.calendars(connection)) or "none"
        raise NeedsHuman(f"calendar {calendar} has no window; calendars here: {known}")
    open_now = next((window for window in windows if window.state == "OPEN"), None)
    if label is not None:
        named = next((window for window in windows if window.label == label), None)
        if named is None:
            hint = f"open is {open_now.label}" if open_now else "none is open"
            raise NeedsHuman(f"calendar {calendar} has no window {label}; {hint}")
        if named.state != "OPEN":
            raise NothingToDo(
                f"window {label} of calendar {calendar} is already {named.state}",
                {"calendar": calendar, "label": label, "state": named.state, "cut_number": named.cut_number},
            )
        return named
    if open_now is None:
        raise NeedsHuman(f"calendar {calendar} has no open window: purchases of its agreements wait for one")
    end = period_end(open_now.cadence, open_now.label)
    if end is None:
        raise NeedsHuman(f"name the window to close: open in calendar {calendar} is {open_now.label}")
    today = time.astimezone(ZoneInfo(store.scheme(connection).zone)).date()
    if today < end:
        raise NothingToDo(
            f"window {open_now.label} of calendar {calendar} runs until {end}; name it to close it early",
            {"calendar": calendar, "label": open_now.label, "state": open_now.state, "cut_number": None},
        )
    return open_now
