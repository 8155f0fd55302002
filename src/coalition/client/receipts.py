"""Sealed receipts: what shows, whatever becomes of the coalition's log, that it gave an answer to this terminal.

They are fetched, not carried by answers (docs/decisions/0017), and kept beside the operations. Whoever holds one finds
an operator who drops the sale: `coalition audit verify --receipts`, `coalition audit exchange`. They are not checked
here: a till has no trust file; who looks at them does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from coalition.client.errors import CallRefused, Declined
from coalition.client.outbox import Outbox
from coalition.v1.audit_pb2 import GetSealedReceiptRequest, GetSealedReceiptResponse

AT_ONCE: Final = 16
KEPT_MAX: Final = 100_000
"""120 MB; the oldest go first."""
LACKING: Final = """
SELECT o.request_id FROM operations o LEFT JOIN receipts r USING (request_id)
WHERE o.till = ? AND o.entry_id > 0 AND r.request_id IS NULL ORDER BY o.place
"""
ADD: Final = "INSERT OR IGNORE INTO receipts (entry_id, request_id, till, sealed) VALUES (?, ?, ?, ?)"
PRUNE: Final = "DELETE FROM receipts WHERE entry_id <= (SELECT entry_id FROM receipts ORDER BY 1 DESC LIMIT 1 OFFSET ?)"
ALL: Final = "SELECT sealed FROM receipts WHERE till = ? ORDER BY entry_id"
UNKNOWN: Final = "ENTRY_UNKNOWN"


@dataclass(frozen=True, slots=True)
class KeptReceipts:
    """How many were fetched now; `lost` are request_ids of answers that the coalition does not know any more.

    A lost one was answered, by an entry of the journal: ask the operator, and keep what the till has printed.
    """

    fetched: int
    lost: tuple[str, ...]


class Receipts:
    """The receipts in an outbox. `ask` sends a request until it is answered; `participant`: whose the requests are."""

    def __init__(self, outbox: Outbox, ask: Callable[[str, Any], Awaitable[Any]], participant: str) -> None:
        self._outbox = outbox
        self._ask = ask
        self._participant = participant

    async def keep(self) -> KeptReceipts:
        """Fetch and store the receipt of every operation that was answered and has none yet.

        Raises OutboxFailed, Declined, NotDone or how the last try failed; those stored until then stay.
        """
        (rows,) = await self._outbox.transact((LACKING, (self._outbox.till,)))
        wanted = [request_id for (request_id,) in rows]
        lost: list[str] = []
        for begin in range(0, len(wanted), AT_ONCE):
            part = wanted[begin : begin + AT_ONCE]
            found = await asyncio.gather(*(self._fetched(request_id) for request_id in part))
            lost += [request_id for request_id, answer in zip(part, found, strict=True) if answer is None]
            await self._outbox.transact(
                *(
                    (ADD, (answer.leaf.entry_id, request_id, self._outbox.till, answer.SerializeToString()))
                    for request_id, answer in zip(part, found, strict=True)
                    if answer is not None
                ),
                (PRUNE, (KEPT_MAX,)),
            )
        return KeptReceipts(len(wanted) - len(lost), tuple(lost))

    async def all(self) -> list[GetSealedReceiptResponse]:
        """Those that are kept, in the order of their entries. Raises OutboxFailed."""
        (rows,) = await self._outbox.transact((ALL, (self._outbox.till,)))
        return [GetSealedReceiptResponse.FromString(sealed) for (sealed,) in rows]

    async def _fetched(self, request_id: str) -> GetSealedReceiptResponse | None:
        request = GetSealedReceiptRequest(request_id=request_id, participant=self._participant)
        try:
            answer: GetSealedReceiptResponse = await self._ask("GetSealedReceipt", request)
        except (CallRefused, Declined) as refused:
            if refused.reason != UNKNOWN:
                raise
            return None
        return answer
