"""A seeded bug: a copy of the source with one thing wrong, and the market as a service with that bug serves it.

A text that is no longer there fails the test that wants to change it: a seeded bug is kept up with the code.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import coalition
from tests.contract.market import Market

SOURCE = Path(coalition.__file__).parent


@dataclass(frozen=True)
class Mutant:
    """`changes`: file below the package, the text in it, the text instead. `trial`: what brings it to light."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    trial: str = "traffic"


@contextmanager
def mutated(market: Market, mutant: Mutant | None, directory: Path) -> Iterator[Market]:
    """The market, served by two servers of a copy of the source with the bug in it (None: a faithful copy)."""
    package = directory / "src" / "coalition"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text, instead in mutant.changes if mutant is not None else ():
        file = package / name
        source = file.read_text(encoding="utf-8")
        assert text in source, f"{name} no longer says {text!r}"
        file.write_text(source.replace(text, instead), encoding="utf-8")
    environment = {**market.site.environment, "PYTHONPATH": str(package.parent)}
    yield replace(market, site=replace(market.site, environment=environment, _logs=market.site.next_log() * 1_000))
