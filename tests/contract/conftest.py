"""One market a session, with a server of its own; each test uses cards of its own."""

from collections.abc import Iterator

import pytest

from tests.contract.market import Market, new_market


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    with new_market() as opened:
        yield opened
