"""What papers of a netted window are made from: read once, checked against netting. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.positions import Claim, Party, Position
from settlement.errors import NeedsHuman
from settlement.rederiving import own_numbers, verify_positions


@dataclass(frozen=True)
class Contents:
    """A netted window: its claims and positions, and the journal numbers its claims lie in."""

    scheme: store.Scheme
    window: store.Window
    parties: Sequence[Party]
    claims: Sequence[Claim]
    positions: Sequence[Position]
    ranges: Sequence[tuple[int, int]]

    @cached_property
    def codes(self) -> Mapping[int, str]:
        """Codes of the participants by number."""
        return {party.participant_id: party.code for party in self.parties}

    @property
    def name(self) -> str:
        """The window as receipts name it: monthly/2017-01."""
        return f"{self.window.calendar}/{self.window.label}"


def gather(connection: Connection, calendar: str, label: str) -> Contents:
    """Read a netted window. Raises NeedsHuman unless it is netted, BooksDiffer where claims and netting differ."""
    windows = store.windows(connection, calendar)
    window = next((window for window in windows if window.label == label), None)
    if window is None:
        raise NeedsHuman(f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    if window.state not in {"NETTED", "SETTLED"}:
        raise NeedsHuman(f"window {label} of calendar {calendar} is {window.state}: a report needs it netted")
    positions = store.net_positions(connection, window.window_id)
    claims = folded.bilateral(connection, window.window_id)
    verify_positions(claims, positions, label)
    listed = {position.participant_id for position in positions}
    # Whoever joined after the month was netted is no part of it: the report stays what it was.
    parties = [party for party in folded.parties(connection) if party.participant_id in listed]
    return Contents(store.scheme(connection), window, parties, claims, positions, own_numbers(windows, window))
