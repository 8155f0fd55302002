"""Where the fault tests run: a var directory of its own, `coalition serve` as real processes on its embedded databases.

Kills only processes that it started, or the database processes that those started.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from coalition.bootstrap.identities import certificate
from coalition.bootstrap.strongroom import key_ring
from coalition.client import ClientCertificate, Connection, RetryPolicy
from coalition.config import PREFIX, Settings, load_settings
from coalition.domain.ids import lane_of_request
from coalition.storage import launch
from coalition.storage.attach import ATTACH_FILE, AttachInfo
from coalition.storage.connect import connect
from coalition.storage.embedded import SUPERUSER
from tests.places import passable_directory

START_SECONDS = 90.0
STOP_SECONDS = 40.0
ONCE = RetryPolicy(attempts_max=1, deadline_s=20.0)
"""A client that sends a request once: what it does not hear, it does not know."""


class ServerProcess:
    """One `coalition serve`. Dies with this process; `address` is set once it answers."""

    def __init__(self, site: "Site", *, attach: bool, settings: dict[str, str]) -> None:
        self.log = site.directory / f"server-{site.next_log()}.log"
        self._var = site.var
        self._attach = attach
        owner = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "-1", "-1"]
        command = [sys.executable, "-m", "coalition", "serve", "--no-settlement", *(["--attach"] if attach else [])]
        self.started = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*owner, *command],
                env={**site.environment, **{f"{PREFIX}{name.upper()}": value for name, value in settings.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.address = self._wait()
        self.start_seconds = time.monotonic() - self.started

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def workers(self) -> list[int]:
        """The process ids of its desk's workers, from /proc."""
        return [pid for pid in children_of(self.pid) if is_worker(pid)]

    def kill(self) -> None:
        """Kill -9; the embedded databases notice and shut down."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def terminate(self) -> float:
        """SIGTERM; how many seconds it took to end. `process.returncode` is the exit code."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - started

    def resident_bytes(self) -> int:
        """Memory of the process and of its desk's workers, from /proc."""
        statuses = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in (self.pid, *self.workers)]
        lines = [line for status in statuses for line in status.splitlines()]
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def _wait(self) -> str:
        file = self._var / (f"server-{self.pid}.json" if self._attach else "server.json")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.is_running, f"the server ended with {self.process.returncode}: {self.tail()}"
            if file.exists():
                told = json.loads(file.read_text(encoding="utf-8"))
                if told["pid"] == self.pid:  # a killed server leaves its file behind
                    return str(told["address"])
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"no server within {START_SECONDS:g} s: {self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


