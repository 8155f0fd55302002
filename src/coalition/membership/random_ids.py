"""Random ids from an injected source: they say nothing about when or for whom they were made."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

Random: TypeAlias = Callable[[int], bytes]
"""Answers that many unpredictable bytes, like `os.urandom`."""


def random_uuid(random: Random) -> UUID:
    """A version 4 UUID."""
    return UUID(bytes=random(16), version=4)


def random_number(random: Random) -> int:
    """A wallet's or card's number, 1 to 2**62 - 1: positive in a bigint, and no two alike in a coalition's lifetime."""
    return (int.from_bytes(random(8), "big") >> 2) or 1
