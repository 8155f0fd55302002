"""A real server over mutual TLS, a gateway before it, and a funded card."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coalition.client import Connection, new_request_id
from coalition.v1.operations_pb2 import TopUpRequest
from tests.gateway.gateways import gateway, plan
from tests.gateway.pos import Pos
from tests.house import House


@pytest.fixture(scope="module")
def server(house: House) -> Iterator[str]:
    with house.server(desk_workers=1) as (_, address):
        yield address


@pytest.fixture(scope="module")
def door(house: House, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway before the server."""
    with gateway(house, plan(server, tmp_path_factory.mktemp("gateway"))) as address:
        yield address


@pytest.fixture
def pos(door: str) -> Iterator[Pos]:
    with Pos(door) as connected:
        yield connected


@pytest.fixture(scope="module")
def funded(house: House, server: str) -> Iterator[Callable[[], str]]:
    """Makes cards with 1,200.00 on them: 1,000.00 paid and a fifth on top."""
    with Connection(server, house.certificate("t/store-a/main/till-1")) as seller:

        def card() -> str:
            number = house.new_card()
            request = TopUpRequest(
                request_id=new_request_id(), card_number=number, amount_minor=100_000, currency_code="CNY"
            )
            seller.call(seller.terminal.TopUp, request)
            return number

        yield card


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