@dataclass
class Site:
    """A house on disk and the server processes on it: `owner` runs the databases, others attach."""

    directory: Path
    environment: dict[str, str]
    settings: Settings
    owners: list[ServerProcess] = field(default_factory=list)
    seconds: list[ServerProcess] = field(default_factory=list)
    trade: Any = None
    _logs: int = 0

    @property
    def var(self) -> Path:
        return self.settings.var

    @property
    def owner(self) -> ServerProcess:
        """The server that owns the databases, started if there is none."""
        return self._running(self.owners, attach=False)

    @property
    def second(self) -> ServerProcess:
        """One more server on the same databases, kept for all tests; it outlives a killed owner."""
        assert self.owner.is_running
        return self._running(self.seconds, attach=True)

    def _running(self, processes: list[ServerProcess], *, attach: bool) -> ServerProcess:
        if not processes or not processes[-1].is_running:
            processes.append(ServerProcess(self, attach=attach, settings={}))
        return processes[-1]

    @contextmanager
    def attached(self, **settings: str) -> Iterator[ServerProcess]:
        """A server process of the test's own on the same databases."""
        assert self.owner.is_running
        process = ServerProcess(self, attach=True, settings=settings)
        try:
            yield process
        finally:
            if process.is_running:
                process.terminate()

    def database(self, name: str = "ledger") -> AttachInfo:
        """Of `ledger` or `keydb`, as the owner last described it; read even while it is down."""
        document = json.loads((self.var / ATTACH_FILE).read_text(encoding="utf-8"))
        records = {record["name"]: record for record in document["instances"]}
        return AttachInfo(**{**records[name], "databases": tuple(records[name]["databases"])})

    def dsn(self) -> str:
        """The ledger as its owner: tests look at everything."""
        return self.database().dsn(SUPERUSER)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(self.dsn(), "test") as connection:
            return connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str, *parameters: Any) -> None:
        with connect(self.dsn(), "test") as connection:
            connection.execute(statement, parameters)

    @contextmanager
    def blocked_wallet(self, card: str) -> Iterator[None]:
        """The wallet of a card is locked by somebody else: the first batch that needs it waits, and all behind it."""
        token = key_ring(self.settings).card_token(card)
        with connect(self.dsn(), "test") as connection, connection.transaction():
            locked = connection.execute(
                "SELECT 1 FROM wallets w JOIN credentials c USING (lane, wallet_id) WHERE c.token = %s FOR UPDATE OF w",
                (token,),
            )
            assert locked.rowcount == 1
            yield

    @contextmanager
    def blocked_claim(self, request_id: str, participant: str) -> Iterator[None]:
        """Somebody else is about to claim the request, and gives it up in the end."""
        with connect(self.dsn(), "test") as connection, connection.transaction(force_rollback=True):
            ((lanes, participant_id),) = connection.execute(
                "SELECT lane_count, participant_id FROM scheme, participants WHERE code = %s", (participant,)
            ).fetchall()
            connection.execute(
                "INSERT INTO requests (lane, request_id, participant_id, body_hash) VALUES (%s, %s, %s, '')",
                (lane_of_request(UUID(request_id), lanes), request_id, participant_id),
            )
            yield

    def database_log(self, name: str = "ledger") -> str:
        """Everything PostgreSQL wrote since the site was made."""
        return Path(self.database(name).log_file).read_text(encoding="utf-8", errors="replace")

    def certificate(self, path: str) -> ClientCertificate:
        """The certificate of an identity such as t/cafe/main/till-1."""
        return ClientCertificate.load_folder(certificate(self.settings, path).cert.parent)

    def connection(self, address: str, path: str, *, retry: RetryPolicy = ONCE) -> Connection:
        """A connection with a transport of its own, as that identity."""
        return Connection(address, self.certificate(path), retry=retry, own_transport=True)

    def next_log(self) -> int:
        self._logs += 1
        return self._logs

    def close(self) -> None:
        for process in (*self.seconds, *self.owners):
            if process.is_running:
                process.terminate()


@contextmanager
def new_site() -> Iterator[Site]:
    """An empty site."""
    with passable_directory() as directory, closing(_site_in(directory)) as site:
        yield site


def _site_in(directory: Path) -> Site:
    var = directory / "var"
    var.mkdir(mode=0o755)  # else it is private, and the databases are made, and left, below /var/lib
    settings = load_settings(var=var, listen="127.0.0.1:0", settlement_listen="127.0.0.1:0")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    said = {"VAR": str(settings.var), "LISTEN": settings.listen, "SETTLEMENT_LISTEN": settings.settlement_listen}
    return Site(directory, {**kept, **{f"{PREFIX}{name}": value for name, value in said.items()}}, settings)


def is_worker(pid: int) -> bool:
    """Whether a desk's worker runs under this number; a dead one that nobody asked after yet is none."""
    try:
        return b"\0coalition.bootstrap.workers\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    """The processes that this one started, as far as they live."""
    pids = sorted(int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [each for each in pids if parent_of(each) == pid]


def parent_of(pid: int) -> int | None:
    """Who started a process; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(status.rpartition(")")[2].split()[1])


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Look every few milliseconds; how long it took. Fails with `what` after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.005)
    return time.monotonic() - started
