"""One owner per data directory, also between containers that share its volume: an flock held while the owner lives.

The kernel lets it go when the owner dies, so a stale lock cannot exist. It says nothing about the server's processes,
which may outlive their owner by a shutdown checkpoint.
"""

import fcntl
import os
from pathlib import Path

from coalition.storage.embedded_error import EmbeddedError


class OwnerLock:
    """Not reentrant; `release` may be called at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> None:
        """Raises EmbeddedError, naming the other owner's process id, if somebody else holds it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise EmbeddedError(
                f"{self._path.parent} is already served by process {owner or 'unknown'}: "
                "attach to it, or stop it before starting another"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let the next owner in; nothing if it is not held."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
