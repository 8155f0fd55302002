"""Where the databases of tests lie."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 8 << 30
"""What all sites of a run take is a fraction of it; a container often has 64 MiB."""


@contextmanager
def passable_directory() -> Iterator[Path]:
    """A directory that the database's user can pass through, gone at the end.

    In memory where there is room: making a database's files there costs a sixth. A killed process loses no more there
    than on a disk, and no test cuts the power. Not below pytest's own directory: that is 0700, and PostgreSQL gives up
    root's rights.
    """
    directory = Path(tempfile.mkdtemp(prefix="coalition-test-", dir=MEMORY if _has_room() else "/tmp"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _has_room() -> bool:
    """Where programs may run, too: some tests put PostgreSQL's own there."""
    if not MEMORY.is_dir():
        return False
    place = os.statvfs(MEMORY)
    return place.f_bavail * place.f_frsize > ROOM_BYTES and not place.f_flag & os.ST_NOEXEC
