"""Closing a window: the instant after which nothing enters it, and the next one is open.

One short transaction that touches no wallet and waits for no follower, and is an act of the journal. Never closes two
windows for one order: the caller names the label it means, or the window's period must be over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.errors import Contention
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from settlement.errors import NeedsHuman, NothingToDo
from settlement.labels import next_label, period_end

ATTEMPTS: Final = 3  # each waits for running batches for up to storage.settlement.LOCK_PATIENCE
PAUSE_SECONDS: Final = 1.0  # between attempts, so that the tills move on

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that was just closed, and the one that took its place."""

    calendar: str
    label: str
    next_label: str
    close_time: datetime
    cut_number: int

    def answer(self) -> dict[str, JSON]:
        """What the journal keeps of it."""
        return {
            "calendar": self.calendar,
            "label": self.label,
            "next_label": self.next_label,
            "close_time": self.close_time.isoformat(),
            "cut_number": self.cut_number,
        }


def close(
    connection: Connection,
    calendar: str,
    *,
    label: str | None,
    following: str | None,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    notary: Notary,
) -> Closed:
    """Close the open window of `calendar`; tries again if a batch holds it for long. Needs an autocommit connection.

    Its entry is sealed by `notary`; its request_id follows from the window, so that a second one collides.
    Raises NothingToDo if `label` is closed already, or without a label if the open window's period is not over;
    NeedsHuman if the calendar or label does not exist, or the next label cannot be told; Contention after the last try.
    """
    known = store.scheme(connection)
    window = window_to_close(connection, calendar, store.windows(connection, calendar), label, clock())
    closed: list[Closed] = []

    def apply(connection: Connection) -> dict[str, JSON]:
        closed[:] = [close_in_transaction(connection, calendar, label=label, following=following, clock=clock)]
        return closed[0].answer()

    body: dict[str, JSON] = {"calendar": calendar, "label": window.label, "next_label": following}
    act = Act(
        Kind.WINDOW_CLOSED,
        known.operator_id,
        uuid5(known.deployment_id, f"closing/{window.window_id}"),
        body_hash(Kind.WINDOW_CLOSED, body),
        store.ACTOR,
    )
    zone = ZoneInfo(known.zone)
    acts = Acts(known.lane_count, lambda time: time.astimezone(zone).date(), notary)
    patiently(lambda: acts.perform(connection, act, apply), sleep)
    if not closed:
        raise NothingToDo(f"window {window.label} of calendar {calendar} was closed by another meanwhile")
    return closed[0]


def patiently(perform: Callable[[], Answer], sleep: Callable[[float], None]) -> Answer:
    """What `perform` answers, tried several times while batches hold the windows. Raises Contention after the last."""
    for attempt in range(ATTEMPTS):
        try:
            return perform()
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
    """The same within the transaction of its act."""
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
