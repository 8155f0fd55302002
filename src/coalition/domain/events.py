"""What settlement tells participants: each entry of the journal that concerns them as events. Pure, and never personal.

An event is named by its entry and its place among the entry's events, so that whoever makes the events again gets the
same ones under the same names. What members are told is read from the journal as it is (storage/member_events.py).
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from coalition.domain.accounts import AccountKind
from coalition.domain.journal import Transfer
from coalition.domain.kinds import SETTLEMENT, Kind
from coalition.domain.settlement_runs import changes_of

EVERYBODY: Final = 0
"""Stands for all participants where an event concerns each of them."""
NOTICE_DAYS: Final = 14
"""So many days before a bonus, or points, end their member is told: two week-ends are left to spend it."""


class EventKind(IntEnum):
    """What happened. The numbers are stored, and told over the wire, for ever."""

    WINDOW_CLOSED = 1
    WINDOW_NETTED = 2
    NETTING_REVERSED = 3
    FEES_ASSESSED = 4
    RUN_PREPARED = 5
    RUN_APPROVED = 6
    RUN_ABORTED = 7
    PAYMENT_SETTLED = 8
    PAYMENT_RETURNED = 9
    ADJUSTED = 10
    COLLATERAL_MOVED = 11
    DEFAULT_SHARED = 12
    HANDED_OVER = 13
    DISPUTE_OPENED = 14
    DISPUTE_PROPOSED = 15
    DISPUTE_WITHDRAWN = 16
    REPORT_SEALED = 17
    PARTICIPANT_STATE_CHANGED = 18
    CAP_NEAR = 19
    CAP_REACHED = 20
    CAP_CLEARED = 21
    WRITTEN_OFF = 22
    SPONSOR_REACHED = 23
    POINTS_VALUED = 24
    WALLET_ENTRY = 40
    BONUS_ENDS_SOON = 41
    LOT_HANDED_OVER = 42
    ISSUER_DEFAULTED = 43
    POINTS_END_SOON = 44


class Told(NamedTuple):
    """One event of an entry: whom it is told, by how much an account of theirs changed (minor units, above 0: in their
    favour), the run (0: none), the window as "calendar/label" and what else it is about ("" where there is none).
    """

    kind: EventKind
    participant_id: int
    amount_minor: int = 0
    run_id: int = 0
    window: str = ""
    subject: str = ""


MOVES: Final[Mapping[Kind, tuple[EventKind, AccountKind]]] = {
    Kind.NETTING: (EventKind.WINDOW_NETTED, AccountKind.DUE),
    Kind.NETTING_REVERSAL: (EventKind.NETTING_REVERSED, AccountKind.DUE),
    Kind.ASSESS: (EventKind.FEES_ASSESSED, AccountKind.CLEARING),
    Kind.VALUATION: (EventKind.POINTS_VALUED, AccountKind.CLEARING),
    Kind.SETTLEMENT_PAYMENT: (EventKind.PAYMENT_SETTLED, AccountKind.DUE),
    Kind.SETTLEMENT_RETURN: (EventKind.PAYMENT_RETURNED, AccountKind.DUE),
    Kind.ADJUSTMENT: (EventKind.ADJUSTED, AccountKind.CLEARING),
    Kind.DEBT_REPAID: (EventKind.ADJUSTED, AccountKind.CLEARING),
    Kind.COLLATERAL_MOVED: (EventKind.COLLATERAL_MOVED, AccountKind.COLLATERAL),
    Kind.DEFAULT: (EventKind.DEFAULT_SHARED, AccountKind.DUE),
    Kind.WRITE_OFF: (EventKind.WRITTEN_OFF, AccountKind.DUE),
}
"""What is told to each participant whose account of this kind an entry changed."""
DISPUTED: Final[Mapping[Kind, EventKind]] = {
    Kind.DISPUTE_OPENED: EventKind.DISPUTE_OPENED,
    Kind.DISPUTE_PROPOSED: EventKind.DISPUTE_PROPOSED,
    Kind.DISPUTE_WITHDRAWN: EventKind.DISPUTE_WITHDRAWN,
}
TELLING: Final = SETTLEMENT | {
    *DISPUTED,
    Kind.WINDOW_CLOSED,
    Kind.RUN_PREPARED,
    Kind.RUN_ABORTED,
    Kind.APPROVAL_DECIDED,
    Kind.REPORT_SEALED,
    Kind.PARTICIPANT_STATE_CHANGED,
}
"""The entries that settlement events are made of."""


def settlement_events(
    kind: Kind, answer: Mapping[str, Any], legs: Sequence[Transfer], sides: Mapping[str, tuple[int, int]]
) -> list[Told]:
    """The events of one accepted entry, always in the same order. `sides` are the two participants of each dispute."""
    if kind in MOVES:
        told, moved = MOVES[kind]
        run, window, subject = answer.get("run_id", 0), window_of(answer), str(answer.get("dispute", ""))
        changes = sorted(changes_of(legs, moved).items())
        return [Told(told, each, change, run, window, subject) for each, change in changes]
    if kind in DISPUTED:
        dispute = str(answer["dispute"])
        return [Told(DISPUTED[kind], each, subject=dispute) for each in sorted(sides[dispute])]
    match kind:
        case Kind.RUN_PREPARED:
            parties = [(each, instructed) for each, _, instructed in answer["parties"] if instructed]
            return [Told(EventKind.RUN_PREPARED, each, amount, answer["run_id"]) for each, amount in sorted(parties)]
        case Kind.APPROVAL_DECIDED if answer["subject"] == "RUN" and answer["state"] == "APPROVED":
            return [Told(EventKind.RUN_APPROVED, EVERYBODY, run_id=int(answer["name"]))]
        case Kind.RUN_ABORTED:
            return [Told(EventKind.RUN_ABORTED, EVERYBODY, run_id=answer["run_id"])]
        case Kind.WINDOW_CLOSED:
            return [Told(EventKind.WINDOW_CLOSED, EVERYBODY, window=window_of(answer))]
        case Kind.REPORT_SEALED:
            return [Told(EventKind.REPORT_SEALED, EVERYBODY, window=window_of(answer))]
        case Kind.SUCCESSION:
            return [Told(EventKind.HANDED_OVER, EVERYBODY, subject=f"{answer['participant']}/{answer['successor']}")]
        case Kind.PARTICIPANT_STATE_CHANGED:
            subject = f"{answer['participant']}/{answer['state']}"
            return [Told(EventKind.PARTICIPANT_STATE_CHANGED, EVERYBODY, subject=subject)]
    return []


def window_of(answer: Mapping[str, Any]) -> str:
    """The window an answer names; empty where it names none."""
    return f"{answer['calendar']}/{answer['label']}" if "label" in answer else ""
