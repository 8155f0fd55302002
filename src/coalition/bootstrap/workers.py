"""The desk's workers as processes: how a server starts them, and what each of them runs.

A worker has its server's settings by its environment and its batches by a socket that it inherits; nothing secret is in
its arguments. It ends when its server hangs up or dies: it finishes the try of a batch that it is at, and no more.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Final

import structlog

from coalition.bootstrap.clock import business_date_in
from coalition.bootstrap.databases import Databases
from coalition.bootstrap.interpreter import tune_interpreter
from coalition.bootstrap.pins import RingPins
from coalition.bootstrap.strongroom import existing_key_ring, notary
from coalition.clearing.worker import work
from coalition.config import Settings, environment_of, load_settings
from coalition.domain.errors import Contention, StoreUnavailable
from coalition.log import set_up_log
from coalition.storage.ledger import LedgerStore
from coalition.storage.programme import load

END_SECONDS: Final = 10.0
NICE: Final = 10
"""Workers give way to the server's loop when processors are short: batches grow then, and a batch twice as large costs
far less than twice (decision 0008). The loop is one thread, so it never takes more than one processor from them."""

log = structlog.get_logger(__name__)


class Workers:
    """Starts workers for a server's desk and sees them end."""

    def __init__(self, settings: Settings) -> None:
        self._environment = environment_of(settings)
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def open(self) -> socket.socket:
        """Start one; our end of its socket. It says when it is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            child = subprocess.Popen(
                [sys.executable, "-m", "coalition.bootstrap.workers", str(theirs.fileno())],
                env=self._environment,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the server's, which drains before it hangs up
            )
        with self._lock:
            self._children = [each for each in self._children if each.poll() is None] + [child]
        return ours

    def close(self) -> None:
        """Wait for those that were hung up on."""
        for child in self._children:
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def main(descriptor: int) -> None:
    """Be a worker on an inherited socket."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(PermissionError):  # a service manager may forbid it: slower beside a busy loop, not broken
        os.nice(NICE)
    settings = load_settings()
    set_up_log(settings.log_level)
    opened = Databases(settings, attach=True)
    if settings.is_embedded:
        opened.open()
    ring = existing_key_ring(settings)
    store = LedgerStore(opened.dsn(), load, business_date_in(settings.zone), notary(ring))
    try:
        store.warm_up()
    except (StoreUnavailable, Contention):
        log.warning("desk_worker_started_without_database")  # it may come back: every batch tries again
    tune_interpreter()
    work(socket.socket(fileno=descriptor), store, time.sleep, RingPins(ring))


if __name__ == "__main__":
    main(int(sys.argv[1]))
