"""Ten thousand mutated bundles: the auditor's tool does not crash, and never says ok."""

from pathlib import Path

import pytest

from tests.audit.forge import mutate_and_judge, new_forge
from tests.house import House

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_ten_thousand_mutated_bundles_are_never_ok(house: House, tmp_path: Path) -> None:
    forge = new_forge(house, tmp_path)
    mutate_and_judge(forge, forge.bundle(), range(150, 10_150))
