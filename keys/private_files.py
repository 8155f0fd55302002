"""Reading and writing files that only their owner may reach. Knows nothing of what they hold, and logs nothing."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keys.errors import KeyFileBroken, KeyFileExists, KeyFileMissing, PermissionsTooOpen

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
FILE_BYTES_MAX = 1 << 20


def check_directory(directory: Path, cure: str) -> None:
    """Refuse a directory that is missing (the error tells `cure`) or that others could enter."""
    try:
        status = directory.stat()
    except FileNotFoundError:
        raise KeyFileMissing(directory, cure) from None
    if not stat.S_ISDIR(status.st_mode):
        raise KeyFileBroken(directory, "is not a directory")
    if status.st_mode & OTHERS:
        raise PermissionsTooOpen(directory, stat.S_IMODE(status.st_mode), DIRECTORY_MODE)


def make_directory(directory: Path) -> None:
    """Make it for the owner alone; an existing one is checked, never chmod-ed.

    Missing ones above it get the usual mode: they may be shared with data of other users.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        directory.mkdir(mode=DIRECTORY_MODE)
    check_directory(directory, "")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One ceremony at a time: of two that change a directory at once, one would undo what the other did."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_private(path: Path, cure: str) -> bytes:
    """The whole file. Permissions are read from the opened file, so it cannot be swapped in between.

    Raises KeyFileMissing (with `cure`), PermissionsTooOpen, or KeyFileBroken for a link, a pipe or a huge file.
    """
    try:
        # NONBLOCK so that a pipe put in the way is refused below instead of hanging the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyFileMissing(path, cure) from None
    except OSError as trouble:
        raise KeyFileBroken(path, f"cannot be opened: {trouble.strerror}") from trouble
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileBroken(path, "is not a regular file")
        if status.st_mode & OTHERS:
            raise PermissionsTooOpen(path, stat.S_IMODE(status.st_mode), FILE_MODE)
        if status.st_size > FILE_BYTES_MAX:
            raise KeyFileBroken(path, f"has {status.st_size} bytes, at most {FILE_BYTES_MAX} are read")
        return file.read()


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, durable when this returns. Raises KeyFileExists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        raise KeyFileExists(path) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a file anew in one step: a reader sees the old or the new content, whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    write_new(draft, content)
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names written into the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
