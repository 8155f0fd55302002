"""The judge bites: of some seeded bugs here, of all of them in tests/soak."""

from pathlib import Path

import pytest

from tests.contract.market import Market
from tests.contract.mutant import SOURCE
from tests.contract.mutants import ALL, BY_NAME
from tests.contract.teeth import noticed

pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.timeout(300)]


def test_every_seeded_bug_can_still_be_sown():
    """What changes the code changes its seeded bugs along: here at once, not when they are all tried."""
    gone = [(each.name, text) for each in ALL for name, text, _ in each.changes if text not in source(name)]

    assert [] == gone


def source(name: str) -> str:
    return (SOURCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["wallets are read, not locked", "a PIN is counted after it was compared"])
def test_a_seeded_bug_is_noticed(market: Market, tmp_path: Path, name: str):
    said = noticed(market, BY_NAME[name], tmp_path)
    print(f"{name}: {said}")

    assert said
