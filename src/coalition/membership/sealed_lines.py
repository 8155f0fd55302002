"""Members as lines of JSON, in boxes that only the holder of a key opens: how they are shown and how they leave."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

BOX_BYTES_MAX: Final = 4_000
"""Of plaintext: a sealed box holds 4,096 (keys/sealed_box.py)."""


def line_of(told: Mapping[str, Any]) -> bytes:
    """A member's line."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def boxed(lines: Sequence[bytes]) -> list[bytes]:
    """Lines, each with its end, cut into what fits a box: a member with much to tell may go over several."""
    told = b"".join(line + b"\n" for line in lines)
    return [told[begin : begin + BOX_BYTES_MAX] for begin in range(0, len(told), BOX_BYTES_MAX)]


def key_hash(public_key: bytes) -> str:
    """By what people name a key that is sealed to: SHA-256, hex."""
    return hashlib.sha256(public_key).hexdigest()
