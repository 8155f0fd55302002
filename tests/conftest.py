"""What every folder may use: one PostgreSQL a session for all of them, one furnished house a module."""

from collections.abc import Iterator

import pytest

from tests.house import House, new_house
from tests.postgres import SharedPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[SharedPostgres]:
    with SharedPostgres.running() as server:
        yield server


@pytest.fixture(scope="module")
def house(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with new_house(postgres, tmp_path_factory.mktemp("var")) as house:
        yield house
