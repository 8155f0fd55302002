"""The soak tests work on a site of the fault tests, and on a market of the contract tests."""

from tests.contract.conftest import market
from tests.faults.conftest import running_site, site, trade

__all__ = ["market", "running_site", "site", "trade"]
