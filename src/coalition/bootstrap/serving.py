"""What `coalition serve` and `coalition follow` run, from the first signal handler to the exit code.

Watches over its children: embedded databases, which come back when they die, and the settlement server. Answers no call
and folds no batch itself: the house and the follower do.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from coalition.bootstrap.addresses import SERVER, SETTLEMENT, announced, has_open_port
from coalition.bootstrap.databases import Databases, databases
from coalition.bootstrap.following import Followers, check_witnessed
from coalition.bootstrap.house import house, lay
from coalition.bootstrap.identities import certificate
from coalition.bootstrap.interpreter import tune_interpreter
from coalition.bootstrap.key_events import record_key_ring
from coalition.bootstrap.limits import make_room_for_connections
from coalition.bootstrap.signals import stop_on_signals
from coalition.bootstrap.strongroom import existing_key_ring, key_ring, log_signer
from coalition.config import Settings, environment_of
from coalition.domain.errors import Contention
from coalition.log import set_up_log
from coalition.storage import launch
from coalition.storage.schema import check_schema

FIRST_IDENTITIES: Final = ("/server", "/op/admin")
PARTITION_SECONDS: Final = 3600.0
SUPERVISE_SECONDS: Final = 0.5
CHILD_SECONDS: Final = 15.0

log = structlog.get_logger(__name__)
Say = Callable[[str], None]


def serve(settings: Settings, *, attach: bool = False, with_settlement: bool = True, say: Say = print) -> int:
    """What `coalition serve` does: everything, until SIGTERM or SIGINT; the process's exit code.

    Belongs to the main thread. `attach` joins the embedded databases of another `serve` process. Raises CoalitionError
    when it cannot start.
    """
    set_up_log(settings.log_level)
    stop = stop_on_signals()
    with databases(settings, attach=attach) as opened:
        ring = key_ring(settings)
        lay(settings, ring, opened.dsn())
        signer = log_signer(settings, ring)
        check_witnessed(settings, opened.dsn(), signer)  # before anything can be written
        record_key_ring(settings, ring, opened.dsn())
        for identity in FIRST_IDENTITIES if opened.is_embedded else ():
            certificate(settings, identity)
        server = house(settings, ring, opened.dsn(), opened.keydb_dsn())
        followers = Followers(settings, opened.dsn(), signer, stop, folded=not attach)
        child: subprocess.Popen[bytes] | None = None
        try:
            tune_interpreter()
            make_room_for_connections(settings)
            address = server.open()
            with announced(settings, f"server-{os.getpid()}.json" if attach else SERVER, address):
                followers.start()
                if not attach:
                    child = _start_settlement(settings) if with_settlement else None
                if server.metrics_address is not None:
                    say(f"metrics for Prometheus are at http://{server.metrics_address}/metrics")
                for line in what_to_type(settings, address, with_settlement=child is not None):
                    say(line)
                log.info("server_started", address=address)
                _supervise(opened, stop, child)
                say("stopping: calls in the house are answered first")
        finally:
            stop.set()
            _end_child(child)
            server.close()
        log.info("server_stopped")
    return 0


def _supervise(opened: Databases, stop: threading.Event, child: subprocess.Popen[bytes] | None) -> None:
    """The main thread's loop: embedded databases are its children and come back when they die."""
    next_partitions = time.monotonic() + PARTITION_SECONDS
    while not stop.wait(SUPERVISE_SECONDS):
        opened.restart_dead()
        if child is not None and child.poll() is not None:
            log.error("settlement_server_ended", exit_code=child.returncode)
            child = None
        if opened.is_owner and time.monotonic() > next_partitions:
            next_partitions = time.monotonic() + PARTITION_SECONDS
            try:
                opened.make_partitions()
            except Contention as error:
                log.warning("partitions_not_made", cause=str(error))


def follow(settings: Settings) -> int:
    """What `coalition follow` does: the followers as a process of their own, until SIGTERM or SIGINT.

    Needs the ledger, and the key ring to sign the audit tree: where there is none it keeps the folds alone. No
    certificate, and of a server named by URL no key database. Any number may run beside each other and beside servers.
    Raises CoalitionError when it cannot start.
    """
    set_up_log(settings.log_level)
    stop = stop_on_signals()
    opened = Databases(settings, attach=True)
    if settings.is_embedded:
        opened.open()
    else:
        check_schema(opened.dsn())
    signer = log_signer(settings, existing_key_ring(settings)) if settings.keys_directory.is_dir() else None
    if signer is not None:
        check_witnessed(settings, opened.dsn(), signer)
    followers = Followers(settings, opened.dsn(), signer, stop)
    followers.start()
    log.info("followers_started", followers=followers.names)
    stop.wait()
    followers.join()
    log.info("followers_stopped", followers=followers.names)
    return 0


def _start_settlement(settings: Settings) -> subprocess.Popen[bytes]:
    """HQ's own server as a child that dies with us (launch.py ties it to this thread, the main one)."""
    (settings.var / SETTLEMENT).unlink(missing_ok=True)  # what a killed one left is not the new one's address
    wrapped = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid()), "-1", "-1"]
    return subprocess.Popen(
        [*wrapped, sys.executable, "-m", "settlement", "serve"],
        env=environment_of(settings),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours, and we stop it in our order
    )


def _end_child(child: subprocess.Popen[bytes] | None) -> None:
    if child is None or child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def what_to_type(settings: Settings, address: str, *, with_settlement: bool) -> Iterator[str]:
    """What a newcomer reads when the server is up."""
    yield f"coalition serves terminals, headquarters, counters and auditors at {address} (mutual TLS)"
    if with_settlement:
        # It is starting now: with port 0 nobody knows the port yet.
        port_is_open = has_open_port(settings.settlement_listen)
        where = f"the address in {settings.var / SETTLEMENT}" if port_is_open else settings.settlement_listen
        yield f"the settlement server answers headquarters at {where}"
    yield f"certificates are in {settings.certificates_directory}; databases and keys below {settings.var}"
    yield "in another shell, in this directory, type for example:"
    activate = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("coalition") is None and activate.exists():
        yield f"  . {os.path.relpath(activate)}"
    yield "  coalition participant list"
    yield "  coalition participant add bakery --name 'Bakery' --role store"
    yield "  coalition windows"
    yield "Ctrl-C stops it; what was acknowledged stays"
