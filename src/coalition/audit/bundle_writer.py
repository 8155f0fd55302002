"""Writing a bundle: whoever may read the log does it, leaf by leaf; the manifest comes last."""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from coalition.audit.bundle_format import (
    ACTORS,
    BATCHES,
    CHECKPOINT,
    CHECKPOINTS,
    EDGE,
    FORMAT,
    LEAVES,
    NAMES,
    PAYLOADS,
    RECEIPTS,
    RECORD,
    SETTLEMENT,
    SETTLEMENT_FILES,
    START,
    STATE,
    BatchSeal,
    BundleDamaged,
    write_manifest,
)
from coalition.audit.tiles import Edge, entry_bundle


class BundleWriter:
    """Writes a bundle to a new or empty directory. `close` writes the manifest: without it there is no bundle."""

    def __init__(self, directory: Path, origin: str, start_size: int, made: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BundleDamaged(f"{directory} is not empty: name a new directory for the bundle")
        self._directory = directory
        self._facts: dict[str, Any] = {
            "format": FORMAT,
            "origin": origin,
            "start_size": start_size,
            "made": made,
        }
        self._actors: dict[str, None] = {}
        self._closing = ExitStack()
        self._open: dict[str, BinaryIO] = {
            name: self._closing.enter_context((directory / name).open("wb")) for name in (LEAVES, PAYLOADS, BATCHES)
        }
        self._receipts = self._reports = 0

    def ends_at(self, size: int) -> None:
        """The size that the checkpoint of its end is over."""
        self._facts["end_size"] = size

    def add_leaves(self, leaves: Iterable[tuple[bytes, bytes, str]]) -> None:
        """The next leaves: their data, payload and actor."""
        for data, payload, actor in leaves:
            self._open[LEAVES].write(entry_bundle([data]))
            self._open[PAYLOADS].write(len(payload).to_bytes(4, "big") + payload)
            self._actors[actor] = None

    def add_batches(self, seals: Iterable[BatchSeal]) -> None:
        """The next batches."""
        for seal in seals:
            self._open[BATCHES].write(RECORD.pack(*seal))

    def add_checkpoints(self, start: bytes | None, edge: Edge, between: Sequence[bytes], end: bytes) -> None:
        """Notes with their cosignatures; the edge is the tree's at `start`."""
        if start is not None:
            self.add_file(START, start)
        self.add_file(EDGE, edge.to_bytes())
        self.add_file(CHECKPOINTS, json.dumps([note.decode() for note in between], ensure_ascii=False).encode())
        self.add_file(CHECKPOINT, end)

    def add_names(self, participants: dict[int, str], agreements: dict[int, str]) -> None:
        """Codes by number."""
        names = {"participants": participants, "agreements": agreements}
        self.add_file(NAMES, json.dumps(names, sort_keys=True).encode())

    def add_state(self, section: str, rows: Iterable[bytes]) -> None:
        """A section of the tables, whole: JSON arrays."""
        path = self._directory / STATE / section
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.writelines(row + b"\n" for row in rows)

    def state_read(self, begin: int, until: int) -> None:
        """All sections were added: they are as new as batch `begin`, and no newer than `until`."""
        self._facts |= {"state_from": begin, "state_until": until}

    def add_receipt(self, receipt: bytes) -> None:
        """A sample that must be found in the log."""
        self._receipts += 1
        self.add_file(f"{RECEIPTS}/{self._receipts:06}.json", receipt)

    def add_settlement(self, report: Path) -> None:
        """The report of a netted window, as the month wrote it: every file. BundleDamaged where one is missing."""
        self._reports += 1
        there = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}
        for name in sorted({*SETTLEMENT_FILES, *there}):
            try:
                content = (report / name).read_bytes()
            except OSError as error:
                raise BundleDamaged(f"{report} is no settlement report: {name}: {error.strerror}") from error
            self.add_file(f"{SETTLEMENT}/{self._reports:03}/{name}", content)

    def add_file(self, name: str, content: bytes) -> None:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def close(self) -> None:
        """Finish the files and write the manifest over them."""
        self._closing.close()
        self.add_file(ACTORS, json.dumps(list(self._actors), ensure_ascii=False).encode())
        write_manifest(self._directory, self._facts)
