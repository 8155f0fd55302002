"""The followers of a house as threads: the folds, and the audit tree with its witnesses where the key is at hand."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from coalition.audit.log_signer import LogSigner
from coalition.audit.policy import NONE, Policy
from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.policies import read_policy
from coalition.config import Settings
from coalition.followers import folds
from coalition.followers.audit_tree import AuditTreeFollower
from coalition.followers.follower import KeptFold, follow
from coalition.followers.witnesses import Witnesses
from coalition.storage.connect import Connection, connect
from coalition.storage.programme import load
from keys import verify

END_SECONDS: Final = 5.0


class Followers:
    """The followers of one process; `start` once, `join` after `stop` was set.

    The audit tree is kept wherever its key is, so in every server: each range is folded by one of them. The folds
    are left to `coalition follow` by servers that are told so.
    """

    def __init__(
        self, settings: Settings, dsn: str, signer: LogSigner | None, stop: threading.Event, *, folded: bool = True
    ) -> None:
        runs: dict[str, Callable[[threading.Event], None]] = {}
        if folded:
            runs["folds"] = partial(_follow_folds, dsn)
        if signer is not None:
            runs["audit tree"] = audit_tree_follower(dsn, signer).run
            if (witnesses := witnesses_of(settings, dsn, signer)) is not None:
                runs["witnesses"] = witnesses.run
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


def _follow_folds(dsn: str, stop: threading.Event) -> None:
    kept = [KeptFold(fold, utc_now) for fold in folds()]
    follow(kept, _opening(dsn, "coalition follower"), time.sleep, stop)


def audit_tree_follower(dsn: str, signer: LogSigner) -> AuditTreeFollower:
    """Keeps the audit tree and signs it. Raises StoreUnavailable."""
    with connect(dsn, "coalition audit tree") as connection:
        lane_count = load(connection).scheme.lane_count
    opening = _opening(dsn, "coalition audit tree")
    return AuditTreeFollower(opening, utc_now, time.sleep, lane_count=lane_count, signer=signer)


def witnesses_of(settings: Settings, dsn: str, signer: LogSigner) -> Witnesses | None:
    """The witnesses of the policy, if there is one. Raises SettingInvalid."""
    if settings.witness_policy is None and not settings.witnessed_file.exists():
        return None
    policy = Policy(quorum=NONE) if settings.witness_policy is None else read_policy(settings.witness_policy)
    opening = _opening(dsn, "coalition witnesses")
    return Witnesses(opening, policy, signer.key, verify, settings.witnessed_file, utc_now)


def check_witnessed(settings: Settings, dsn: str, signer: LogSigner) -> None:
    """Raise LogForked where witnesses have seen more of this log, or another one, than the ledger holds."""
    if (witnesses := witnesses_of(settings, dsn, signer)) is not None:
        witnesses.check()


def _opening(dsn: str, application: str) -> Callable[[], Connection]:
    def open_connection() -> Connection:
        return connect(dsn, application)

    return open_connection
