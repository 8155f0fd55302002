"""Inclusion and consistency proofs of RFC 6962 section 2.1, made from a tree's nodes and verified without it.

A proof is a list of 32-byte hashes, leaf's side first. Trees are never held here: whoever makes a proof is asked for
the nodes it needs. Verifying raises EvidenceBroken and says which of its two sides does not hold.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from coalition.audit.errors import EvidenceBroken
from coalition.audit.merkle import EMPTY_ROOT, node_hash

HASH_BYTES: Final = 32
PROOF_HASHES_MAX: Final = 64  # of a tree of up to 2**63 leaves

Nodes: TypeAlias = Callable[[int, int], bytes]
"""The hash over leaves `index << level` to `(index + 1) << level`: the subtree at (level, index), all of it there."""


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962, 2.1.1).

    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(subtree_hash(middle, end, nodes))
            end = middle
        else:
            path.append(subtree_hash(begin, middle, nodes))
            begin = middle
    return path[::-1]


def consistency_proof(old_size: int, size: int, nodes: Nodes) -> list[bytes]:
    """That the tree of `size` leaves begins with the tree of `old_size` (RFC 6962, 2.1.2); empty from size 0.

    Raises ValueError unless 0 <= old_size <= size.
    """
    if not 0 <= old_size <= size:
        raise ValueError(f"a tree of {size} leaves does not contain one of {old_size}")
    if old_size in {0, size}:
        return []
    proof: list[bytes] = []
    begin, end = 0, size
    while end != old_size:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            proof.append(subtree_hash(middle, end, nodes))
            end = middle
        else:
            proof.append(subtree_hash(begin, middle, nodes))
            begin = middle
    if begin:  # the old tree's root itself is known to whoever verifies
        proof.append(subtree_hash(begin, end, nodes))
    return proof[::-1]


def tree_hash(size: int, nodes: Nodes) -> bytes:
    """The root of the first `size` leaves."""
    return subtree_hash(0, size, nodes) if size else EMPTY_ROOT


def subtree_hash(begin: int, end: int, nodes: Nodes) -> bytes:
    """The hash over the leaves from `begin` to before `end`; `begin` is a multiple of the subtree's width."""
    width = end - begin
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return nodes(level, begin >> level)
    middle = begin + _split(width)
    return node_hash(subtree_hash(begin, middle, nodes), subtree_hash(middle, end, nodes))


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise EvidenceBroken unless `proof` leads from `leaf` to the root of `size` leaves (RFC 9162, 2.1.3)."""
    if not 0 <= index < size:
        raise EvidenceBroken(f"leaf {index} cannot be in a tree of {size}")
    _check_hashes(proof)
    position, last, reached = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise EvidenceBroken("the inclusion proof is longer than the tree is high")
        if position & 1 or position == last:
            reached = node_hash(sibling, reached)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            reached = node_hash(reached, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise EvidenceBroken("the inclusion proof is shorter than the tree is high")
    if reached != root:
        raise EvidenceBroken(f"the inclusion proof of leaf {index} leads to another root")


def verify_consistency(old_size: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise EvidenceBroken unless `proof` shows that the newer tree begins with the older one (RFC 9162, 2.1.4)."""
    if not 0 <= old_size <= size:
        raise EvidenceBroken(f"a tree of {size} leaves cannot contain one of {old_size}")
    _check_hashes(proof)
    if old_size in {0, size}:
        _verify_trivial(old_size, size, old_root, root, proof)
        return
    hashes = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not hashes:
        raise EvidenceBroken("the consistency proof is missing")
    position, last = old_size - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise EvidenceBroken("the consistency proof is longer than the tree is high")
        if position & 1 or position == last:  # the sibling is left of both trees
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise EvidenceBroken("the consistency proof is shorter than the tree is high")
    if older != old_root:
        raise EvidenceBroken(f"the consistency proof does not contain the older root, of {old_size} leaves")
    if newer != root:
        raise EvidenceBroken(f"the consistency proof does not lead to the newer root, of {size} leaves")


def _verify_trivial(old_size: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """From the empty tree, and to oneself: nothing is left to prove but that the roots are what they must be."""
    if proof:
        raise EvidenceBroken("the consistency proof must be empty here")
    if old_size == size and old_root != root:
        raise EvidenceBroken(f"two roots of one size, {size}")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise EvidenceBroken("the empty tree has another root")


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1


def _check_hashes(proof: Sequence[bytes]) -> None:
    if len(proof) > PROOF_HASHES_MAX or any(len(each) != HASH_BYTES for each in proof):
        raise EvidenceBroken(f"a proof is at most {PROOF_HASHES_MAX} hashes of {HASH_BYTES} bytes")
