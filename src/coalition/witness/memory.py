"""What a witness remembers: the newest checkpoint of each log, as the note it cosigned, one file a log.

A file is replaced whole and is on the disk before anybody hears of it. Whoever holds the lock of a log is the only one
to judge it, in this process and beside it.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.note import SignedNote
from coalition.domain.errors import CoalitionError

FILE_MODE: Final = 0o644


class MemoryBroken(CoalitionError):
    """A file of the memory cannot be read; the witness must not begin anew by itself."""


class Memory:
    """Notes by origin below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, origin: str) -> Iterator[None]:
        """Nobody else judges this log until the block ends. A thread waits for others as a process does."""
        descriptor = os.open(self._path(origin, "lock"), os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def recall(self, origin: str) -> SignedNote | None:
        """The note remembered of this log. Raises MemoryBroken."""
        path = self._path(origin, "note")
        try:
            return SignedNote.parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, EvidenceMalformed) as error:
            raise MemoryBroken(
                f"{path} cannot be read ({error}): restore it; deleting it would make this witness cosign a fork"
            ) from error

    def remember(self, origin: str, note: SignedNote) -> None:
        """Replace what is remembered; on the disk when this returns. The caller holds `locked`."""
        path = self._path(origin, "note")
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(str(note).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _path(self, origin: str, suffix: str) -> Path:
        """Origins are URLs; their hash is a file's name everywhere."""
        return self._directory / f"{hashlib.sha256(origin.encode()).hexdigest()}.{suffix}"
