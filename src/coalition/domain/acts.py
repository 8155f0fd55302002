"""Acts: writes that move no value (a participant joins, a card is frozen), each an entry of the journal too."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from coalition.domain.kinds import Kind

JSON: TypeAlias = "str | int | bool | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class Act:
    """Who asks for what, once: `request_id` is made by the client, unique per acting participant."""

    kind: Kind
    participant_id: int
    request_id: UUID
    body_hash: bytes
    actor: str


@dataclass(frozen=True, slots=True)
class ActAnswer:
    """What became of an act; `replayed` says that it had been done before."""

    entry_id: int
    time: datetime
    replayed: bool
    answer: dict[str, JSON]


# Made once: json.dumps makes one a call, which costs as much as a small value.
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: "JSON | Mapping[str, JSON]") -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8."""
    return _ENCODER.encode(value).encode()


def body_hash(kind: Kind, body: Mapping[str, JSON]) -> bytes:
    """SHA-256 of what the act means, so that a reused request_id with another meaning is noticed."""
    return hashlib.sha256(kind.name.encode() + b"\n" + canonical(body)).digest()
