"""What every folder may use: one PostgreSQL a session with migrated templates, one furnished house a module."""

from collections.abc import Iterator

import pytest

from coalition.storage.embedded import EmbeddedPostgres
from tests.house import House, new_house, running_ledger_server


@pytest.fixture(scope="session")
def ledger_server() -> Iterator[EmbeddedPostgres]:
    with running_ledger_server() as server:
        yield server


@pytest.fixture(scope="module")
def house(ledger_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with new_house(ledger_server, tmp_path_factory.mktemp("var")) as house:
        yield house
