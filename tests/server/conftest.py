"""A real server over mutual TLS on the module's house, and stubs for whoever speaks to it."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House

Tills = Callable[[str], TerminalServiceStub]


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    with house.server() as (_, address):
        yield address


@pytest.fixture(scope="module")
def channel(house: House, address: str) -> Iterator[Callable[[str], grpc.Channel]]:
    """A channel as the identity of a path such as t/cafe/main/till-1."""
    opened: dict[str, grpc.Channel] = {}

    def of(path: str) -> grpc.Channel:
        if path not in opened:
            opened[path] = grpc.secure_channel(address, house.certificate(path).credentials())
        return opened[path]

    yield of
    for each in opened.values():
        each.close()


@pytest.fixture(scope="module")
def tills(channel: Callable[[str], Any]) -> Tills:
    return lambda path: TerminalServiceStub(channel(path))
