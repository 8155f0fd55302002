"""A server for this folder's tests; every test finds its databases empty."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalition.storage.embedded import EmbeddedPostgres
from keys import KeyRing, create_ring
from tests.membership.desk import Desk
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


@pytest.fixture(scope="package")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return create_ring(tmp_path_factory.mktemp("keys") / "ring", random=os.urandom)


@pytest.fixture
def desk(house: House, ring: KeyRing) -> Desk:
    return Desk(house, ring)
