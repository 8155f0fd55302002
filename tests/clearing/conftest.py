"""One PostgreSQL for the desk's tests, a fresh ledger for each."""

from collections.abc import Iterator

import pytest

from coalition.storage.embedded import EmbeddedPostgres
from tests.clearing.house import House, new_house
from tests.ledger_fixtures import running_server


@pytest.fixture(scope="session")
def desk_server() -> Iterator[EmbeddedPostgres]:
    with running_server() as server:
        yield server


@pytest.fixture
def house(desk_server: EmbeddedPostgres) -> House:
    return new_house(desk_server)
