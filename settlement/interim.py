"""Interim settlement: a window is closed before its period is over because somebody owes too much in it.

The rest of the period goes on in a window of its own (2017-01 is followed by 2017-01.2), which is netted and settled
like every other. Decides when; closing is settlement/closing.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from coalition.domain.accounts import Unit
from coalition.domain.journal import Notary
from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.settlement_entries import due
from settlement import closing
from settlement.closing import Closed
from settlement.errors import NeedsHuman, NothingToDo
from settlement.labels import interim_label


@dataclass(frozen=True, slots=True)
class Exposed:
    """The participant that owes most, over its open and unsettled windows and what is due of it, minor units."""

    participant_id: int
    code: str
    owed_minor: int


def exposure(connection: Connection, follower: Follower, calendar: str) -> Exposed | None:
    """Who owes most, if anybody owes: live positions of open and closed windows of every calendar, and what is due.

    Netted windows are in what is due already. Folds what the follower has not folded yet. None: nobody owes.
    """
    if not store.windows(connection, calendar):
        raise NeedsHuman(f"calendar {calendar} has no window")
    follower.catch_up()
    owed = {party: -amount for party, amount in due(connection).items()}
    for window in store.windows(connection):
        if window.state in {"OPEN", "CLOSED"}:
            for position in folded.live_positions(connection, window.window_id):
                if position.unit == Unit.MONEY:
                    owed[position.participant_id] = owed.get(position.participant_id, 0) - position.net_minor
    codes = {party.participant_id: party.code for party in folded.parties(connection)}
    most = max(owed.items(), key=lambda row: (row[1], -row[0]), default=None)
    if most is None or most[1] <= 0:
        return None
    return Exposed(most[0], codes[most[0]], most[1])


def close_if_exposed(
    connection: Connection,
    follower: Follower,
    calendar: str,
    threshold_minor: int,
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    notary: Notary,
) -> tuple[Closed, Exposed]:
    """Close the open window of `calendar` if somebody owes `threshold_minor` or more; else raise NothingToDo.

    Closing again at once would gain nothing while the debt is due and not paid: then NothingToDo is raised too.
    """
    most = exposure(connection, follower, calendar)
    if most is None or most.owed_minor < threshold_minor:
        raise NothingToDo(
            "nobody owes that much", {"calendar": calendar, "owed_minor": 0 if most is None else most.owed_minor}
        )
    window = next((each for each in store.windows(connection, calendar) if each.state == "OPEN"), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no open window: purchases of its agreements wait for one")
    inside = folded.live_positions(connection, window.window_id)
    if not any(each.participant_id == most.participant_id and each.net_minor < 0 for each in inside):
        raise NothingToDo(
            f"{most.code} owes that much, but nothing of it in the open window: settle the closed ones",
            {"calendar": calendar, "owed_minor": most.owed_minor},
        )
    closed = closing.close(
        connection,
        calendar,
        label=window.label,
        following=interim_label(window.label),
        clock=clock,
        sleep=sleep,
        notary=notary,
    )
    return closed, most
