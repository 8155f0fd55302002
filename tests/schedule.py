"""Which worker of `make test` runs what: one worker runs a module, and one worker all modules of an `xdist_group`.

So what a module or a group shares is made once, and no two tests of a group run at the same time. xdist's own scheduler
for groups finds them at the end of a test's id, where pytest 9.2 no longer lets it write them; and it hands out what
has no group test by test, so that each worker makes every module's fixtures.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

MARK: Final = re.compile(r'xdist_group\("(\w+)"\)')
FIRST: Final = ("faults", "contract", "serial")
"""The longest groups: begun first, so that the workers end at the same time."""


class Schedule(LoadScopeScheduling):
    """Hands out groups and modules in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        """The name of what the test is handed out with."""
        return unit_of(self.config.rootpath, nodeid)


def unit_of(root: Path, nodeid: str) -> str:
    """The group of a test's module, else the module. Read off the file: the process that hands out imports no test."""
    return _unit(root / nodeid.partition("::")[0])


def begin_with_groups(root: Path, items: list[pytest.Item]) -> None:
    """Sort the tests: those of groups first, else as they are."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(unit_of(root, item.nodeid), len(FIRST)))


@cache
def _unit(path: Path) -> str:
    found = MARK.search(path.read_text(encoding="utf-8"))
    return found[1] if found else str(path)
