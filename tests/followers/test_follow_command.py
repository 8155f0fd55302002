"""`coalition follow` as the process that a service manager starts and stops."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.ledger_fixtures import Ledger, write_batch
from tests.postgres import EMPTY, SharedPostgres

COMMAND = (sys.executable, "-m", "coalition", "follow")


@contextmanager
def following(dsn: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "COALITION_DATABASE_URL": dsn}
    process = subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.xdist_group("serial")
def test_the_follower_folds_with_nothing_but_the_ledger_and_ends_well_when_told(ledger: Ledger) -> None:
    """It is given no key, no certificate and no key database, so whoever takes it over has none of them."""
    with ledger.connect() as connection:
        number, _ = write_batch(connection, [(3, 4, 25_000)])
    with following(ledger.dsn("coalition_app")) as process:
        deadline = time.monotonic() + 30
        while ledger.follower().lag().batches and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)

        assert 0 == process.wait(30)
    with ledger.connect() as connection:
        cursor = connection.execute("SELECT cursor_number FROM followers").fetchone()

    assert (number,) == cursor


@pytest.mark.xdist_group("serial")
def test_a_follower_of_another_schema_is_refused_with_the_command_to_run(postgres: SharedPostgres) -> None:
    """Exit code 2, as for every wrong configuration: a service manager must not restart it for ever."""
    with postgres.copy(EMPTY) as database, following(postgres.dsn("coalition", database)) as process:
        _, said = process.communicate(timeout=60)

        assert 2 == process.returncode
        assert "coalition migrate" in said
