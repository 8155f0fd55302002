"""How the windows stand: state, gross and net so far, what is due since when, how far the fold behind them is behind.

Reads only.
"""

from dataclasses import dataclass
from datetime import datetime

from coalition.domain.settlement_runs import due_since
from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag
from coalition.storage.settlement_entries import due_lines
from settlement import multilateral


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """A window with its figures as far as they are folded; amounts in minor units."""

    window: store.Window
    claims: int
    gross_minor: int
    net_minor: int

    @property
    def saving_percent(self) -> str:
        return multilateral.saving_percent(self.gross_minor, self.net_minor)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due to (above zero) or from a participant, and since when."""

    code: str
    due_minor: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """All windows, oldest first within their calendar, what is due, and the follower's lag when they were read."""

    scheme: store.Scheme
    windows: list[WindowStatus]
    due: list[Due]
    lag: Lag


def status(connection: Connection, follower: Follower, calendar: str | None = None) -> Status:
    """Read how the windows of one calendar, or of all, stand."""
    participant_ids = [party.participant_id for party in folded.parties(connection)]
    rows = []
    for window in store.windows(connection, calendar):
        claims = folded.bilateral(connection, window.window_id)
        positions = multilateral.net(claims, participant_ids)
        count = sum(claim.transfer_count for claim in claims)
        rows.append(WindowStatus(window, count, multilateral.gross(claims), multilateral.paid(positions)))
    return Status(store.scheme(connection), rows, aged(connection), follower.lag())


def aged(connection: Connection) -> list[Due]:
    """Everybody of whom something is due, in order of their numbers."""
    lines = due_lines(connection)
    found = []
    for party in folded.parties(connection):
        own = lines.get(party.participant_id, [])
        since = due_since(own)
        if since is not None:
            found.append(Due(party.code, sum(line.amount_minor for line in own), since))
    return found
