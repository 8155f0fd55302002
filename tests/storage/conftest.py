"""Databases for this folder's tests of the schema."""

from collections.abc import Iterator

import pytest

from tests.offices import LAID_LEDGER
from tests.postgres import EMPTY, MIGRATED_KEYDB, SharedPostgres
from tests.storage.databases import Database


@pytest.fixture(scope="package")
def tried_ledger(postgres: SharedPostgres) -> Iterator[Database]:
    """A ledger shared by tests that keep nothing of what they try."""
    with postgres.copy(LAID_LEDGER) as name:
        yield Database(postgres, name)


@pytest.fixture
def ledger(postgres: SharedPostgres) -> Iterator[Database]:
    """A ledger of the test's own, with a scheme laid."""
    with postgres.copy(LAID_LEDGER) as name:
        yield Database(postgres, name)


@pytest.fixture
def keydb(postgres: SharedPostgres) -> Iterator[Database]:
    """A key database of the test's own."""
    with postgres.copy(MIGRATED_KEYDB) as name:
        yield Database(postgres, name)


@pytest.fixture
def empty(postgres: SharedPostgres) -> Iterator[Database]:
    """A database without any table."""
    with postgres.copy(EMPTY) as name:
        yield Database(postgres, name)
