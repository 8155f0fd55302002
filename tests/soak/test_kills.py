"""The rounds of the fault tests, many times: kill -9 of the server and of PostgreSQL under load."""

import pytest

from tests.faults.site import Site
from tests.faults.test_postgres_killed import kill_postgres_rounds
from tests.faults.test_server_killed import kill_server_rounds
from tests.faults.trade import Trade

SERVER_ROUNDS = 100
POSTGRES_ROUNDS = 25
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_a_hundred_killed_servers_lost_nothing(site: Site, trade: Trade, capsys: pytest.CaptureFixture[str]):
    counts = kill_server_rounds(site, trade, SERVER_ROUNDS, seed=71)
    with capsys.disabled():
        print(f"\nkill -9 of the server, {SERVER_ROUNDS} rounds: {counts}")

    assert counts.committed_unheard > 0
    assert counts.absent > 0


def test_many_killed_databases_lost_nothing(site: Site, trade: Trade, capsys: pytest.CaptureFixture[str]):
    counts = kill_postgres_rounds(site, trade, POSTGRES_ROUNDS, seed=72)
    with capsys.disabled():
        print(f"\nkill -9 of PostgreSQL, {POSTGRES_ROUNDS} rounds: {counts}")

    assert counts.acknowledged > 100 * POSTGRES_ROUNDS
