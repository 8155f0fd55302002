"""A server for this folder's tests; every test finds its databases empty."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalition.storage.embedded import EmbeddedPostgres
from tests.offices import House, empty_house, running_postgres


@pytest.fixture(scope="package")
def postgres() -> Iterator[EmbeddedPostgres]:
    # Not below pytest's own directory: that is 0700, and PostgreSQL gives up root's rights.
    directory = Path(tempfile.mkdtemp(prefix="coalition-test-"))
    directory.chmod(0o755)
    with running_postgres(directory) as server:
        yield server
    shutil.rmtree(directory)


@pytest.fixture
def house(postgres: EmbeddedPostgres) -> House:
    return empty_house(postgres)
