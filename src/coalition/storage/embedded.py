"""The embedded PostgreSQL: one instance, one data directory, one child process of the program that owns it.

Real PostgreSQL for development, tests and the demo, reached through a private unix socket only. It dies with its owner
(SIGINT, a clean shutdown) and comes back when it is killed. It never listens on TCP, never runs as root, never changes
the mode of a directory it did not make, and makes no role or table: that is the migrations' work.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from coalition.storage.attach import AttachInfo, read_attach_file, remove_attach_file, write_attach_file
from coalition.storage.binaries import Binaries, find_binaries
from coalition.storage.data_directory import (
    SUPERUSER,
    clear_reused_pid,
    launch_command,
    launch_environment,
    make_data_directory,
)
from coalition.storage.embedded_error import EmbeddedError, ServerNotRunning
from coalition.storage.embedded_home import PORT, STATE_ROOT, EmbeddedHome, prepare_home
from coalition.storage.embedded_settings import NO_SETTINGS, EmbeddedSettings
from coalition.storage.owner_lock import OwnerLock
from coalition.storage.server_processes import ServerProcesses

__all__ = [
    "SUPERUSER",
    "AttachInfo",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedSettings",
    "ServerNotRunning",
    "read_attach_file",
    "remove_attach_file",
    "write_attach_file",
]

LEDGER_DATABASE = "coalition"
START_SECONDS = 300.0  # crash recovery replays up to max_wal_size (4 GB) before the server answers
STOP_SECONDS = 60.0  # the shutdown checkpoint writes all dirty buffers
QUIT_SECONDS = 15.0  # SIGQUIT: the postmaster itself kills what is left after 5 s
POLL_SECONDS = 0.01
LOG_BYTES_MAX = 16 * 1024 * 1024  # at start a larger log moves to server.log.1
LOG_TAIL_LINES = 20


class EmbeddedPostgres:
    """One supervised PostgreSQL. All methods belong to the owner's main thread; `dsn` may be called anywhere."""

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        settings: Mapping[str, str] = NO_SETTINGS,
        binaries: Path | None = None,
        databases: Sequence[str] | None = None,
        state_root: Path = STATE_ROOT,
    ) -> None:
        """Name an instance below `directory`; touches nothing yet.

        `settings` are server settings by name and win over the defaults. `databases` are made at start if missing;
        by default "coalition" in the ledger, else one of the instance's name. `state_root` takes the data when we are
        root and uid 65534 cannot pass through `directory`.
        """
        self.settings = EmbeddedSettings(directory=directory, name=name, extra=dict(settings))
        self.databases = tuple(databases) if databases is not None else (LEDGER_DATABASE if name == "ledger" else name,)
        self._binaries_wanted = binaries
        self._state_root = state_root
        self._home: EmbeddedHome | None = None
        self._lock: OwnerLock | None = None
        self._wanted = False
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def from_settings(cls, settings: EmbeddedSettings, *, binaries: Path | None = None) -> Self:
        """The same, from a settings object with its own buffers and connections."""
        instance = cls(settings.directory, settings.name, binaries=binaries)
        instance.settings = replace(settings, extra=dict(settings.extra))
        return instance

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Make the data directory if it is new, start the server and wait until it answers; nothing if it runs.

        Waits for what an owner killed before us left behind. Raises EmbeddedError, with the last lines of the server's
        log, if it does not come up; then no process and no lock is left.
        """
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedError(
                "the embedded database must be started from the main thread: "
                "the kernel stops it as soon as the thread that started it ends"
            )
        if self.is_running():
            return
        user_root = self._state_root
        self._home = home = prepare_home(self.settings.directory, self.settings.name, state_root=user_root)
        binaries = find_binaries(
            self._binaries_wanted, uid=None if home.user is None else home.uid, state_root=user_root
        )
        self._lock = OwnerLock(home.lock)
        self._lock.take()
        try:
            self._start_locked(home, binaries)
        except BaseException:
            self._end_process()
            raise
        self._wanted = True

    def stop(self) -> None:
        """Fast shutdown (SIGINT), after a minute an immediate one (SIGQUIT); no error if it does not run."""
        self._wanted = False
        self._end_process()

    def is_running(self) -> bool:
        """Whether our child lives; collects it if it has died, so that a zombie does not count."""
        return self._process is not None and self._process.poll() is None

    def restart_if_dead(self) -> bool:
        """Start again if the server died since it was started, True if so. For the owner's main loop.

        Waits until no backend of the dead server is left. Raises EmbeddedError as `start` does.
        """
        if not self._wanted or self.is_running():
            return False
        self._end_process()
        self.start()
        return True

    def dsn(self, role: str, database: str | None = None) -> str:
        """Conninfo for libpq as `role` over the private socket, by default to the instance's first database.

        Raises EmbeddedError if the server was never started: only then is it known where it lives.
        """
        name = self.databases[0] if database is None else database
        return make_conninfo(host=str(self._known_home().socket), port=PORT, user=role, dbname=name)

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None if it does not run."""
        return self._process.pid if self._process is not None and self.is_running() else None

    @property
    def data_directory(self) -> Path:
        """Where the data really is; outside the given directory if the database user could not pass there."""
        return self._known_home().data

    @property
    def socket_directory(self) -> Path:
        return self._known_home().socket

    @property
    def log_file(self) -> Path:
        return self._known_home().log

    def attach_info(self) -> AttachInfo:
        """What other commands need to reach this instance."""
        home = self._known_home()
        return AttachInfo(
            name=self.settings.name,
            socket_directory=str(home.socket),
            port=PORT,
            pid=self.pid,
            owner_pid=os.getpid(),
            data_directory=str(home.data),
            log_file=str(home.log),
            superuser=SUPERUSER,
            databases=self.databases,
        )

    def _known_home(self) -> EmbeddedHome:
        if self._home is None:
            raise EmbeddedError(f"embedded database {self.settings.name} was never started: call start() first")
        return self._home

    def _start_locked(self, home: EmbeddedHome, binaries: Binaries) -> None:
        cluster_name = f"coalition_{self.settings.name}_{home.mark}"
        processes = ServerProcesses(data=home.data, cluster_name=cluster_name, uid=home.uid)
        processes.wait_until_gone()
        make_data_directory(home, binaries)
        clear_reused_pid(home, processes)
        log_start = self._spawn(home, binaries, cluster_name)
        self._wait_until_answering(home, processes, log_start)
        self._make_databases()

    def _spawn(self, home: EmbeddedHome, binaries: Binaries, cluster_name: str) -> int:
        """Start the postmaster; returns where in the log its own lines begin."""
        if home.log.exists() and home.log.stat().st_size > LOG_BYTES_MAX:
            home.log.replace(home.log.with_name("server.log.1"))
        command = [
            str(binaries.directory / "postgres"),
            "-D",
            str(home.data),
            *self.settings.flags(wal_compression="lz4" if binaries.lz4 else "off"),
            *("-c", "listen_addresses="),
            *("-c", f'unix_socket_directories="{home.socket}"'),
            *("-c", "unix_socket_permissions=0700"),
            *("-c", f"port={PORT}"),
            *("-c", f"cluster_name={cluster_name}"),
        ]
        log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            log_start = os.fstat(log).st_size
            self._process = subprocess.Popen(
                launch_command(home, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=launch_environment(),
                cwd="/",
                start_new_session=True,  # Ctrl-C in the terminal is the owner's, which stops us in its own order
            )
        finally:
            os.close(log)
        return log_start

    def _wait_until_answering(self, home: EmbeddedHome, processes: ServerProcesses, log_start: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.is_running():
            # Asked only when ready: each refused connection would write a line that buries the cause of a bad start.
            if processes.ready():
                with contextlib.suppress(psycopg.OperationalError):
                    psycopg.connect(self.dsn(SUPERUSER, "postgres"), connect_timeout=5).close()
                    return
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"PostgreSQL of {self.settings.name} does not answer after {START_SECONDS:.0f} s: see {home.log}\n"
                    + log_tail(home.log, log_start)
                )
            time.sleep(POLL_SECONDS)
        raise EmbeddedError(
            f"PostgreSQL of {self.settings.name} ended while starting: correct the cause named by its log {home.log}\n"
            + log_tail(home.log, log_start)
        )

    def _make_databases(self) -> None:
        with psycopg.connect(self.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
            present = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for database in self.databases:
                if database not in present:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def _end_process(self) -> None:
        """Stop and collect the child if there is one, and let the next owner in."""
        process, self._process = self._process, None
        try:
            if process is not None and process.poll() is None:
                self._stop_process(process)
        finally:
            if self._lock is not None:
                self._lock.release()

    def _stop_process(self, process: subprocess.Popen[bytes]) -> None:
        for number, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, QUIT_SECONDS)):
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                return
        raise EmbeddedError(
            f"PostgreSQL of {self.settings.name}, process {process.pid}, does not stop: look at its disk, then kill it"
        )


def log_tail(log: Path, start: int) -> str:
    """The last lines a start wrote, without their time stamps."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 64 * 1024))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(re.sub(r"^\S+ \S+ UTC \[\d+\] ", "", line) for line in lines[-LOG_TAIL_LINES:])
