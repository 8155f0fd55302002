"""The tree as tiles of C2SP tlog-tiles: 256 hashes a tile, a level for each eight of the tree; and its growing edge.

Full tiles never change. What grows is the edge: the partial tile of each level. It is all that is needed to go on, to
know the root, and (kept by an auditor) to check the next part of the log.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.merkle import EMPTY_ROOT, root_hash
from coalition.audit.proofs import HASH_BYTES

TILE_BITS: Final = 8
TILE_WIDTH: Final = 1 << TILE_BITS
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
ENTRY_BYTES_MAX: Final = 0xFFFF


class TileAt(NamedTuple):
    """Where a tile is: its level, 0 for leaves, and its number within the level."""

    level: int
    number: int


class Tile(NamedTuple):
    """A tile, whole or partial: 1 to 256 hashes, one after the other."""

    at: TileAt
    hashes: bytes

    @property
    def width(self) -> int:
        return len(self.hashes) // HASH_BYTES


@dataclass(slots=True)
class Edge:
    """The right edge of a tree of `size` leaves: `partial[level]` holds the hashes of that level's partial tile."""

    size: int = 0
    partial: list[list[bytes]] = field(default_factory=list)

    def append(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Grow by leaf hashes; every tile that changed, with all its hashes, level by level."""
        changed: list[Tile] = []
        number, hashes = self.size >> TILE_BITS, leaves
        self.size += len(leaves)
        for level in range(64):
            if not hashes:
                break
            if level == len(self.partial):
                self.partial.append([])
            waiting = [*self.partial[level], *hashes]
            full: list[bytes] = []
            for begin in range(0, len(waiting), TILE_WIDTH):
                tile = waiting[begin : begin + TILE_WIDTH]
                changed.append(Tile(TileAt(level, number + (begin >> TILE_BITS)), b"".join(tile)))
                if len(tile) == TILE_WIDTH:
                    full.append(root_hash(tile))
            self.partial[level] = waiting[len(full) << TILE_BITS :]
            number, hashes = number >> TILE_BITS, full
        return changed

    def root(self) -> bytes:
        """The root: each level's hashes, and behind them what the levels below have not filled yet."""
        rest: list[bytes] = []
        for hashes in self.partial:
            if hashes or rest:
                rest = [root_hash([*hashes, *rest])]
        return rest[0] if rest else EMPTY_ROOT

    def to_bytes(self) -> bytes:
        """All its hashes, level 0 first; how many are of which level follows from the size."""
        return b"".join(each for hashes in self.partial for each in hashes)

    @classmethod
    def from_bytes(cls, size: int, hashes: bytes) -> "Edge":
        """The edge of a tree of `size`. Raises EvidenceMalformed when there are more or fewer hashes than it has."""
        edge, begin = cls(size), 0
        for at, width in edge_tiles(size):
            end = begin + width * HASH_BYTES
            while len(edge.partial) <= at.level:
                edge.partial.append([])
            edge.partial[at.level] = split_hashes(hashes[begin:end])
            begin = end
        if begin != len(hashes):
            raise EvidenceMalformed(f"the edge of {size} leaves has {begin} bytes, not {len(hashes)}")
        return edge


def edge_tiles(size: int) -> Iterator[tuple[TileAt, int]]:
    """The partial tiles of a tree of `size`, each with its width."""
    level = 0
    while size:
        if width := size % TILE_WIDTH:
            yield TileAt(level, size >> TILE_BITS), width
        size >>= TILE_BITS
        level += 1


def split_hashes(hashes: bytes) -> list[bytes]:
    """A tile's bytes as its hashes. Raises EvidenceMalformed unless they are whole."""
    if len(hashes) % HASH_BYTES:
        raise EvidenceMalformed(f"{len(hashes)} bytes are not whole hashes of {HASH_BYTES}")
    return [hashes[begin : begin + HASH_BYTES] for begin in range(0, len(hashes), HASH_BYTES)]


class TileNodes:
    """The nodes of a tree found in tiles: callable as proofs.Nodes once `tiles` holds what it is asked for.

    With `tiles` None it only notes in `needed` which tiles a proof will read, so that they can be fetched at once.
    """

    def __init__(self, tiles: Mapping[TileAt, bytes] | None = None) -> None:
        self._tiles = tiles
        self.needed: set[TileAt] = set()

    def __call__(self, level: int, index: int) -> bytes:
        tile_level, inner = divmod(level, TILE_BITS)
        first = index << inner
        at = TileAt(tile_level, first >> TILE_BITS)
        self.needed.add(at)
        if self._tiles is None:
            return bytes(HASH_BYTES)
        begin = first % TILE_WIDTH
        hashes = split_hashes(self._tiles[at])[begin : begin + (1 << inner)]
        if len(hashes) != 1 << inner:
            raise EvidenceMalformed(f"{tile_path(at, TILE_WIDTH)} has not grown to hash {begin + (1 << inner) - 1}")
        return root_hash(hashes)


def tile_path(at: TileAt, width: int) -> str:
    """The resource of a tile, such as tile/0/x001/x234/067.p/8."""
    return f"tile/{at.level}/{_number(at.number)}{_partial(width)}"


def entries_path(number: int, width: int) -> str:
    """The resource of an entry bundle, such as tile/entries/067.p/8."""
    return f"tile/entries/{_number(number)}{_partial(width)}"


def entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Log entries, each behind its length in two bytes, big endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def _number(number: int) -> str:
    parts = [f"{number % 1000:03}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03}")
    return "/".join(reversed(parts))


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
