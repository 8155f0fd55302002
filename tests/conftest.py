"""What every folder may use: one PostgreSQL a session for all of them, one furnished house a module."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, new_house
from tests.postgres import SharedPostgres
from tests.schedule import Schedule, begin_with_groups


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Schedule | None:
    return Schedule(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    begin_with_groups(config.rootpath, items)


@pytest.fixture(scope="session")
def postgres() -> Iterator[SharedPostgres]:
    with SharedPostgres.running() as server:
        yield server


@pytest.fixture(scope="module")
def house(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with new_house(postgres, tmp_path_factory.mktemp("var")) as house:
        yield house
