"""The soak tests work on a site of the fault tests."""

from tests.faults.conftest import running_site, site, trade

__all__ = ["running_site", "site", "trade"]
