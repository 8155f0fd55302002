"""Recognises the processes of one data directory in /proc, and waits until they are gone.

By command line and process title, which root may read without the ptrace right that containers withhold from /proc's
cwd and exe links. Never signals a postmaster, only backends whose postmaster is dead: a new server cannot start beside
them, and its crash recovery undoes whatever they were doing.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from coalition.storage.embedded_error import EmbeddedError

STATUS_LINE = 7  # of postmaster.pid, counted from zero (pidfile.h)
POLL_SECONDS = 0.02
ORPHAN_PATIENCE_SECONDS = 5.0  # an idle backend notices its postmaster's death at once; a busy one gets this long
VANISH_SECONDS = 60.0  # time for the shutdown checkpoint of a server whose owner was killed


@dataclass(frozen=True, slots=True)
class ServerProcesses:
    """How the processes of one data directory look: the owner's uid, `-D data`, or `postgres: cluster_name: `."""

    data: Path
    cluster_name: str
    uid: int

    def alive(self) -> frozenset[int]:
        """Process ids of postmaster and backends, zombies excluded."""
        return frozenset(
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry.name)
        )

    def _is_ours(self, entry: str) -> bool:
        try:
            if Path(f"/proc/{entry}").stat().st_uid != self.uid:
                return False
            command = Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            return False
        if command.startswith(f"postgres: {self.cluster_name}: ".encode()):
            return True
        return b"\0-D\0" + os.fsencode(self.data) + b"\0" in command

    def wait_until_gone(self) -> None:
        """Return when none is left; raises EmbeddedError if a postmaster is still serving after a minute."""
        begun = time.monotonic()
        while alive := self.alive():
            waited = time.monotonic() - begun
            if waited > VANISH_SECONDS:
                pids = ", ".join(str(pid) for pid in sorted(alive))
                raise EmbeddedError(
                    f"{self.data} is still in use by process {pids}: stop the `coalition serve` that owns it"
                )
            if waited > ORPHAN_PATIENCE_SECONDS and self.postmaster() not in alive:
                self._quit(alive)
            time.sleep(POLL_SECONDS)

    def ready(self) -> bool:
        """Whether the postmaster says that it takes connections: the eighth line of postmaster.pid, as pg_ctl reads."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return lines[STATUS_LINE:] != [] and lines[STATUS_LINE].strip() == "ready"

    def postmaster(self) -> int | None:
        """The process id in postmaster.pid, whether or not it is alive."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _quit(self, orphans: frozenset[int]) -> None:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                try:
                    if self._is_ours(str(pid)):  # asked again: the handle holds the process, not the reused number
                        signal.pidfd_send_signal(handle, signal.SIGQUIT)
                finally:
                    os.close(handle)
