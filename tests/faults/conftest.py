"""One site for the folder: starting two databases costs more than most of these tests."""

from collections.abc import Iterator

import pytest

from tests.faults.site import Site, new_site
from tests.faults.trade import Trade, lay_trade


@pytest.fixture(scope="package")
def running_site() -> Iterator[Site]:
    with new_site() as site:
        assert site.owner.is_running
        site.trade = lay_trade(site)
        yield site


@pytest.fixture
def site(running_site: Site) -> Site:
    """The site with its owner running, whatever the test before did to it."""
    assert running_site.owner.is_running
    return running_site


@pytest.fixture
def trade(site: Site) -> Trade:
    laid = site.trade
    assert isinstance(laid, Trade)
    return laid
