"""One market for the folder, with a server of its own; each test uses cards of its own."""

from collections.abc import Iterator

import pytest

from tests.contract.market import Market, new_market
from tests.contract.short_holds import ShortHolds


@pytest.fixture(scope="package")
def market() -> Iterator[Market]:
    with new_market() as opened:
        yield opened


@pytest.fixture(scope="package")
def short_holds(market: Market) -> ShortHolds:
    """Asked for by the first tests, so that their minute is over when the last one looks at them."""
    return ShortHolds(market)
