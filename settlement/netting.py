"""Netting a closed window: every participant's one position, from the follower's fold, stored and posted.

Takes as long for ten million entries as for ten: it reads sums, never entries. That the fold is what the journal says
is checked by `rederiving`, beside the trade. Never changes a claim, and a second run changes nothing.
"""

from dataclasses import dataclass
from typing import Final

from coalition.domain.accounts import TransferCode, kind_of, parties_of
from coalition.domain.acts import Act
from coalition.domain.errors import LedgerBroken
from coalition.domain.journal import Notary
from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.positions import Claim, Party, Position
from settlement import multilateral
from settlement.assessment import assess_window
from settlement.cells import unit_text
from settlement.errors import BooksDiffer, ChangedMeanwhile, NeedsHuman, NothingToDo
from settlement.valuing import value_window

CODE_NAMES: Final = {int(code): code.name for code in TransferCode}


@dataclass(frozen=True, slots=True)
class Netted:
    """A window that was just netted; amounts in minor units of the scheme's currency."""

    calendar: str
    label: str
    participants: int
    gross_minor: int
    net_minor: int
    saving_percent: str
    netting_entry_id: int


def net(
    connection: Connection,
    follower: Follower,
    calendar: str,
    label: str,
    *,
    notary: Notary,
    order: Act | None = None,
) -> Netted:
    """Net the window and post its NETTING entry, as the answer to `order` if there is one. Needs autocommit.

    Folds what the follower has not folded yet, and posts the window's fees and what its points are worth first. Raises
    NothingToDo if it is netted already, NeedsHuman if it is still open, unknown, or an older window of the calendar
    waits, BooksDiffer if the figures do not agree.
    """
    window = window_to_net(store.windows(connection, calendar), calendar, label)
    cut_number = cut_of(window)
    assessed = assess_window(connection, follower, window, cut_number, notary=notary)
    follower.catch_up(assessed or cut_number)
    parties = folded.parties(connection)
    claims = folded.bilateral(connection, window.window_id)
    valued = value_window(connection, window, claims, notary=notary)
    if valued is not None:
        follower.catch_up(valued)
        claims = folded.bilateral(connection, window.window_id)
    positions = verified_positions(claims, parties)
    scheme = store.scheme(connection)
    with connection.transaction():
        window = store.lock_window(connection, window.window_id)
        if window.state != "CLOSED":
            raise already(window)
        if folded.bilateral(connection, window.window_id) != claims or folded.parties(connection) != parties:
            raise ChangedMeanwhile(
                f"the fold or the participants changed while {label} was being checked: run it again"
            )
        store.store_net_positions(connection, window.window_id, positions)
        entry = store.post_netting(connection, window, positions, known=scheme, notary=notary, order=order)
    gross_minor, net_minor = multilateral.gross(claims), multilateral.paid(positions)
    return Netted(
        calendar,
        label,
        len(parties),
        gross_minor,
        net_minor,
        multilateral.saving_percent(gross_minor, net_minor),
        entry.entry_id,
    )


def window_to_net(windows: list[store.Window], calendar: str, label: str) -> store.Window:
    """The named window if it is the oldest closed one of its calendar."""
    for window in windows:
        if window.label == label:
            if window.state == "OPEN":
                raise NeedsHuman(f"window {label} of calendar {calendar} is still open: close it first")
            if window.state != "CLOSED":
                raise already(window)
            return window
        if window.state == "CLOSED":
            raise NeedsHuman(f"window {window.label} of calendar {calendar} is older and closed: net it first")
    raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")


def cut_of(window: store.Window) -> int:
    """The last journal number that can lie in a closed window."""
    if window.cut_number is None:
        raise LedgerBroken(f"window {window.label} is {window.state} without a cut")
    return window.cut_number


def already(window: store.Window) -> NothingToDo:
    """What a second run raises: how the window stands."""
    return NothingToDo(
        f"window {window.label} of calendar {window.calendar} is already {window.state}",
        {
            "calendar": window.calendar,
            "label": window.label,
            "state": window.state,
            "netting_entry_id": window.netting_entry_id,
        },
    )


def verified_positions(claims: list[Claim], parties: list[Party]) -> list[Position]:
    """Every participant's position; each unit sums to zero or nothing is returned."""
    try:
        positions = multilateral.net(claims, (party.participant_id for party in parties))
    except ValueError as error:
        raise BooksDiffer("claims of the window name strangers", [str(error)]) from error
    wrong = multilateral.imbalance(positions)
    if wrong:
        raise BooksDiffer(
            "net positions do not sum to zero",
            [f"{unit_text(unit)}: {total}" for unit, total in sorted(wrong.items())],
        )
    return positions


def account_text(account: int) -> str:
    """An account as people write it, with participant numbers: CLEARING(4)."""
    first, second = parties_of(account)
    return f"{kind_of(account).name}({first}{f',{second}' if second else ''})"


def code_text(code: int) -> str:
    """A transfer code's name; a number that has none is shown as it is."""
    return CODE_NAMES.get(code) or f"code {code}"
