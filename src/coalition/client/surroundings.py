"""What a terminal takes from the world: time, sleep and chance. The real ones by default; tests hand in their own."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _draw() -> float:
    return secrets.randbits(32) / 2**32


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`monotonic_s` measures waiting, `wall_ms` dates operations (milliseconds since 1970), `draw` gives [0, 1)."""

    monotonic_s: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = _wall_ms
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[], float] = _draw
