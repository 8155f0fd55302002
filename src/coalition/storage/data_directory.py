"""Makes the data directory of an embedded instance, and clears lock files that a reused process id has made stale.

Never removes or changes a data directory that exists.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from coalition.storage import launch
from coalition.storage.binaries import Binaries
from coalition.storage.embedded_error import EmbeddedError
from coalition.storage.embedded_home import PORT, EmbeddedHome
from coalition.storage.server_processes import ServerProcesses

# The name that owns the databases and runs the migrations; the server itself connects by lesser roles.
SUPERUSER = "coalition"
BUILTIN_LOCALE_MAJOR = 17
OUTPUT_TAIL_LINES = 20


def make_data_directory(home: EmbeddedHome, binaries: Binaries) -> None:
    """Run initdb if there is no data yet; raises EmbeddedError if that fails or another version made the data.

    Made beside its place and renamed, so that a half-made data directory never looks like a whole one.
    """
    if home.data.exists():
        check_data_version(home, binaries)
        return
    draft = home.root / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if home.user is not None:
        os.chown(draft, *home.user)
    # From 17 on, the built-in provider sorts the same on every machine, whatever its C library.
    provider = ["--locale-provider=builtin"] if binaries.major >= BUILTIN_LOCALE_MAJOR else []
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
        tail = "\n".join(done.stdout.decode("utf-8", "replace").splitlines()[-OUTPUT_TAIL_LINES:])
        raise EmbeddedError(f"initdb failed in {home.root}: correct the cause it names, often space or rights\n{tail}")
    draft.rename(home.data)


def check_data_version(home: EmbeddedHome, binaries: Binaries) -> None:
    """Refuse data of another major version, before the server does it in words without a cure."""
    try:
        made_by = int((home.data / "PG_VERSION").read_text())
    except (OSError, ValueError) as error:
        raise EmbeddedError(f"{home.data} is no data directory of PostgreSQL: remove or restore it") from error
    if made_by != binaries.major:
        raise EmbeddedError(
            f"{home.data} was made by PostgreSQL {made_by}, but {binaries.directory} is {binaries.major}: "
            f"name PostgreSQL {made_by} as binaries, or move the data with pg_upgrade"
        )


def clear_reused_pid(home: EmbeddedHome, processes: ServerProcesses) -> None:
    """Remove lock files whose process id now belongs to a stranger; PostgreSQL itself clears those of the dead.

    After a reboot or in a new container the number is easily reused, by our other instance for one, and PostgreSQL
    would then refuse to start. Call it only with the owner's lock held; it does nothing while a process of this data
    directory is alive.
    """
    pid = processes.postmaster()
    if pid is not None and Path(f"/proc/{pid}").exists() and not processes.alive():
        (home.data / "postmaster.pid").unlink(missing_ok=True)
        (home.socket / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def launch_command(home: EmbeddedHome, command: Sequence[str]) -> list[str]:
    """The command behind our launcher, which drops root and ties the process to ours."""
    if not sys.executable:
        raise EmbeddedError("this Python does not know its own program (sys.executable): run from an ordinary Python")
    uid, gid = home.user if home.user is not None else (launch.KEEP, launch.KEEP)
    return [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(uid), str(gid), *command]


def launch_environment() -> dict[str, str]:
    """No PG* variable, language or time zone of the caller's shell reaches the server."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
