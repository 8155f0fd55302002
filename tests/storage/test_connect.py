"""What every session has beside its transaction settings: an end of every wait for a network that is gone."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from coalition.storage.connect import NETWORK, connect, session_conninfo
from coalition.storage.pool import open_pool
from tests.storage.databases import Database


def test_connections_and_pools_notice_a_database_machine_that_is_gone(ledger: Database) -> None:
    """Without these a till's answer hangs on a dead machine's for up to two hours."""
    with connect(ledger.dsn()) as connection:
        assert NETWORK.items() <= connection.info.get_parameters().items()
    pool = open_pool(ledger.dsn(), size=1, application="test")
    try:
        with pool.connection() as connection:
            assert NETWORK.items() <= connection.info.get_parameters().items()
    finally:
        pool.close()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://coalition_app@ledger.example/coalition?keepalives_idle=60",
        "host=ledger.example keepalives_idle=60",
    ],
)
def test_a_url_that_names_its_own_patience_keeps_it(dsn: str) -> None:
    """A site with a balancer in front of its database knows better."""
    said = conninfo_to_dict(session_conninfo(dsn, "test"))

    assert ("60", NETWORK["tcp_user_timeout"]) == (said["keepalives_idle"], said["tcp_user_timeout"])


def test_the_network_settings_are_ones_this_libpq_knows() -> None:
    """An unknown name would refuse every connection, the embedded one's too."""
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}

    assert set(NETWORK) <= known
