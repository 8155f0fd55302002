"""Every seeded bug is noticed by the contract's judge, and a faithful copy of the source is not."""

from pathlib import Path

import pytest

from tests.contract.market import Market
from tests.contract.mutant import Mutant
from tests.contract.mutants import ALL
from tests.contract.teeth import TRIALS, noticed

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.mark.parametrize("trial", TRIALS)
def test_a_faithful_copy_passes_every_trial(market: Market, tmp_path: Path, trial: str):
    assert "" == noticed(market, None, tmp_path, trial=trial)


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_seeded_bug_is_noticed(market: Market, tmp_path: Path, mutant: Mutant, capsys: pytest.CaptureFixture[str]):
    said = noticed(market, mutant, tmp_path)
    with capsys.disabled():
        print(f"\n{mutant.name}: {said.splitlines()[0] if said else 'NOT NOTICED'}")

    assert said
