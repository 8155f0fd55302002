"""The attach file `var/postgres.json`: how every other command finds the databases that `coalition serve` owns.

Written by the owner (mode 0600, replaced whole), read by the others. It holds no password: the private socket
directory is the whole protection. Reading never starts, stops or repairs a server.
"""

import json
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from psycopg.conninfo import make_conninfo

from coalition.storage.embedded_error import EmbeddedError, ServerNotRunning

ATTACH_FILE = "postgres.json"
CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class AttachInfo:
    """One running instance, as its owner described it."""

    name: str
    socket_directory: str
    port: int
    pid: int | None  # of the postmaster when the file was written; a restart changes it
    owner_pid: int
    data_directory: str  # may lie outside var: see EmbeddedPostgres
    log_file: str
    superuser: str
    databases: tuple[str, ...]

    def dsn(self, role: str, database: str | None = None) -> str:
        """Conninfo for libpq as `role` over the private socket, by default to the instance's first database."""
        name = self.databases[0] if database is None else database
        return make_conninfo(host=self.socket_directory, port=self.port, user=role, dbname=name)


class Attachable(Protocol):
    """What the attach file wants to know of an instance."""

    def attach_info(self) -> AttachInfo: ...


def write_attach_file(var: Path, instances: Iterable[Attachable]) -> Path:
    """Replace `var/postgres.json` by the present instances. Call it after start and after each restart."""
    records = [asdict(instance.attach_info()) for instance in instances]
    var.mkdir(parents=True, exist_ok=True)
    # mkstemp makes it 0600 from the first byte; the rename keeps a reader from seeing half a file.
    handle, draft = tempfile.mkstemp(prefix=f".{ATTACH_FILE}.", dir=var)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "instances": records}, file, indent=2)
            file.write("\n")
        return Path(draft).replace(var / ATTACH_FILE)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def remove_attach_file(var: Path) -> None:
    """Take the file away at the owner's orderly end; no error if there is none."""
    (var / ATTACH_FILE).unlink(missing_ok=True)


def read_attach_file(var: Path) -> Mapping[str, AttachInfo]:
    """The running instances by name, each checked by knocking at its socket.

    Raises ServerNotRunning if there is no file, or its owner is dead, or a socket refuses; EmbeddedError if the file
    or a socket may not be read by this user, or the file is not one of ours.
    """
    path = var / ATTACH_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        records = [{**record, "databases": tuple(record["databases"])} for record in document["instances"]]
        instances = {record["name"]: AttachInfo(**record) for record in records}
    except FileNotFoundError:
        raise ServerNotRunning(f"{path} does not exist: {_start()}") from None
    except PermissionError as error:
        raise EmbeddedError(f"{path} may be read by its owner alone: run as the user of `coalition serve`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(f"{path} is not an attach file of this version: remove it and {_start()}") from error

    for info in instances.values():
        _check_alive(path, info)
    return instances


def _check_alive(path: Path, info: AttachInfo) -> None:
    try:
        os.kill(info.owner_pid, 0)
    except ProcessLookupError:
        raise ServerNotRunning(f"{path} is stale, its owner {info.owner_pid} is dead: {_start()}") from None
    except PermissionError:
        pass  # alive, and another user's; the socket decides
    address = f"{info.socket_directory}/.s.PGSQL.{info.port}"
    try:
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(CONNECT_SECONDS)
            knock.connect(address)
    except PermissionError as error:
        raise EmbeddedError(
            f"the socket of {info.name} in {info.socket_directory} is private: run as the user of `coalition serve`"
        ) from error
    except OSError:
        raise ServerNotRunning(f"{path} is stale, database {info.name} does not answer: {_start()}") from None


def _start() -> str:
    return "start the server with `coalition serve` or `make serve`"
