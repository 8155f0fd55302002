"""The folds over the journal: what can be computed again from its entries, such as positions per window.

Reads the journal in order and keeps its own tables. Never writes a journal entry, and rebuilding gives the same bytes.
"""

from coalition.followers.caps import capped_exposures
from coalition.followers.day_limits import day_totals
from coalition.followers.sponsors import limited_sponsors
from coalition.storage.folds import Fold
from coalition.storage.positions import POSITIONS
from coalition.storage.settlement_events import SETTLEMENT_EVENTS
from coalition.storage.window_volumes import WINDOW_VOLUMES


def folds() -> tuple[Fold, ...]:
    """What a server and `coalition follow` keep, for one follower's thread."""
    return (POSITIONS, day_totals(), WINDOW_VOLUMES, capped_exposures(), limited_sponsors(), SETTLEMENT_EVENTS)
