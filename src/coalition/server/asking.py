"""What every command has of its request, whatever it asks for: who asks, where, under which id, and what it names."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from coalition.domain.errors import Refused
from coalition.domain.pins import SealedPin
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.server.identity import Caller
from coalition.server.presented import Presenting
from coalition.server.request_ids import parse_request_id
from coalition.server.seats import Office, Seat
from coalition.v1 import operations_pb2

Token: TypeAlias = Callable[[Presenting | operations_pb2.UploadRequest], bytes]
"""Hashes what a request presents (presented.py)."""


class Typed(Protocol):
    """A request that a PIN may come with, typed at the terminal it names or is sent by."""

    @property
    def sealed_pin(self) -> bytes: ...

    @property
    def terminal(self) -> operations_pb2.TerminalRef: ...


@dataclass(slots=True)
class Asking:
    """One request under way to its command; `token` hashes what is presented."""

    place: Seat | Office
    caller: Caller
    programme: Programme
    token: Token
    request_id: UUID
    occurred_time: datetime | None

    def fields(self) -> dict[str, Any]:
        """As a command's own."""
        participant_id, store_id, terminal_id = self.place
        return {
            "participant_id": participant_id,
            "store_id": store_id,
            "terminal_id": terminal_id,
            "actor": self.caller.actor,
            "request_id": self.request_id,
            "occurred_time": self.occurred_time,
        }

    def issuer_id(self, code: str) -> int:
        """Whose value is meant: by default one's own. Raises Refused(PARTICIPANT_UNKNOWN)."""
        if not code:
            return self.place.participant_id
        issuer = self.programme.participant_by_code.get(code)
        if issuer is None:
            raise Refused(Reason.PARTICIPANT_UNKNOWN, "issuer")
        return issuer.participant_id

    def pin(self, request: Typed) -> SealedPin | None:
        """The PIN as it was sealed, with the terminal it was typed at; `seat_of` has checked who that is."""
        if not request.sealed_pin:
            return None
        named = request.terminal
        place = (named.participant, named.store, named.terminal) if named.terminal else self.caller.elements
        return SealedPin(request.sealed_pin, "/".join(place))


def named(request_id: str, entry_id: int, field: str = "original_request_id") -> dict[str, Any]:
    """An earlier operation, by its request id or by its entry, as a command's own fields. `field` is the message's."""
    return {
        "original_request_id": parse_request_id(request_id, field) if request_id else None,
        "original_entry_id": entry_id or None,
    }
