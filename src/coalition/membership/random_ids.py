"""Random ids from an injected source: they say nothing about when or for whom they were made."""

from collections.abc import Callable
from datetime import datetime
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


def random_request_id(random: Random, time: datetime) -> UUID:
    """A version 7 UUID of `time` (RFC 9562, 5.7), for an act that the house begins by itself."""
    milliseconds = int(time.timestamp() * 1_000)
    high, low = divmod(int.from_bytes(random(10), "big") >> 6, 1 << 62)
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
