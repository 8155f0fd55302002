"""Request ids: version 7 UUIDs (RFC 9562, section 5.7), made and kept by the client before it sends."""

import secrets
import time
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62


def new_request_id(*, now_ms: int | None = None) -> str:
    """A new id for a new operation. Sending an operation again, after a lost answer, takes the id it had.

    `now_ms` is for tests: milliseconds since 1970, UTC. The service refuses ids far from its own clock.
    """
    if now_ms is None:
        now_ms = time.time_ns() // 1_000_000
    # 48 bits of time, the version, 12 random bits, the variant, 62 random bits; drawn at once, it asks the system.
    high, low = divmod(secrets.randbits(74), 2**62)
    return str(UUID(int=(now_ms & (2**48 - 1)) << 80 | _VERSION | high << 64 | _VARIANT | low))
