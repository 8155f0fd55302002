"""Every test of this folder finds its databases empty."""

import os
from collections.abc import Iterator

import pytest

from keys import KeyRing, create_ring
from tests.membership.desk import Desk
from tests.offices import House, empty_house
from tests.postgres import SharedPostgres


@pytest.fixture
def house(postgres: SharedPostgres) -> Iterator[House]:
    house = empty_house(postgres)
    yield house
    for database in (house.ledger, house.keydb):
        postgres.drop(database)


@pytest.fixture(scope="package")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return create_ring(tmp_path_factory.mktemp("keys") / "ring", random=os.urandom)


@pytest.fixture
def desk(house: House, ring: KeyRing) -> Desk:
    return Desk(house, ring)
