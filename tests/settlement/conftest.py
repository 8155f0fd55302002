"""A fresh ledger for each of these tests."""

from collections.abc import Iterator

import pytest

from tests.ledger_fixtures import Ledger, new_ledger
from tests.postgres import SharedPostgres


@pytest.fixture
def ledger(postgres: SharedPostgres) -> Iterator[Ledger]:
    ledger = new_ledger(postgres)
    yield ledger
    postgres.drop(ledger.database)
