"""Another calendar, opened while the coalition trades: an act that lays it with its first window."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.agreement_fields import CODE
from coalition.domain.calendars import CADENCES, window_label
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from settlement.errors import NeedsHuman, NothingToDo
from settlement.labels import period_end

EXAMPLES: Final = {"MONTHLY": "2017-01", "WEEKLY": "2017-W05", "DAILY": "2017-01-31"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A calendar and the label of its first window."""

    calendar: str
    label: str


def open_calendar(
    connection: Connection,
    code: str,
    cadence: str,
    *,
    clock: Callable[[], datetime],
    notary: Notary,
    first_label: str | None = None,
) -> Opened:
    """Open `code`. Raises NothingToDo if it is there already, NeedsHuman for a code, cadence or label that is none.

    Its first window is that of today, or `first_label`: a coalition whose books begin earlier, as in a replay.

    It holds the windows as a close does: an entry lies in the new window by its journal number, and none is half in it.
    """
    if not CODE.fullmatch(code):
        raise NeedsHuman(f"{code} is no code: write a-z, 0-9 and -, at most 63 of them, no - first")
    if cadence not in CADENCES:
        raise NeedsHuman(f"a cadence is one of {', '.join(each.lower() for each in CADENCES)}")
    if first_label is not None and cadence != "MANUAL" and period_end(cadence, first_label) is None:
        raise NeedsHuman(
            f"--first-label {first_label} names no {cadence.lower()} period: write it as {EXAMPLES[cadence]}"
        )
    if code in store.calendars(connection):
        raise NothingToDo(f"calendar {code} is open already", {"calendar": code})
    known = store.scheme(connection)
    zone = ZoneInfo(known.zone)
    opened: list[Opened] = []

    def apply(connection: Connection) -> dict[str, JSON]:
        store.lock_windows(connection)
        time = clock()
        label = first_label or window_label(cadence, time.astimezone(zone).date())
        store.add_calendar(connection, code, cadence, label, time)
        opened[:] = [Opened(code, label)]
        return {"calendar": code, "cadence": cadence, "label": label}

    body: dict[str, JSON] = {"calendar": code, "cadence": cadence}
    own_id = uuid5(known.deployment_id, f"calendar/{code}")
    act = Act(Kind.CALENDAR_OPENED, known.operator_id, own_id, body_hash(Kind.CALENDAR_OPENED, body), store.ACTOR)
    acts = Acts(known.lane_count, lambda time: time.astimezone(zone).date(), notary)
    acts.perform(connection, act, apply)
    if not opened:
        raise NothingToDo(f"calendar {code} was opened by another meanwhile", {"calendar": code})
    return opened[0]
