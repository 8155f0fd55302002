"""The folds over the journal: what can be computed again from its entries, such as positions per window.

Reads the journal in order and keeps its own tables. Never writes a journal entry, and rebuilding gives the same bytes.
"""

from typing import Final

from coalition.storage.day_totals import DAY_TOTALS
from coalition.storage.folds import Fold
from coalition.storage.positions import POSITIONS

FOLDS: Final[tuple[Fold, ...]] = (POSITIONS, DAY_TOTALS)
"""What a server and `coalition follow` keep."""
