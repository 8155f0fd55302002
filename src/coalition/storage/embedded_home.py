"""Where one embedded instance lives on disk, and under which user: data, log, lock and socket directories.

    <directory>/<name>/data         0700, the database user's
    <directory>/<name>/server.log   0600, the owner's
    <directory>/<name>/owner.lock   0600, locked while an owner lives
    <directory>/<name>/socket       0700, the database user's (elsewhere if the path is too long for a socket)

PostgreSQL refuses uid 0, so root runs it as uid 65534. If that user cannot pass through the directory (a 0700 home),
everything goes below the state root instead, under a hash of the directory's path; no existing directory is chmodded.
"""

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from coalition.storage.binaries import open_directory, traversable
from coalition.storage.embedded_error import EmbeddedError

PRIVATE = 0o700
PORT = 5432  # only a part of the socket's file name: nothing listens on TCP
SOCKET_PATH_MAX = 107  # bytes of sockaddr_un.sun_path on Linux, less the closing zero
STATE_ROOT = Path("/var/lib/coalition")
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class EmbeddedHome:
    """The directories of one instance; made by `prepare_home`."""

    root: Path
    data: Path
    log: Path
    lock: Path
    socket: Path
    user: tuple[int, int] | None  # uid and gid to become; None when we are not root
    mark: str  # short, unique to the data directory

    @property
    def uid(self) -> int:
        return os.geteuid() if self.user is None else self.user[0]


def prepare_home(directory: Path, name: str, *, state_root: Path) -> EmbeddedHome:
    """Choose and make the directories; raises EmbeddedError if the place belongs to another user."""
    directory = directory.resolve()
    user = database_user()
    root = home_root(directory, name, user, state_root)
    data = root / "data"
    mark = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    home = EmbeddedHome(
        root=root,
        data=data,
        log=root / "server.log",
        lock=root / "owner.lock",
        socket=socket_directory(root, mark, user),
        user=user,
        mark=mark,
    )
    open_directory(root.parent)
    # Ours and not the database user's, so that it cannot put a symlink where root opens the log.
    own_directory(root, os.geteuid(), None, 0o711 if user else PRIVATE)
    own_directory(home.socket, home.uid, user, PRIVATE)
    if data.exists() and data.stat().st_uid != home.uid:
        raise EmbeddedError(
            f"{data} belongs to uid {data.stat().st_uid}, but PostgreSQL runs as uid {home.uid}: "
            "start as the user who made it, or choose another directory"
        )
    return home


def database_user() -> tuple[int, int] | None:
    """The uid and gid that PostgreSQL gets when we are root; initdb needs a passwd entry for it."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwuid(NOBODY)
    except KeyError as error:
        raise EmbeddedError(
            f"PostgreSQL cannot run as root and uid {NOBODY} has no passwd entry: "
            "add the user nobody, or run as an ordinary user"
        ) from error
    return entry.pw_uid, entry.pw_gid


def home_root(directory: Path, name: str, user: tuple[int, int] | None, state_root: Path) -> Path:
    """Beside the other files of `directory` if the database user can pass there, else below the state root."""
    beside = directory / name
    if user is None:
        return beside
    mark = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    away = state_root / mark / name
    if (away / "data").exists():  # the first start decided; a mode changed later must not hide the data
        return away
    open_directory(directory)
    if traversable(directory, user[0]):
        return beside
    if (beside / "data").exists():
        raise EmbeddedError(
            f"uid {user[0]} can no longer pass through {directory} to its data: allow it with chmod o+x on the way"
        )
    return away


def socket_directory(root: Path, mark: str, user: tuple[int, int] | None) -> Path:
    """Inside the home, unless the socket's path would be too long or would not survive a libpq conninfo."""
    inside = root / "socket"
    text = str(inside)
    fits = len(os.fsencode(f"{text}/.s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX
    if fits and not any(character in text for character in ',"\\'):
        return inside
    if user is not None and os.access("/run", os.W_OK):
        return Path("/run") / f"coalition-{mark}"
    return Path("/tmp") / f"coalition-{os.geteuid()}-{mark}"  # noqa: S108 - own_directory checks whose it is


def own_directory(path: Path, uid: int, user: tuple[int, int] | None, mode: int) -> None:
    """Make a directory of exactly this owner and mode, or refuse one that somebody else made first."""
    try:
        path.mkdir(mode=PRIVATE)
    except FileExistsError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or stat.S_IMODE(status.st_mode) & 0o022:
            raise EmbeddedError(
                f"{path} must be a directory of uid {uid} that others cannot write: remove it or correct its owner"
            ) from None
        if mode == PRIVATE and stat.S_IMODE(status.st_mode) != mode:
            path.chmod(mode)  # our own directory, made private again
        return
    except PermissionError as error:
        raise EmbeddedError(f"{path} cannot be made here: choose a directory that this user may write") from error
    path.chmod(mode)
    if user is not None:
        os.chown(path, *user)
