"""Python's own settings for processes that serve."""

import gc
from typing import Final

GC_THRESHOLDS: Final = (50_000, 20, 20)


def tune_interpreter() -> None:
    """Settle Python for serving: what is loaded now is never scanned again, what comes is scanned rarely.

    The default collector runs every 700 new objects, which one call makes; cycles are rare here, so it may wait
    (measured: a quarter of the desk's time at batches of 1,024).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
