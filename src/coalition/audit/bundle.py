"""A bundle: a directory that holds a range of the audit log and all that is needed to check it, and nothing else.

docs/audit-log.md says every file and byte. It is read on a laptop without network, database or key. Nothing in a bundle
is believed: keys, origin and policy come from the auditor's own trust file.
"""

import hashlib
import mmap
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coalition.audit.bundle_format import (
    ACTORS,
    BATCHES,
    CHECKPOINTS,
    EDGE,
    FORMAT,
    JSON_BYTES_MAX,
    LEAF_RECORD,
    LEAVES,
    MANIFEST,
    NAMES,
    PAYLOAD_BYTES_MAX,
    PAYLOADS,
    RECEIPTS,
    RECORD,
    SETTLEMENT,
    SETTLEMENT_FILES,
    STATE,
    STATE_SECTIONS,
    BatchSeal,
    BundleDamaged,
    check_files,
    read_bounded,
    read_json,
    read_rows,
    silent,
)
from coalition.audit.leaf import LEAF_BYTES, Payload
from coalition.audit.receipt import RECEIPT_BYTES_MAX
from coalition.audit.tiles import Edge


@dataclass
class Bundle:
    """A bundle that was opened: whole by its manifest, its big files mapped into memory. Close it at the end."""

    directory: Path
    origin: str
    start_size: int
    end_size: int
    files: Mapping[str, str]
    """SHA-256 in hex by name, as found."""
    actors: dict[bytes, str]
    participants: dict[int, str]
    agreements: dict[int, str]
    state_numbers: tuple[int, int] | None
    """The tables beside the log are as new as the first batch, and no newer than the second; None: there are none."""
    _maps: dict[str, mmap.mmap | bytes] = field(default_factory=dict)
    _offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    _entries: "array[int]" = field(default_factory=lambda: array("q"))
    _closing: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def open(cls, directory: Path, progress: Callable[[int, int], None] | None = None) -> "Bundle":
        """Check the manifest and open. Raises BundleDamaged. `progress` hears bytes checked and all bytes."""
        facts = read_json(directory / MANIFEST)
        try:
            files = {str(name): (int(each["bytes"]), str(each["sha256"])) for name, each in facts["files"].items()}
            start, end, origin = facts["start_size"], facts["end_size"], str(facts["origin"])
            state = facts.get("state_from"), facts.get("state_until")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleDamaged(f"the manifest is not one of ours: {error!r}") from error
        if facts.get("format") != FORMAT:
            raise BundleDamaged(f"the manifest says another format than {FORMAT}")
        if type(start) is not int or type(end) is not int or not 0 <= start < end:
            raise BundleDamaged("the manifest says no range of sizes")
        check_files(directory, files, progress or silent)
        numbers = _state_numbers(state, files)
        actors = read_json(directory / ACTORS)
        names = read_json(directory / NAMES)
        try:
            by_hash = {hashlib.sha256(actor.encode()).digest(): actor for actor in actors}
            participants, agreements = (
                {int(number): str(code) for number, code in names[kind].items()}
                for kind in ("participants", "agreements")
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BundleDamaged(f"actors or names cannot be read: {error!r}") from error
        if type(actors) is not list or len(by_hash) != len(actors):
            raise BundleDamaged(f"{ACTORS} is a list that names every actor once")
        digests = {name: digest for name, (_, digest) in files.items()}
        bundle = cls(directory, origin, start, end, digests, by_hash, participants, agreements, numbers)
        try:
            bundle._map()
        except BaseException:
            bundle.close()
            raise
        return bundle

    def close(self) -> None:
        self._closing.close()

    @property
    def count(self) -> int:
        """How many leaves there are."""
        return len(self._maps[LEAVES]) // LEAF_RECORD

    @property
    def first_number(self) -> int:
        """The number of the first batch; 0 for a bundle without one."""
        mapped = self._maps[BATCHES]
        return int(RECORD.unpack(mapped[: RECORD.size])[0]) if mapped else 0

    @property
    def last_number(self) -> int:
        """The number of the last batch; 0 for a bundle without one."""
        mapped = self._maps[BATCHES]
        return int(RECORD.unpack(mapped[-RECORD.size :])[0]) if mapped else 0

    def leaf(self, place: int) -> bytes:
        """The data of the leaf at `place`, counted from the bundle's first."""
        begin = place * LEAF_RECORD
        return self._maps[LEAVES][begin + 2 : begin + LEAF_RECORD]

    def leaves(self) -> Iterator[bytes]:
        """The data of every leaf. Raises BundleDamaged for one of another length."""
        mapped, prefix = self._maps[LEAVES], LEAF_BYTES.to_bytes(2, "big")
        for begin in range(0, len(mapped), LEAF_RECORD):
            if mapped[begin : begin + 2] != prefix:
                raise BundleDamaged(f"leaf {begin // LEAF_RECORD} of the bundle is not {LEAF_BYTES} bytes long")
            yield mapped[begin + 2 : begin + LEAF_RECORD]

    def payloads(self) -> Iterator[bytes]:
        """The payload of every leaf, in order; where each lies is remembered. Raises BundleDamaged."""
        mapped, begin = self._maps[PAYLOADS], 0
        self._offsets = array("Q")
        while begin < len(mapped):
            length = int.from_bytes(mapped[begin : begin + 4], "big")
            end = begin + 4 + length
            if length > PAYLOAD_BYTES_MAX or end > len(mapped):
                raise BundleDamaged("the payloads end within one")
            self._offsets.append(begin)
            yield mapped[begin + 4 : end]
            begin = end

    def remember(self, entry_id: int) -> None:
        """Note the entry of the payload that was read last, so that `payload_of` finds it."""
        self._entries.append(entry_id)

    def place_of(self, entry_id: int) -> int | None:
        """Where an entry is, once all have been read; entries lie in the order of their ids."""
        place = bisect_left(self._entries, entry_id)
        return place if place < len(self._entries) and self._entries[place] == entry_id else None

    def payload_of(self, entry_id: int) -> Payload | None:
        """An entry's payload, once all have been read; None where the bundle does not hold it."""
        place = self.place_of(entry_id)
        if place is None or place >= len(self._offsets):
            return None
        begin = self._offsets[place]
        mapped = self._maps[PAYLOADS]
        return Payload.parse(mapped[begin + 4 : begin + 4 + int.from_bytes(mapped[begin : begin + 4], "big")])

    def batches(self) -> Iterator[BatchSeal]:
        """Every batch, in order."""
        mapped = self._maps[BATCHES]
        for begin in range(0, len(mapped), RECORD.size):
            yield BatchSeal(*RECORD.unpack(mapped[begin : begin + RECORD.size]))

    def edge(self) -> Edge:
        """The tree's edge at the start. Raises EvidenceMalformed."""
        return Edge.from_bytes(self.start_size, self._small(EDGE))

    def note(self, name: str) -> bytes | None:
        """The note in a file, None where there is none."""
        return self._small(name) if name in self.files else None

    def notes_between(self) -> list[bytes]:
        """The checkpoints between start and end. Raises BundleDamaged."""
        notes = read_json(self.directory / CHECKPOINTS)
        if not isinstance(notes, list) or any(not isinstance(each, str) for each in notes):
            raise BundleDamaged(f"{CHECKPOINTS} is no list of notes")
        return [each.encode("utf-8", "surrogatepass") for each in notes]

    def receipts(self) -> Iterator[tuple[str, bytes]]:
        """Receipt samples by their names."""
        for name in sorted(self.files):
            if name.startswith(f"{RECEIPTS}/"):
                yield name, self._small(name, RECEIPT_BYTES_MAX)

    def settlement_reports(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Settlement reports: their files by name."""
        for place, digests in self.report_digests():
            yield place, {name: self.report_file(place, name) for name in SETTLEMENT_FILES if name in digests}

    def report_digests(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Settlement reports: the SHA-256 in hex of each of their files, by name within the report."""
        found: dict[str, dict[str, str]] = {}
        for path, digest in self.files.items():
            root, _, rest = path.partition("/")
            number, _, name = rest.partition("/")
            if root == SETTLEMENT and name:
                found.setdefault(f"{root}/{number}", {})[name] = digest
        yield from sorted(found.items())

    def report_file(self, place: str, name: str) -> bytes:
        """A file of a settlement report. Raises BundleDamaged."""
        return self._small(f"{place}/{name}")

    def state(self, section: str) -> Iterator[list[Any]]:
        """The rows of a section of the tables. Raises BundleDamaged."""
        return read_rows(self.directory / STATE / section)

    def _small(self, name: str, bytes_max: int = JSON_BYTES_MAX) -> bytes:
        return read_bounded(self.directory / name, bytes_max)

    def _map(self) -> None:
        for name, width in ((LEAVES, LEAF_RECORD), (PAYLOADS, 1), (BATCHES, RECORD.size)):
            file = self._closing.enter_context((self.directory / name).open("rb"))
            length = (self.directory / name).stat().st_size
            if length % width:
                raise BundleDamaged(f"{name} is not whole: {length} bytes are no multiple of {width}")
            if length:
                self._maps[name] = self._closing.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            else:
                self._maps[name] = b""


def _state_numbers(said: tuple[Any, Any], files: Mapping[str, Any]) -> tuple[int, int] | None:
    """Between which batches the tables were read; None where the bundle has none. Raises BundleDamaged."""
    begin, until = said
    there = [section for section in STATE_SECTIONS if f"{STATE}/{section}" in files]
    if begin is None and until is None and not there:
        return None
    if type(begin) is not int or type(until) is not int or not 0 <= begin <= until:
        raise BundleDamaged("the manifest does not say when the tables were read")
    if len(there) < len(STATE_SECTIONS):
        raise BundleDamaged("the bundle has some of the tables, and not all")
    return begin, until
