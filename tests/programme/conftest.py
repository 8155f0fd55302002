"""Every test of this folder finds its databases empty."""

from collections.abc import Iterator

import pytest

from tests.offices import House, empty_house
from tests.postgres import SharedPostgres


@pytest.fixture
def house(postgres: SharedPostgres) -> Iterator[House]:
    house = empty_house(postgres)
    yield house
    for database in (house.ledger, house.keydb):
        postgres.drop(database)
