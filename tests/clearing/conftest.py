"""A fresh ledger for each test of the desk."""

from collections.abc import Iterator

import pytest

from tests.clearing.house import House, new_house
from tests.postgres import SharedPostgres


@pytest.fixture
def house(postgres: SharedPostgres) -> Iterator[House]:
    house = new_house(postgres)
    yield house
    postgres.drop(house.database)
