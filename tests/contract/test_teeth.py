"""The judge bites: of some seeded bugs here, of all of them in tests/soak."""

from pathlib import Path

import pytest

from tests.contract.market import Market
from tests.contract.mutants import BY_NAME
from tests.contract.teeth import noticed

pytestmark = [pytest.mark.xdist_group("contract"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", ["wallets are read, not locked", "a killed request is decided all the same"])
def test_a_seeded_bug_is_noticed(market: Market, tmp_path: Path, name: str):
    said = noticed(market, BY_NAME[name], tmp_path)
    print(f"{name}: {said}")

    assert said
