"""A leaf as the checks see it: its place in the log, what its bytes say, and the entry they name."""

from typing import NamedTuple

from coalition.audit.leaf import LeafData, Payload


class Opened(NamedTuple):
    """`at` is the place in the whole log; `actor` None where the bundle does not tell who it was."""

    at: int
    leaf: LeafData
    entry: Payload
    actor: str | None
