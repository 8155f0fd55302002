"""Two processes that would own the same embedded databases: the second is refused and leaves the first as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coalition.bootstrap.databases import databases
from coalition.config import load_settings
from coalition.storage.attach import read_attach_file
from coalition.storage.embedded_error import EmbeddedError
from tests.places import passable_directory


@pytest.fixture
def var() -> Iterator[Path]:
    with passable_directory() as directory:
        yield directory


@pytest.mark.xdist_group("serial")
def test_a_refused_second_owner_leaves_the_way_to_the_first_ones_databases(var: Path) -> None:
    """The month's commands find the ledger by the attach file: a second `coalition serve` must not take it away."""
    settings = load_settings(var=var)
    with databases(settings) as first:
        with pytest.raises(EmbeddedError, match="already served by process"), databases(settings):
            pass

        assert read_attach_file(var)["ledger"].dsn("coalition_app") == first.dsn("app")
        with databases(settings, attach=True) as attached:
            assert attached.dsn("app") == first.dsn("app")
    assert not (var / "postgres.json").exists()
