"""`python -m settlement serve` as a real process: it answers HQ over mTLS, is found, and ends well when told to."""

import json
import os
import signal
import subprocess
import sys

import pytest

from coalition.bootstrap.addresses import SETTLEMENT
from coalition.cli import main
from coalition.v1.settlement_pb2 import ListWindowsRequest
from tests.server.services.house import Doors

START_LINES_MAX = 50


def test_the_settlement_server_is_a_process_of_its_own_that_is_found_and_drains_on_sigterm(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With port 0 the commands find it by the file below var, which is gone once it has stopped."""
    house, settings = doors.house, doors.settings
    said = {
        "COALITION_VAR": str(settings.var),
        "COALITION_DATABASE_URL": house.postgres.dsn("coalition_app", house.ledger),
        "COALITION_SETTLEMENT_DATABASE_URL": house.postgres.dsn("coalition_settlement", house.ledger),
        "COALITION_KEYDB_URL": house.postgres.dsn("coalition_app", house.keydb),
        "COALITION_SETTLEMENT_LISTEN": "127.0.0.1:0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "settlement", "serve"],
        env={**os.environ, **said},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = (json.loads(process.stderr.readline()) for _ in range(START_LINES_MAX))
        started = next(line for line in lines if line["event"] == "settlement_server_started")
        visitor = Doors(settings, house, doors.address, started["address"]).visitor("/op/admin")
        assert [row.label for row in visitor.settlement.ListWindows(ListWindowsRequest(calendar="monthly")).windows]
        for name, value in said.items():
            monkeypatch.setenv(name, value)
        assert main(["windows", "--field", "state"]) == 0
        assert capsys.readouterr().out.split() == ["OPEN"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not (settings.var / SETTLEMENT).exists()
    finally:
        process.kill()
        process.wait()
