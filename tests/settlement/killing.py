"""Runs one command of the month again and again, each time killed a step later, until it comes through.

`python -m tests.settlement.killing COMMAND...`: a step is one exchange with the database or one change of a file, and
before the k-th of them the process sends itself SIGKILL: no clean-up of any kind runs. Each run is a fork, so that none
pays for imports. Prints, as JSON, how often it was killed and how the last run ended.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from coalition.domain.acts import Act
from coalition.domain.approvals import Decision
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import RunPolicy
from coalition.followers.follower import Follower
from coalition.storage import approvals
from coalition.storage import settlement as month
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection, connect
from coalition.storage.positions import POSITIONS
from settlement import approving, closing, confirming, exporting, iso20022, netting, run_ends, runs
from settlement.errors import NothingToDo
from tests.ledger_fixtures import NOTARY

STEPS_MAX = 400
PRELOADED = iso20022  # imported by a command when it needs it; here once, before the forks


class Reaper:
    """Counts steps; the one that is due kills the process instead."""

    def __init__(self) -> None:
        self.left = 0

    def watch(self, owner: Any, name: str) -> None:
        """Every call of this method is a step."""
        original = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **more)

        setattr(owner, name, counted)


def decide(connection: Connection, acts: Acts, checker: str) -> None:
    """The next step of what waits, under a request id of the checker's own: as the server does it."""
    waiting = approvals.inbox(connection, None, 0, 1)
    if not waiting:
        raise NothingToDo("nothing waits")
    act = Act(Kind.APPROVAL_DECIDED, 1, UUID(int=waiting[0].approval_id), b"\x00" * 32, checker)
    approving.decide(connection, acts, act, waiting[0].approval_id, waiting[0].content_hash, Decision.APPROVED)


def killed_until_done(command: Callable[[], int]) -> dict[str, int]:
    """How often it was killed, and the exit code of the run that came through."""
    for steps in range(1, STEPS_MAX):
        child = os.fork()
        if child == 0:
            reaper = Reaper()
            reaper.left = steps
            reaper.watch(psycopg.Connection, "wait")
            for name in ("touch", "write_bytes", "replace"):
                reaper.watch(Path, name)
            os._exit(command())
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return {"killed": steps - 1, "code": os.WEXITSTATUS(status)}
    raise SystemExit(f"still killed after {STEPS_MAX} steps")


def commands(dsn: str, name: str, *more: str) -> int:
    """What the command of this name does, without its command line: 0 done, 2 nothing to do."""
    with connect(dsn) as connection:
        acts = Acts(8, lambda time: time.date(), NOTARY)
        try:
            match name:
                case "close":
                    closing.close(
                        connection, "monthly", label=more[0], following=None, clock=lambda: month.now(connection),
                        sleep=time.sleep, notary=NOTARY,
                    )  # fmt: skip
                case "net":
                    follower = Follower(POSITIONS, lambda: connect(dsn), lambda: month.now(connection), time.sleep)
                    netting.net(connection, follower, "monthly", more[0], notary=NOTARY)
                case "prepare":
                    runs.prepare(connection, acts, runs.Wish(None, RunPolicy(), date(2017, 2, 3)))
                case "decide":
                    decide(connection, acts, more[0])
                case "export":
                    exporting.write(exporting.export(connection, acts, 1), Path(more[0]))
                case "confirm":
                    confirming.confirm(connection, Path(more[0]).read_bytes(), notary=NOTARY)
                case "abort":
                    run_ends.abort(connection, 1, notary=NOTARY)
        except NothingToDo:
            return 2
    return 0


if __name__ == "__main__":
    print(json.dumps(killed_until_done(lambda: commands(*sys.argv[1:]))))
