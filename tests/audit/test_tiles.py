"""Tiles and the growing edge: the same tree however it grows, and C2SP's own examples of paths and sizes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.merkle import EMPTY_ROOT, leaf_hash, root_hash
from coalition.audit.proofs import consistency_proof, inclusion_proof, tree_hash, verify_inclusion
from coalition.audit.tiles import (
    Edge,
    TileAt,
    TileNodes,
    edge_tiles,
    entries_path,
    entry_bundle,
    split_hashes,
    tile_path,
)

LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


def grown(*sizes: int) -> tuple[Edge, dict[TileAt, bytes]]:
    """An edge grown in steps, and every tile as it was written last."""
    edge, tiles, begin = Edge(), {}, 0
    for size in sizes:
        for tile in edge.append(LEAVES[begin:size]):
            tiles[tile.at] = tile.hashes
        begin = size
    return edge, tiles


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=5))
def test_however_a_tree_grows_it_is_the_same_tree(steps: list[int]) -> None:
    sizes = [sum(steps[: place + 1]) for place in range(len(steps))]
    edge, tiles = grown(*sizes)

    assert root_hash(LEAVES[: sizes[-1]]) == edge.root()
    assert grown(sizes[-1])[1] == tiles
    assert Edge.from_bytes(sizes[-1], edge.to_bytes()).root() == edge.root()


def test_the_tree_of_70_000_leaves_has_the_tiles_of_the_specification() -> None:
    """tlog-tiles: 273 full tiles and one of width 112 at level 0, one full and one of 17 at level 1, one of 1 at 2."""
    edge, tiles = grown(70_000)
    widths = {at: len(hashes) // 32 for at, hashes in tiles.items()}

    assert {TileAt(0, number): 256 for number in range(273)} | {
        TileAt(0, 273): 112,
        TileAt(1, 0): 256,
        TileAt(1, 1): 17,
        TileAt(2, 0): 1,
    } == widths
    assert [(TileAt(0, 273), 112), (TileAt(1, 1), 17), (TileAt(2, 0), 1)] == list(edge_tiles(70_000))
    assert root_hash(LEAVES) == edge.root() == tree_hash(70_000, TileNodes(tiles))
    # Level 1, hash 5 is the hash over leaves 1280 to 1535, as the formula of the specification says.
    assert root_hash(LEAVES[1280:1536]) == split_hashes(tiles[TileAt(1, 0)])[5]


def test_a_full_tile_leaves_a_partial_one_of_one_hash_above() -> None:
    assert [(TileAt(1, 0), 1)] == list(edge_tiles(256))


def test_proofs_are_made_from_the_few_tiles_they_name() -> None:
    _, tiles = grown(70_000)
    asking = TileNodes()
    inclusion_proof(12_345, 70_000, asking)

    assert {TileAt(0, 48), TileAt(0, 273), TileAt(1, 0), TileAt(1, 1)} == asking.needed
    proof = inclusion_proof(12_345, 70_000, TileNodes({at: tiles[at] for at in asking.needed}))
    verify_inclusion(12_345, 70_000, LEAVES[12_345], proof, root_hash(LEAVES))


def test_proofs_of_an_older_size_are_made_from_the_tiles_of_a_newer_one() -> None:
    """A partial tile has grown since: only its first hashes count."""
    _, newer = grown(1000)
    _, older = grown(300)

    assert consistency_proof(70, 300, TileNodes(older)) == consistency_proof(70, 300, TileNodes(newer))


def test_a_tile_that_has_not_grown_so_far_is_not_guessed_at() -> None:
    _, tiles = grown(300)
    with pytest.raises(EvidenceMalformed, match=r"tile/0/001 has not grown to hash 44"):
        inclusion_proof(299, 301, TileNodes(tiles))


def test_the_edge_of_nothing_is_empty() -> None:
    assert EMPTY_ROOT == Edge().root() == Edge.from_bytes(0, b"").root()
    assert [] == Edge().append([])


@pytest.mark.parametrize(("size", "extra"), [(300, b""), (300, bytes(32 * 46)), (5, bytes(31))])
def test_an_edge_of_another_size_is_refused(size: int, extra: bytes) -> None:
    with pytest.raises(EvidenceMalformed):
        Edge.from_bytes(size, extra)


def test_paths_are_those_of_the_specification() -> None:
    assert "tile/0/x001/x234/067" == tile_path(TileAt(0, 1_234_067), 256)
    assert "tile/3/067.p/8" == tile_path(TileAt(3, 67), 8)
    assert "tile/entries/x001/000" == entries_path(1000, 256)
    assert "tile/entries/000.p/255" == entries_path(0, 255)


def test_an_entry_bundle_has_lengths_of_two_bytes() -> None:
    assert b"\x00\x02ab\x00\x00\x00\x01c" == entry_bundle([b"ab", b"", b"c"])
