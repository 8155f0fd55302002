"""AuditService: the journal as it was written, in pages, and the audit log. No personal field is in either."""

import asyncio
from typing import Any, Protocol

from coalition.domain.errors import Refused
from coalition.domain.ids import NUMBER_SHIFT
from coalition.domain.journal_records import BatchRecord, JournalRecord
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.domain.reasons import Reason
from coalition.server import convert_audit as convert
from coalition.server.audit_log import AuditLog
from coalition.server.audit_state import AuditState
from coalition.server.identity import Caller, HasProgramme, caller
from coalition.server.own import acting_for, check_among, own_codes
from coalition.server.request_ids import parse_request_id
from coalition.v1 import audit_pb2, audit_pb2_grpc

NUMBER_MAX = 2**40
"""Far above every batch number; entry ids of higher ones would not fit 64 bits."""


class AuditReads(Protocol):
    """Blocking reads of what is decided, in journal order."""

    def batches(self, first: int, last: int | None, limit: int) -> list[BatchRecord]: ...

    def entries(self, after: int, last: int | None, limit: int) -> list[JournalRecord]: ...


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """A page's messages are made in the worker thread too: a thousand entries take longer than an event loop may."""

    def __init__(self, reads: AuditReads, log: AuditLog, state: AuditState, programme: HasProgramme) -> None:
        self._reads = reads
        self._log = log
        self._state = state
        self._programme = programme

    async def ListBatches(self, request: audit_pb2.ListBatchesRequest, context: Any) -> audit_pb2.ListBatchesResponse:
        return await asyncio.to_thread(self._batches, request)

    async def ListJournal(self, request: audit_pb2.ListJournalRequest, context: Any) -> audit_pb2.ListJournalResponse:
        return await asyncio.to_thread(self._journal, request)

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Any
    ) -> audit_pb2.GetCheckpointResponse:
        return await asyncio.to_thread(self._log.checkpoint, request.size)

    async def ListCheckpoints(
        self, request: audit_pb2.ListCheckpointsRequest, context: Any
    ) -> audit_pb2.ListCheckpointsResponse:
        return await asyncio.to_thread(self._log.checkpoints, request)

    async def GetTile(self, request: audit_pb2.GetTileRequest, context: Any) -> audit_pb2.GetTileResponse:
        return await asyncio.to_thread(self._log.tile, request)

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Any
    ) -> audit_pb2.GetInclusionProofResponse:
        return await asyncio.to_thread(self._log.inclusion, request)

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Any
    ) -> audit_pb2.GetConsistencyProofResponse:
        return await asyncio.to_thread(self._log.consistency, request)

    async def GetLeaves(self, request: audit_pb2.GetLeavesRequest, context: Any) -> audit_pb2.GetLeavesResponse:
        return await asyncio.to_thread(self._log.leaves, request)

    async def GetNames(self, request: audit_pb2.GetNamesRequest, context: Any) -> audit_pb2.GetNamesResponse:
        return await asyncio.to_thread(self._log.names)

    async def GetSealedReceipt(
        self, request: audit_pb2.GetSealedReceiptRequest, context: Any
    ) -> audit_pb2.GetSealedReceiptResponse:
        return await asyncio.to_thread(self._sealed, request, caller(context))

    async def ListState(self, request: audit_pb2.ListStateRequest, context: Any) -> audit_pb2.ListStateResponse:
        return await asyncio.to_thread(self._state.page, request)

    def _sealed(
        self, request: audit_pb2.GetSealedReceiptRequest, present: Caller
    ) -> audit_pb2.GetSealedReceiptResponse:
        programme = self._programme.current
        own = own_codes(present, programme)
        if request.WhichOneof("entry") == "request_id":
            code = request.participant or acting_for(present, programme, "", "participant")
            check_among(own, code, "participant")
            participant = programme.participant_by_code.get(code)
            if participant is None:
                raise Refused(Reason.ENTRY_UNKNOWN, "participant")
            return self._log.sealed(parse_request_id(request.request_id), participant.participant_id)
        ids = None if own is None else {programme.participant_by_code[code].participant_id for code in own}
        return self._log.sealed_entry(request.entry_id, ids)

    def _batches(self, request: audit_pb2.ListBatchesRequest) -> audit_pb2.ListBatchesResponse:
        first, last = _bounds(request)
        scope, limit = f"batches/{first}/{last}", page_limit(request.page_size)
        after = number_key(scope, request.page_token)
        rows = self._reads.batches(first if after is None else after + 1, last, limit + 1)
        return audit_pb2.ListBatchesResponse(
            batches=[convert.batch_message(row) for row in rows[:limit]],
            next_page_token=page_token(scope, rows[limit - 1].number) if len(rows) > limit else "",
        )

    def _journal(self, request: audit_pb2.ListJournalRequest) -> audit_pb2.ListJournalResponse:
        first, last = _bounds(request)
        scope, limit = f"journal/{first}/{last}", page_limit(request.page_size)
        after = number_key(scope, request.page_token)
        rows = self._reads.entries((first << NUMBER_SHIFT) - 1 if after is None else after, last, limit + 1)
        currency_code = self._programme.current.scheme.currency_code
        return audit_pb2.ListJournalResponse(
            entries=[convert.entry_message(row, currency_code) for row in rows[:limit]],
            next_page_token=page_token(scope, rows[limit - 1].entry_id) if len(rows) > limit else "",
        )


def _bounds(request: audit_pb2.ListBatchesRequest | audit_pb2.ListJournalRequest) -> tuple[int, int | None]:
    """First and last number asked for; None: to the newest. Raises Refused(FIELD_INVALID)."""
    if request.first_number > NUMBER_MAX:
        raise Refused(Reason.FIELD_INVALID, "first_number", {"expected": f"0 to {NUMBER_MAX}"})
    if request.last_number > NUMBER_MAX:
        raise Refused(Reason.FIELD_INVALID, "last_number", {"expected": f"0 to {NUMBER_MAX}"})
    return max(request.first_number, 1), request.last_number or None
