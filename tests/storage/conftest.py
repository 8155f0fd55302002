"""A server for this folder's tests of the schema."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalition.storage.embedded import EmbeddedPostgres
from tests.storage.databases import Database, copy_of, running_server


@pytest.fixture(scope="package")
def postgres() -> Iterator[EmbeddedPostgres]:
    # Not below pytest's own directory: that is 0700, and PostgreSQL gives up root's rights.
    directory = Path(tempfile.mkdtemp(prefix="coalition-test-"))
    directory.chmod(0o755)
    with running_server(directory) as server:
        yield server
    shutil.rmtree(directory)


@pytest.fixture(scope="package")
def tried_ledger(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A ledger shared by tests that keep nothing of what they try."""
    with copy_of(postgres, "coalition") as database:
        yield database


@pytest.fixture
def ledger(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A ledger of the test's own."""
    with copy_of(postgres, "coalition") as database:
        yield database


@pytest.fixture
def keydb(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A key database of the test's own."""
    with copy_of(postgres, "keydb") as database:
        yield database


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A database without any table."""
    with copy_of(postgres, "template0") as database:
        yield database
