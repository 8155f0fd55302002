"""`coalition keys`: which versions wrap members' keys, and wrapping them anew."""

import os
import shutil
from pathlib import Path

import pytest

from coalition.storage.embedded import SUPERUSER
from keys import KeyPurpose
from keys.ring_making import rotate_key
from tests.cli.conftest import Run
from tests.house import House


@pytest.fixture
def coalition(run: Run, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command of the owner on the house's key database, with a key directory of the test's own."""
    shutil.copytree(house.settings.keys_directory, tmp_path / "keys")
    monkeypatch.setenv("COALITION_VAR", str(house.settings.var))
    monkeypatch.setenv("COALITION_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("COALITION_DATABASE_URL", house.dsn())
    monkeypatch.setenv("COALITION_KEYDB_OWNER_URL", house.postgres.dsn(SUPERUSER, house.keydb))
    return run


def test_member_keys_are_counted_by_version_and_wrapped_anew(coalition: Run, house: House, tmp_path: Path):
    for _ in range(3):
        house.new_card()
    before = coalition("keys", "status")
    assert (0, True) == (before.code, "ENABLED, primary" in before.out), before
    rotate_key(tmp_path / "keys", KeyPurpose.KEY_ENCRYPTION, random=os.urandom)
    done = coalition("keys", "rewrap")
    assert 0 == done.code, done
    assert "3 member keys wrapped anew by version 2" in done.out
    assert "python -m keys schedule-destroy key-encryption" in done.out
    again = coalition("keys", "rewrap")
    assert "0 member keys wrapped anew" in again.out
