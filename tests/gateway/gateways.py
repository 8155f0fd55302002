"""Gateways for tests: one in this process on an event loop of its own, or a real process that can be killed."""

import asyncio
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from coalition.bootstrap.clock import unix_milliseconds, utc_now
from coalition.bootstrap.gateway import pem_of
from coalition.client import new_request_id
from coalition.config import environment_of
from coalition.gateway.calls import TerminalCalls
from coalition.gateway.door import NOTEBOOK_FILE, Plan, open_gateway
from coalition.gateway.tills import read_tills
from tests.gateway.pos import MERCHANT, PATIENCE_SECONDS, TERMINAL
from tests.house import House

MAPPING = f"""\
merchant_id,terminal_id,till,identity
{MERCHANT},{TERMINAL},cafe/main/till-1,
{MERCHANT},CAFE0002,cafe/main/till-2,t/cafe/main/till-2
STORE0000000001,STOREA01,store-a/main/till-1,ts/alpha/gateway
GARAGE000000001,GARAGE01,garage/main/till-1,ts/cafe/gateway
GHOST0000000001,GHOST001,cafe/main/till-9,
"""
IDENTITY = "ts/cafe/gateway"


def plan(server: str, state: Path, **changes: Any) -> Plan:
    """A gateway of the cafe, the store and, by mistake, of somebody else's garage."""
    said: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "server": server,
        "identity": IDENTITY,
        "tills": read_tills(MAPPING.splitlines(), IDENTITY),
        "state": state,
        "zone": ZoneInfo("Asia/Shanghai"),
        "currency_code": "CNY",
    }
    return Plan(**{**said, **changes})


@contextmanager
def on_a_loop(opening: Callable[[], Any]) -> Iterator[Any]:
    """Enter an asynchronous context on an event loop in a thread; leave it at the end."""
    answers: queue.Queue[Any] = queue.Queue()
    loop = asyncio.new_event_loop()
    leave = asyncio.Event()

    async def stay() -> None:
        async with opening() as entered:
            answers.put(entered)
            await leave.wait()

    def run() -> None:
        try:
            loop.run_until_complete(stay())
        except BaseException as error:  # noqa: BLE001  the test that waits is to see it
            answers.put(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    entered = answers.get(timeout=PATIENCE_SECONDS)
    if isinstance(entered, BaseException):
        raise entered
    try:
        yield entered
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(PATIENCE_SECONDS * 2)
        assert not thread.is_alive()
        assert answers.empty(), answers.get()


@contextmanager
def gateway(house: House, made: Plan) -> Iterator[str]:
    """A gateway in this process; its address."""
    with gateway_to(lambda: TerminalCalls(made.server, pem_of(house.settings)), made) as address:
        yield address


@contextmanager
def gateway_to(calls: Callable[[], Any], made: Plan) -> Iterator[str]:
    """A gateway in this process before any service; its address."""
    with on_a_loop(
        lambda: open_gateway(made, calls=calls(), clock=utc_now, now_ms=unix_milliseconds, new_id=new_request_id)
    ) as address:
        yield address


class GatewayProcess:
    """`coalition gateway` as an operator starts it."""

    def __init__(self, house: House, server: str, directory: Path, *arguments: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        mapping = directory / "tills.csv"
        mapping.write_text(MAPPING, encoding="utf-8")
        self.state = directory / "state"
        self._log = directory / "log"
        command = [sys.executable, "-m", "coalition", "gateway", "--map", str(mapping), "--as", IDENTITY]
        command += ["--listen", "127.0.0.1:0", "--server", server, "--state", str(self.state), *arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=environment_of(house.settings), text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("gateway listens on "), self.log() or line
        self.address = line.split()[3]

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """As if the power went."""
        self._process.kill()
        self._process.wait()
        self._closed()

    def stop(self) -> int:
        """As an operator stops it; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(PATIENCE_SECONDS * 2)
        self._closed()
        return code

    def _closed(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()


def noted(state: Path) -> list[tuple[Any, ...]]:
    """(request_id, is_reversal, undone) of everything in the notebook of a gateway that does not run, oldest first."""
    with closing(sqlite3.connect(state / NOTEBOOK_FILE)) as notebook:
        return notebook.execute("SELECT request_id, is_reversal, undone FROM seen ORDER BY request_id").fetchall()


def bytes_of(state: Path) -> bytes:
    """Everything that a gateway has written, its journal files too."""
    return b"".join(each.read_bytes() for each in sorted(state.rglob("*")) if each.is_file())


def eventually(truth: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until it is true; the value."""
    deadline = time.monotonic() + seconds
    while not (value := truth()):
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.02)
    return value


def is_private(state: Path) -> bool:
    """Whether nobody but the owner may read what a gateway writes."""
    return all(each.stat().st_mode & 0o077 == 0 for each in [state, *state.rglob("*")])
