"""One PostgreSQL for these tests, a fresh ledger for each."""

from collections.abc import Iterator

import pytest

from coalition.storage.embedded import EmbeddedPostgres
from tests.ledger_fixtures import Ledger, new_ledger, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    with running_server() as server:
        yield server


@pytest.fixture
def ledger(server: EmbeddedPostgres) -> Ledger:
    return new_ledger(server)
