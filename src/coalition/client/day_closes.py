"""What the outbox keeps of the closes of days: the request as it is sent, until it is answered, then its signature.

A close is on disk before it is sent, and is sent again after a crash with the same bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from coalition.client.outbox import Outbox
from coalition.v1.terminal_pb2 import CloseDayRequest

# `through_place` never goes back: a day without operations is closed through the same place.
ADD: Final = """
INSERT INTO closes (till, number, request_id, business_date, through_place, carried, statement_hash, signature, request,
    state, reason)
VALUES (?1, ?2, ?3, ?4,
    max(?5, (SELECT coalesce(max(through_place), 0) FROM closes WHERE till = ?1 AND state = 'RECORDED')),
    ?6, ?7, ?8, ?9, 'WAITS', '')
"""
WAITING: Final = "SELECT request FROM closes WHERE till = ? AND state = 'WAITS' ORDER BY place"
ANSWERED: Final = "UPDATE closes SET state = ?, reason = ?, request = x'' WHERE request_id = ?"
# Nothing was undone since they were counted: whoever undoes waits for the close.
FORGET_REVERSALS: Final = "DELETE FROM declined_reversals WHERE till = ?"


class CloseState(StrEnum):
    """Where a close stands."""

    WAITS = "WAITS"
    """Stored, perhaps sent, not answered."""
    RECORDED = "RECORDED"
    """In the journal, agreed or not: what it counted is counted."""
    REFUSED = "REFUSED"
    """Never recorded (`reason`): the next close counts all of it again."""


@dataclass(frozen=True, slots=True)
class NewClose:
    """A close that is made and not sent. `carried`: places up to `through_place` that it does not count."""

    request: CloseDayRequest
    statement_hash: bytes
    through_place: int
    carried: Sequence[int]


class DayCloses:
    """The closes in an outbox. Every method raises OutboxFailed."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def add(self, close: NewClose) -> None:
        """Store a close; then it may be sent."""
        request = close.request
        row = (
            *(self._outbox.till, request.number, request.request_id, request.business_date),
            *(close.through_place, json.dumps(list(close.carried))),
            *(close.statement_hash, request.signature, request.SerializeToString()),
        )
        await self._outbox.transact((ADD, row))

    async def waiting(self) -> CloseDayRequest | None:
        """The close that has no answer yet; there is at most one."""
        (rows,) = await self._outbox.transact((WAITING, (self._outbox.till,)))
        return CloseDayRequest.FromString(rows[0][0]) if rows else None

    async def recorded(self, request: CloseDayRequest) -> None:
        """The journal has it."""
        await self._outbox.transact(
            (ANSWERED, (CloseState.RECORDED.value, "", request.request_id)), (FORGET_REVERSALS, (self._outbox.till,))
        )

    async def refused(self, request: CloseDayRequest, reason: str) -> None:
        """The journal will never have it."""
        await self._outbox.transact((ANSWERED, (CloseState.REFUSED.value, reason, request.request_id)))
