"""What the commands call: read the trade, run the demo, show it, and answer with an exit code.

0: every operation was answered as planned and the recomputation is equal for every participant. 1: anything else.
"""

import re
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from rich.console import Console

from coalition.client import ClientError
from coalition.replay.agreed import FactsMissing
from coalition.replay.demo import DirectoryInUse, Story, run_demo
from coalition.replay.headquarters import RunUnfinished
from coalition.replay.journey import read_journey
from coalition.replay.marketplace import read_marketplace
from coalition.replay.premises import Furnish
from coalition.replay.processes import ProcessFailed
from coalition.replay.screen import last_screen, progress_bars
from coalition.replay.trade import DataMissing, Trade

SOUND: Final = 0
FAILED: Final = 1
_MONTHS: Final = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?")


class MonthsInvalid(ValueError):
    """The months asked for are none of the year."""


def run_journey(*, months: str, members: int | None, var: Path, keep: bool, furnish: Furnish) -> int:
    """The demo: The Complete Journey. `months` such as "1", "1-12" or "1,3". Raises MonthsInvalid."""
    wanted = parse_months(months)
    return _run(lambda: read_journey(wanted, members), var, furnish, keep=keep)


def run_olist(
    directory: Path, *, months: str | None, members: int | None, var: Path, keep: bool, furnish: Furnish
) -> int:
    """The same on the Olist marketplace; `months` such as "2017-11" or "2017-11,2017-12", None: all there are."""
    wanted = months.replace(" ", "").split(",") if months else None
    return _run(lambda: read_marketplace(directory, wanted, members), var, furnish, keep=keep)


def parse_months(text: str) -> tuple[int, ...]:
    """The months of a year that "1-3,12" names, in order. Raises MonthsInvalid."""
    months: set[int] = set()
    for part in text.replace(" ", "").split(","):
        found = _MONTHS.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last <= 12:
            raise MonthsInvalid(f"months {text!r}: name months such as 1, 1-12 or 1,3")
        months.update(range(first, last + 1))
    return tuple(sorted(months))


def _run(read: Callable[[], Trade], var: Path, furnish: Furnish, *, keep: bool) -> int:
    console = Console()

    bars = ExitStack()

    def at_the_end(story: Story) -> None:
        bars.close()
        console.print(last_screen(story))
        if keep:
            console.print(f"The server goes on below {var} until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()

    try:
        with console.status("reading the trade"):
            trade = read()
        with bars:
            phases = bars.enter_context(progress_bars(console))
            story = run_demo(trade, var, furnish, phases, at_the_end=at_the_end)
    except KeyboardInterrupt:
        return FAILED
    except (DataMissing, DirectoryInUse, ProcessFailed, RunUnfinished, FactsMissing, ClientError) as error:
        console.print(f"[bold red]The demo failed:[/] {error}", highlight=False)
        return FAILED
    return SOUND if story.is_sound else FAILED
