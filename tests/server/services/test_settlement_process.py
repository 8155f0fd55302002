"""`python -m settlement serve` as a real process: it answers HQ over mTLS and ends well when it is told to stop."""

import json
import os
import signal
import subprocess
import sys

from coalition.v1.settlement_pb2 import ListWindowsRequest
from tests.server.services.house import Doors

START_LINES_MAX = 50


def test_the_settlement_server_is_a_process_of_its_own_that_drains_on_sigterm(doors: Doors) -> None:
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
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
