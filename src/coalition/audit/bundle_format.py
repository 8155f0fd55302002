"""What a bundle's directory holds: file names, record layouts, bounds, the manifest over all of it."""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.leaf import LEAF_BYTES

FORMAT: Final = "coalition audit bundle v1"
MANIFEST: Final = "manifest.json"
LEAVES, PAYLOADS, BATCHES, ACTORS, NAMES = "leaves", "payloads", "batches", "actors.json", "names.json"
CHECKPOINT, START, EDGE, CHECKPOINTS = "checkpoint", "start", "edge", "checkpoints.json"
RECEIPTS, SETTLEMENT, STATE = "receipts", "settlement", "state"
STATE_SECTIONS: Final = (
    *("keys", "agreements", "rights", "windows", "day_closes", "disclosures", "records", "seeds", "wallets"),
    *("members", "cards", "holds"),
)
NEEDED: Final = (CHECKPOINT, LEAVES, PAYLOADS, BATCHES, ACTORS, NAMES, CHECKPOINTS, EDGE)
SETTLEMENT_FILES: Final = ("summary.json", "positions.csv", "bilateral.csv")
REPORT_MANIFEST, REPORT_NOTE = "manifest.json", "manifest.note"  # of a settlement report (settlement/manifest.py)
RECORD: Final = struct.Struct(">qqi32s64s")
LEAF_RECORD: Final = LEAF_BYTES + 2
PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
JSON_BYTES_MAX: Final = 64 * 1024 * 1024
FILES_MAX: Final = 100_000
CHUNK: Final = 1 << 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}(/[a-z0-9][a-z0-9._-]{0,127}){0,3}", re.ASCII)


class BatchSeal(NamedTuple):
    """A batch as it was sealed; `time_us` is microseconds since 1970, UTC."""

    number: int
    time_us: int
    entry_count: int
    root: bytes
    signature: bytes


class BundleDamaged(EvidenceMalformed):
    """The bundle is not whole, or not what was written: nothing about the log can be said from it."""


def write_manifest(directory: Path, facts: dict[str, Any]) -> None:
    """The manifest over every file that lies below the directory."""
    files = {
        path.relative_to(directory).as_posix(): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / MANIFEST
    }
    text = json.dumps({**facts, "files": files}, sort_keys=True, indent=1)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def check_files(directory: Path, files: dict[str, tuple[int, str]], progress: Callable[[int, int], None]) -> None:
    """Raise BundleDamaged unless the files are those of the manifest, byte for byte."""
    if missing := [name for name in NEEDED if name not in files]:
        raise BundleDamaged(f"the manifest names no {missing[0]}")
    if len(files) > FILES_MAX or any(not _NAME.fullmatch(name) for name in files):
        raise BundleDamaged("the manifest names files that a bundle cannot have")
    whole, done = sum(length for length, _ in files.values()), 0
    for name, (length, digest) in files.items():
        path = directory / name
        if path.is_symlink() or not path.is_file():
            raise BundleDamaged(f"{name} is missing: get the bundle again")
        if path.stat().st_size != length or file_digest(path) != digest:
            raise BundleDamaged(f"{name} is not what was written: get the bundle again")
        done += length
        progress(done, whole)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that names nothing twice: readers would differ in what it says. Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """A small file's bytes. Raises BundleDamaged."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise BundleDamaged(f"{path.name}: {error.strerror}") from error
    if len(data) > bytes_max:
        raise BundleDamaged(f"{path.name} has more than {bytes_max} bytes")
    return data


def read_json(path: Path) -> Any:
    """A small file's JSON. Raises BundleDamaged."""
    try:
        return json.loads(read_bounded(path, JSON_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise BundleDamaged(f"{path.name} is no JSON") from error


def read_rows(path: Path) -> Iterator[list[Any]]:
    """The JSON arrays of a file, one a line. Raises BundleDamaged."""
    seen: set[int] = set()
    with path.open("rb") as file:
        while line := file.readline(PAYLOAD_BYTES_MAX + 1):
            if not line.endswith(b"\n"):
                raise BundleDamaged(f"{path.name} ends within a row")
            if (mark := hash(line)) in seen:
                raise BundleDamaged(f"{path.name} tells a row twice")
            seen.add(mark)
            try:
                row = json.loads(line, object_pairs_hook=_unique)
            except (ValueError, RecursionError) as error:
                raise BundleDamaged(f"{path.name} has a line that is no JSON") from error
            if not isinstance(row, list):
                raise BundleDamaged(f"{path.name} has a line that is no row")
            yield row


def silent(done: int, whole: int) -> None:
    """Progress for whom nobody watches."""
    del done, whole
