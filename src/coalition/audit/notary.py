"""The notary: seals a batch with one leaf an entry, their Merkle root and one signature, before it is committed."""

from collections.abc import Sequence
from datetime import datetime

from coalition.audit.leaf import leaves
from coalition.audit.merkle import root_hash
from coalition.domain.journal import Entry, Seal, Sign


def batch_message(number: int, count: int, root: bytes) -> bytes:
    """What is signed for a batch: a fixed label, its number, how many entries it has, their root."""
    return b"coalition batch v1\n" + f"{number}\n{count}\n".encode() + root


class BatchNotary:
    """Signs with the key handed in; holds no key itself."""

    def __init__(self, sign: Sign) -> None:
        self._sign = sign

    def seal(self, number: int, time: datetime, entries: Sequence[Entry]) -> Seal:
        hashes = leaves(time, entries)
        root = root_hash(hashes)
        message = batch_message(number, len(entries), root)
        return Seal(hashes, root, lambda: self._sign(message))
