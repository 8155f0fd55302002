"""How the windows stand: state, gross and net so far, and how far the fold behind them is behind. Reads only."""

from dataclasses import dataclass

from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.cursors import Lag
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
class Status:
    """All windows, oldest first within their calendar, and the follower's lag when they were read."""

    scheme: store.Scheme
    windows: list[WindowStatus]
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
    return Status(store.scheme(connection), rows, follower.lag())
