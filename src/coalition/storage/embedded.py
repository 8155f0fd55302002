"""The embedded PostgreSQL: one instance, one data directory, one child process of the program that owns it.

Real PostgreSQL for development, tests and the demo, reached through a private unix socket only. It dies with its owner
(SIGINT, a clean shutdown) and comes back when it is killed. It never listens on TCP, never runs as root, never changes
the mode of a directory it did not make, and makes no role or table: that is the migrations' work.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
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

from coalition.storage import launch
from coalition.storage.attach import AttachInfo, read_attach_file, remove_attach_file, write_attach_file
from coalition.storage.binaries import Binaries, find_binaries
from coalition.storage.embedded_error import EmbeddedError, ServerNotRunning
from coalition.storage.embedded_home import PORT, STATE_ROOT, EmbeddedHome, prepare_home
from coalition.storage.embedded_settings import NO_SETTINGS, EmbeddedSettings
from coalition.storage.server_processes import ServerProcesses

__all__ = [
    "AttachInfo",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedSettings",
    "ServerNotRunning",
    "read_attach_file",
    "remove_attach_file",
    "write_attach_file",
]

SUPERUSER = "postgres"
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
        databases: Sequence[str] = ("coalition",),
        state_root: Path = STATE_ROOT,
    ) -> None:
        """Name an instance below `directory`; touches nothing yet.

        `settings` are server settings by name and win over the defaults; `databases` are made at start if missing;
        `state_root` takes the data when we are root and uid 65534 cannot pass through `directory`.
        """
        self.settings = EmbeddedSettings(directory=directory, name=name, extra=dict(settings))
        self.databases = tuple(databases)
        self._binaries_wanted = binaries
        self._state_root = state_root
        self._home: EmbeddedHome | None = None
        self._lock: int | None = None
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
        self._take_lock(home)
        try:
            self._start_locked(home, binaries)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Fast shutdown (SIGINT), after a minute an immediate one (SIGQUIT); no error if it does not run."""
        process, self._process = self._process, None
        try:
            if process is not None and process.poll() is None:
                self._stop_process(process)
        finally:
            self._release_lock()

    def is_running(self) -> bool:
        """Whether our child lives; collects it if it has died, so that a zombie does not count."""
        return self._process is not None and self._process.poll() is None

    def restart_if_dead(self) -> bool:
        """Start again if the server died since it was started, True if so. For the owner's main loop.

        Waits until no backend of the dead server is left. Raises EmbeddedError as `start` does.
        """
        if self._process is None or self.is_running():
            return False
        self._process = None
        self._release_lock()
        self.start()
        return True

    def dsn(self, role: str, database: str = "coalition") -> str:
        """libpq conninfo for `role` over the private socket; the server must have been started once."""
        return make_conninfo(host=str(self._known_home().socket), port=PORT, user=role, dbname=database)

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

    def _take_lock(self, home: EmbeddedHome) -> None:
        """One owner per data directory, also between containers that share a volume."""
        handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise EmbeddedError(
                f"{home.root} is already served by process {owner or 'unknown'}: "
                "attach to it, or stop it before starting another"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._lock = handle

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _start_locked(self, home: EmbeddedHome, binaries: Binaries) -> None:
        cluster_name = f"coalition_{self.settings.name}_{home.mark}"
        processes = ServerProcesses(data=home.data, cluster_name=cluster_name, uid=home.uid)
        processes.wait_until_gone()
        self._make_data_directory(home, binaries)
        self._clear_reused_pid(home, processes)
        log_start = self._spawn(home, binaries, cluster_name)
        self._wait_until_answering(home, log_start)
        self._make_databases()

    def _make_data_directory(self, home: EmbeddedHome, binaries: Binaries) -> None:
        """initdb beside the place and rename, so that a half-made data directory never looks like a whole one."""
        version = home.data / "PG_VERSION"
        if home.data.exists():
            try:
                made_by = int(version.read_text())
            except (OSError, ValueError) as error:
                raise EmbeddedError(f"{home.data} is no data directory of PostgreSQL: remove or restore it") from error
            if made_by != binaries.major:
                raise EmbeddedError(
                    f"{home.data} was made by PostgreSQL {made_by}, but {binaries.directory} is {binaries.major}: "
                    f"name PostgreSQL {made_by} as binaries, or move the data with pg_upgrade"
                )
            return
        draft = home.root / "data.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if home.user is not None:
            os.chown(draft, *home.user)
        # From 17 on the built-in provider sorts the same on every machine, whatever its C library.
        provider = ["--locale-provider=builtin"] if binaries.major >= 17 else []
        command = [
            str(binaries.directory / "initdb"),
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            *provider,
            "--data-checksums",
            # Whoever may enter the 0700 socket directory is the owner himself.
            "--auth-local=trust",
            "--auth-host=reject",
            "--no-instructions",
        ]
        done = subprocess.run(
            launch_command(home, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=launch_environment(),
            cwd="/",
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.decode("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:])
            raise EmbeddedError(
                f"initdb of {self.settings.name} failed in {home.root}: check its space and rights\n{tail}"
            )
        draft.rename(home.data)

    def _clear_reused_pid(self, home: EmbeddedHome, processes: ServerProcesses) -> None:
        """Remove lock files whose process id now belongs to a stranger; PostgreSQL itself clears those of the dead.

        After a reboot or in a new container the number is easily reused, by our other instance for one, and PostgreSQL
        would then refuse to start. Safe: we hold the owner's lock and no process of this data directory is alive.
        """
        pid = processes.postmaster()
        if pid is not None and Path(f"/proc/{pid}").exists() and not processes.alive():
            (home.data / "postmaster.pid").unlink(missing_ok=True)
            (home.socket / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

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

    def _wait_until_answering(self, home: EmbeddedHome, log_start: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.is_running():
            try:
                with psycopg.connect(self.dsn(SUPERUSER, "postgres"), connect_timeout=5):
                    return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"{self.settings.name} does not answer after {START_SECONDS:.0f} s: see {home.log}\n"
                        + log_tail(home.log, log_start)
                    ) from None
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

    def _stop_process(self, process: subprocess.Popen[bytes]) -> None:
        for number, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, QUIT_SECONDS)):
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                return
        raise EmbeddedError(
            f"PostgreSQL of {self.settings.name}, process {process.pid}, does not stop: look at its disk, then kill it"
        )


def launch_command(home: EmbeddedHome, command: Sequence[str]) -> list[str]:
    """The command behind our launcher, which drops root and sets the death signal."""
    uid, gid = home.user if home.user is not None else (launch.KEEP, launch.KEEP)
    return [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(uid), str(gid), *command]


def launch_environment() -> dict[str, str]:
    """No PG* variable of the caller's shell reaches the server; a time zone or language neither."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def log_tail(log: Path, start: int) -> str:
    """The last lines a start wrote, without their time stamps."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 64 * 1024))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(re.sub(r"^\S+ \S+ UTC \[\d+\] ", "", line) for line in lines[-LOG_TAIL_LINES:])
