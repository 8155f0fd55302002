"""The followers of a house as threads: positions, and the audit tree where the key that signs it is at hand."""

import threading
import time
from collections.abc import Callable
from typing import Final

from coalition.audit.log_signer import LogSigner
from coalition.bootstrap.clock import utc_now
from coalition.followers.audit_tree import AuditTreeFollower
from coalition.followers.positions import PositionsFollower
from coalition.storage.connect import Connection, connect
from coalition.storage.programme import load

END_SECONDS: Final = 5.0


class Followers:
    """Every follower of one process; `start` once, `join` after `stop` was set."""

    def __init__(self, dsn: str, signer: LogSigner | None, stop: threading.Event) -> None:
        runs: dict[str, Callable[[threading.Event], None]] = {"positions": positions_follower(dsn).run}
        if signer is not None:
            runs["audit tree"] = audit_tree_follower(dsn, signer).run
        self._threads = [
            threading.Thread(target=run, args=(stop,), name=name, daemon=True) for name, run in runs.items()
        ]

    @property
    def names(self) -> list[str]:
        """Which followers these are."""
        return [thread.name for thread in self._threads]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(END_SECONDS)


def positions_follower(dsn: str) -> PositionsFollower:
    """Keeps every window's claims."""
    return PositionsFollower(_opening(dsn, "coalition positions"), utc_now, time.sleep)


def audit_tree_follower(dsn: str, signer: LogSigner) -> AuditTreeFollower:
    """Keeps the audit tree and signs it. Raises StoreUnavailable."""
    with connect(dsn, "coalition audit tree") as connection:
        lane_count = load(connection).scheme.lane_count
    opening = _opening(dsn, "coalition audit tree")
    return AuditTreeFollower(opening, utc_now, time.sleep, lane_count=lane_count, signer=signer)


def _opening(dsn: str, application: str) -> Callable[[], Connection]:
    def open_connection() -> Connection:
        return connect(dsn, application)

    return open_connection
