"""The authority's revocation list as a server reads it: verified at the start, read again whenever the file changes.

A list that is missing means that nothing was revoked only where no server of this var directory ever saw one: its
number is kept there, so a list that was deleted, or replaced by an older one, is noticed.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from coalition.bootstrap.errors import StrongroomRefused, strongroom_errors
from coalition.config import Settings
from coalition.server.revocations import Revocations, RevokedCertificates
from keys import LIST_NAME, RevocationList, certificate_serial, revocations

SEEN: Final = "revocations-seen"
JOIN_SECONDS: Final = 5.0


@contextmanager
def watched_revocations(settings: Settings) -> Iterator[Revocations]:
    """The list, kept up to date by a thread until the end. Raises StrongroomRefused for one that cannot be used."""
    watch = Revocations(ListFile(settings.certificates_directory, settings.var / SEEN).load, certificate_serial)
    stop = threading.Event()
    thread = threading.Thread(target=watch.run, args=(stop,), name="revocations", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)


class ListFile:
    """The list below `directory`; `seen` keeps the highest number that was read."""

    def __init__(self, directory: Path, seen: Path) -> None:
        self._directory = directory
        self._path = directory / LIST_NAME
        self._seen = seen
        self._stamp: tuple[int, int, int] | None = None

    def load(self) -> RevokedCertificates | None:
        """The list, or None while the file is the one read last. Raises StrongroomRefused."""
        stamp = self._stamp_now()
        if stamp is not None and stamp == self._stamp:
            return None
        with strongroom_errors():
            listed = revocations(self._directory)
        number, least = listed.number if listed else 0, self._least()
        if number < least:
            found = f"has number {number}" if listed else "is missing"
            raise StrongroomRefused(
                f"{self._path} {found}, but number {least} was here before: copy the newest one from where the "
                f"authority is kept. Only if the authority itself is a new one, remove {self._seen}"
            )
        if listed is None:
            return None
        if number > least:
            self._keep(number)
        self._stamp = stamp
        return _as_served(listed)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _least(self) -> int:
        try:
            return int(self._seen.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:
            raise StrongroomRefused(f"{self._seen} must hold a number; remove it if you know why it does not") from None

    def _keep(self, number: int) -> None:
        self._seen.parent.mkdir(parents=True, exist_ok=True)
        draft = self._seen.with_name(f"{self._seen.name}.{threading.get_native_id()}")
        draft.write_text(f"{number}\n", encoding="ascii")
        draft.replace(self._seen)


def _as_served(listed: RevocationList) -> RevokedCertificates:
    names = frozenset(entry.identity.encode("ascii") for entry in listed.entries if entry.identity)
    return RevokedCertificates(listed.serials, names, any(not entry.identity for entry in listed.entries))
