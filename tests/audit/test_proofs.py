"""Inclusion and consistency proofs: every published vector, and small trees compared with the RFC's own text."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.audit.errors import EvidenceBroken
from coalition.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_hash
from coalition.audit.proofs import (
    consistency_proof,
    inclusion_proof,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def nodes(level: int, index: int) -> bytes:
    assert (index + 1) << level <= len(LEAVES), "a node that is not whole was asked for"
    return root_hash(LEAVES[index << level : (index + 1) << level])


def split(count: int) -> int:
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    k = split(len(leaves))
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of section 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.2, as it is written there."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def decoded(case: dict[str, object], name: str) -> bytes:
    return base64.b64decode(str(case[name]))


def test_every_published_vector_is_judged_as_published(vector_file: Callable[[str], Path]) -> None:
    """The cases of transparency-dev/merkle, that Go's checksum database and CT logs are tested with."""
    counted = {"inclusion": 0, "consistency": 0}
    for line in vector_file("merkle_rfc6962_basic.jsonl").read_text().splitlines():
        case = json.loads(line)
        proof = [base64.b64decode(each) for each in case["proof"] or ()]
        kind = case["file"].split("/")[1]
        counted[kind] += 1
        try:
            if kind == "inclusion":
                root, leaf = decoded(case, "root"), decoded(case, "leafHash")
                verify_inclusion(case["leafIdx"], case["treeSize"], leaf, proof, root)
            else:
                roots = decoded(case, "root1"), decoded(case, "root2")
                verify_consistency(case["size1"], case["size2"], *roots, proof)
            holds = True
        except EvidenceBroken:
            holds = False
        assert case["wantErr"] is not holds, case["file"]
    assert min(counted.values()) > 10


def test_inclusion_proofs_are_those_of_the_rfc() -> None:
    for size in range(1, 40):
        root = mth(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, nodes)
            assert path(index, LEAVES[:size]) == proof
            verify_inclusion(index, size, LEAVES[index], proof, root)


def test_consistency_proofs_are_those_of_the_rfc() -> None:
    for size in range(1, 40):
        root = mth(LEAVES[:size])
        for old_size in range(1, size + 1):
            proof = consistency_proof(old_size, size, nodes)
            assert subproof(old_size, LEAVES[:size], whole=True) == proof
            verify_consistency(old_size, size, mth(LEAVES[:old_size]), root, proof)


def test_goldens_of_the_seven_leaf_tree_of_the_rfc() -> None:
    """Section 2.1.3 draws this tree and names its nodes: the proofs it lists, spelled out."""
    d = LEAVES[:7]
    a_b, c_d, e_f = node_hash(d[0], d[1]), node_hash(d[2], d[3]), node_hash(d[4], d[5])
    k, low = node_hash(a_b, c_d), node_hash(e_f, d[6])

    assert [d[1], c_d, low] == inclusion_proof(0, 7, nodes)
    assert [d[2], a_b, low] == inclusion_proof(3, 7, nodes)
    assert [d[5], d[6], k] == inclusion_proof(4, 7, nodes)
    assert [e_f, k] == inclusion_proof(6, 7, nodes)
    assert [d[2], d[3], a_b, low] == consistency_proof(3, 7, nodes)
    assert [low] == consistency_proof(4, 7, nodes)
    assert [e_f, d[6], k] == consistency_proof(6, 7, nodes)


def test_from_the_empty_tree_and_to_oneself_the_proof_is_empty() -> None:
    assert [] == consistency_proof(0, 5, nodes)
    assert [] == consistency_proof(5, 5, nodes)
    verify_consistency(0, 5, EMPTY_ROOT, mth(LEAVES[:5]), [])
    with pytest.raises(EvidenceBroken, match="two roots of one size"):
        verify_consistency(5, 5, mth(LEAVES[:5]), LEAVES[0], [])
    with pytest.raises(EvidenceBroken, match="must be empty"):
        verify_consistency(5, 5, mth(LEAVES[:5]), mth(LEAVES[:5]), [LEAVES[0]])


@given(st.data())
def test_a_proof_that_was_touched_does_not_hold(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, nodes)
    root = tree_hash(size, nodes)
    place = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = (int.from_bytes(proof[place], "big") ^ (1 << bit)).to_bytes(32, "big")

    for touched in ([*proof[:place], changed, *proof[place + 1 :]], proof[:-1], [*proof, root]):
        with pytest.raises(EvidenceBroken):
            verify_inclusion(index, size, LEAVES[index], touched, root)


@given(st.data())
def test_no_two_trees_are_consistent_unless_one_begins_with_the_other(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    old_size = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(old_size, size, nodes)
    forked = root_hash([*LEAVES[: old_size - 1], leaf_hash(b"forked")])

    with pytest.raises(EvidenceBroken):
        verify_consistency(old_size, size, forked, tree_hash(size, nodes), proof)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_proof(index, size, nodes)
    with pytest.raises(EvidenceBroken, match="cannot be in a tree"):
        verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


def test_a_tree_does_not_contain_a_larger_one() -> None:
    with pytest.raises(ValueError, match="does not contain"):
        consistency_proof(4, 3, nodes)
    with pytest.raises(EvidenceBroken, match="cannot contain"):
        verify_consistency(4, 3, LEAVES[0], LEAVES[1], [])


def test_hashes_of_another_length_are_no_proof() -> None:
    """31 + 33 bytes would hash like 32 + 32: lengths are looked at first."""
    left, right = LEAVES[0], LEAVES[1]

    with pytest.raises(EvidenceBroken, match="32 bytes"):
        verify_inclusion(0, 2, left + right[:1], [right[1:]], node_hash(left, right))
