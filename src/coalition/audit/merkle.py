"""The Merkle tree of RFC 6962 section 2.1: leaf hashes, node hashes, the root of a list.

A leaf is SHA-256(0x00 || data), a node SHA-256(0x01 || left || right); a list of n leaves splits at the largest power
of two below n. No database, no key.
"""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; the hash of nothing for an empty list.

    Pairing neighbours level by level, an odd last node rising unchanged, gives the same tree as the RFC's recursion.
    That holds too where the last hash stands for fewer leaves than each of the others.
    """
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    sha256 = hashlib.sha256  # node_hash, without a call a node: a third of the whole
    while len(level) > 1:
        paired = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]
