"""Randomness as an argument. Never falls back to a weaker source."""

from collections.abc import Callable
from typing import TypeAlias

Random: TypeAlias = Callable[[int], bytes]
"""Answers that many unpredictable bytes, like `os.urandom`. A source that repeats itself breaks every seal."""


def draw(random: Random, size_bytes: int) -> bytes:
    """Exactly `size_bytes` bytes; a source that answers fewer is refused, as zero padding would make weak keys."""
    drawn = random(size_bytes)
    if len(drawn) != size_bytes:
        raise ValueError(f"random({size_bytes}) answered {len(drawn)} bytes")
    return drawn
