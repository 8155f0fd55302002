"""The demo's processes: its two servers and the settlement's commands, as an operator would start them.

Starts, waits, stops. Ends only what it started; the server dies with this process however that ends.
"""

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

START_SECONDS: Final = 120.0
# Draining answers what waits, then two databases shut down.
STOP_SECONDS: Final = 30.0
LOG_LINES: Final = 15
PR_SET_PDEATHSIG: Final = 1
NOTHING_TO_DO: Final = 2


class ProcessFailed(Exception):
    """A process of the demo ended or answered otherwise than it should; holds what it said last."""


class ServerProcess:
    """`python -m <package> serve`; `address` once it answers, which it writes into the file `announced`."""

    def __init__(self, package: str, environment: Mapping[str, str], *, announced: Path, log: Path) -> None:
        self._package = package
        self._server_file = announced
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._package, "serve"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours; the server is stopped in our order
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no thread runs yet
            )
        try:
            self.address = self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait(self) -> str:
        """The server writes its address when it answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise ProcessFailed(f"the server ended with exit code {self._process.returncode}:\n{tail(self._log)}")
            if self._server_file.exists():
                return str(json.loads(self._server_file.read_text(encoding="utf-8"))["address"])
            time.sleep(0.1)
        raise ProcessFailed(f"the server did not answer within {START_SECONDS:g} s:\n{tail(self._log)}")

    def _stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def settlement(environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """Run `python -m settlement ... --json` and return what it answers; doing it again does no harm.

    Raises ProcessFailed with its last words.
    """
    done = subprocess.run(
        [sys.executable, "-m", "settlement", *arguments, "--json"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, NOTHING_TO_DO}:
        raise ProcessFailed(f"settlement {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])


def _die_with_parent() -> None:
    libc: Any = ctypes.CDLL(None)
    terminate: Callable[..., int] = libc.prctl
    terminate(PR_SET_PDEATHSIG, int(signal.SIGTERM))
