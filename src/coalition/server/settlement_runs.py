"""The calls of SettlementService about runs and approvals: HQ prepares and aborts, approvers decide, all may look.

A participant's headquarters reads its own rows of a run. What an approver decides on is bound by its hash; that maker
and checkers differ is the rule's and the tables' (domain/approvals.py, migration 0020), not this file's.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import date
from typing import Any, Protocol

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.approvals import Approval, Decision, Office
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.pages import number_key, page_limit, page_token, text_key
from coalition.domain.reasons import Reason
from coalition.domain.settlement_runs import Run, RunParty, RunPolicy
from coalition.server import convert_settlement as convert
from coalition.server.acting import act_of, receipt, whole
from coalition.server.identity import HasProgramme, Role, caller
from coalition.server.own import own_codes
from coalition.server.request_ids import RequestIds
from coalition.v1 import settlement_pb2, settlement_pb2_grpc

Settled = tuple[Run, list[str]]
"""A run, and its windows as people name them: monthly/2017-01."""


class RunReads(Protocol):
    """Blocking reads. `within`: participant codes whose rows may be told, None for every row."""

    def runs(self, before: int | None, limit: int) -> list[Settled]: ...

    def run(self, run_id: int) -> Settled | None: ...

    def parties(self, run_id: int, after: str | None, limit: int, within: Collection[str] | None) -> list[RunParty]: ...

    def inbox(self, approver: str | None, after: int, limit: int) -> list[Approval]: ...


class RunOrders(Protocol):
    """Orders, each exactly once. Blocking. Refused: RUN_UNKNOWN, RUN_STATE_CONFLICT, and what an approval may meet."""

    def prepare(self, act: Act, calendar: str | None, policy: RunPolicy, execution_date: date | None) -> ActAnswer:
        """The answer holds `run_id` and `approval_id`."""

    def abort(self, act: Act, run_id: int, *, rest: bool) -> ActAnswer: ...

    def export(self, act: Act, run_id: int) -> tuple[ActAnswer, dict[str, bytes]]:
        """The answer holds `uncovered_minor`; the files by their names."""

    def import_result(self, act: Act, file: bytes) -> ActAnswer:
        """The answer holds `posted`, `known_before`, `advanced_minor` and `adjusted`."""

    def decide(self, act: Act, approval_id: int, content_hash: bytes, decision: Decision) -> ActAnswer:
        """The answer holds the approval's `state`."""

    def set_offices(self, act: Act, approver: str, offices: list[Office]) -> ActAnswer: ...

    def propose_write_off(self, act: Act, participant: str, amount_minor: int) -> ActAnswer:
        """The answer holds the id of the `approval` asked for."""

    def write_off(self, act: Act, participant: str, amount_minor: int) -> ActAnswer: ...


class RunCalls(settlement_pb2_grpc.SettlementServiceServicer):
    """Reads and orders block, so each runs in a worker thread."""

    def __init__(self, reads: RunReads, orders: RunOrders, programme: HasProgramme, request_ids: RequestIds) -> None:
        self._runs = reads
        self._run_orders = orders
        self._programme = programme
        self._request_ids = request_ids

    async def PrepareRun(
        self, request: settlement_pb2.PrepareRunRequest, context: Any
    ) -> settlement_pb2.PrepareRunResponse:
        policy = RunPolicy(request.minimum_minor, request.advance_limit_minor)
        day = day_of(request.execution_date)
        if request.currency_code not in {"", self._currency}:
            raise Refused(Reason.CURRENCY_UNKNOWN, "currency_code")
        act = await act_of(caller(context), Kind.RUN_PREPARED, request, self._request_ids)
        answer = await asyncio.to_thread(self._run_orders.prepare, act, request.calendar or None, policy, day)
        run, windows = await self._run(whole(answer, "run_id"))
        return settlement_pb2.PrepareRunResponse(
            run=convert.run_message(run, windows, self._currency, state="PREPARED"),
            approval_id=whole(answer, "approval_id"),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def AbortRun(self, request: settlement_pb2.AbortRunRequest, context: Any) -> settlement_pb2.AbortRunResponse:
        act = await act_of(caller(context), Kind.RUN_ABORTED, request, self._request_ids)
        answer = await asyncio.to_thread(lambda: self._run_orders.abort(act, request.run_id, rest=request.rest))
        return settlement_pb2.AbortRunResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def ProposeWriteOff(self, request: Any, context: Any) -> settlement_pb2.ProposeWriteOffResponse:
        act = await act_of(caller(context), Kind.WRITE_OFF_PROPOSED, request, self._request_ids)
        answer = await asyncio.to_thread(
            self._run_orders.propose_write_off, act, request.participant, request.amount_minor
        )
        return settlement_pb2.ProposeWriteOffResponse(
            approval_id=whole(answer, "approval"),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def WriteOff(self, request: Any, context: Any) -> settlement_pb2.WriteOffResponse:
        act = await act_of(caller(context), Kind.WRITE_OFF, request, self._request_ids)
        answer = await asyncio.to_thread(self._run_orders.write_off, act, request.participant, request.amount_minor)
        return settlement_pb2.WriteOffResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def ExportRun(
        self, request: settlement_pb2.ExportRunRequest, context: Any
    ) -> settlement_pb2.ExportRunResponse:
        act = await act_of(caller(context), Kind.INSTRUCTIONS_EXPORTED, request, self._request_ids)
        answer, files = await asyncio.to_thread(self._run_orders.export, act, request.run_id)
        return settlement_pb2.ExportRunResponse(
            files=[convert.file_message(f"run-{request.run_id}-{name}", files[name]) for name in sorted(files)],
            uncovered_minor=whole(answer, "uncovered_minor"),
            currency_code=self._currency,
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ImportBankResult(
        self, request: settlement_pb2.ImportBankResultRequest, context: Any
    ) -> settlement_pb2.ImportBankResultResponse:
        act = await act_of(caller(context), Kind.BANK_RESULT_IMPORTED, request, self._request_ids)
        answer = await asyncio.to_thread(self._run_orders.import_result, act, request.file)
        adjusted = answer.answer["adjusted"]
        return settlement_pb2.ImportBankResultResponse(
            posted_count=whole(answer, "posted"),
            known_count=whole(answer, "known_before"),
            advanced_minor=whole(answer, "advanced_minor"),
            currency_code=self._currency,
            adjusted=[str(sentence) for sentence in adjusted] if isinstance(adjusted, list) else [],
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ListRuns(self, request: settlement_pb2.ListRunsRequest, context: Any) -> settlement_pb2.ListRunsResponse:
        scope, limit = "runs", page_limit(request.page_size)
        rows = await asyncio.to_thread(self._runs.runs, number_key(scope, request.page_token), limit + 1)
        return settlement_pb2.ListRunsResponse(
            runs=[convert.run_message(run, windows, self._currency) for run, windows in rows[:limit]],
            next_page_token=next_token(scope, rows, limit, lambda row: row[0].run_id),
        )

    async def ListRunParties(
        self, request: settlement_pb2.ListRunPartiesRequest, context: Any
    ) -> settlement_pb2.ListRunPartiesResponse:
        await self._run(request.run_id)
        scope, limit = f"run-parties/{request.run_id}", page_limit(request.page_size)
        own = own_codes(caller(context), self._programme.current)
        after = text_key(scope, request.page_token)
        rows = await asyncio.to_thread(self._runs.parties, request.run_id, after, limit + 1, own)
        return settlement_pb2.ListRunPartiesResponse(
            parties=[convert.run_party_message(row, self._currency) for row in rows[:limit]],
            next_page_token=next_token(scope, rows, limit, lambda row: row.code),
        )

    async def ListApprovals(
        self, request: settlement_pb2.ListApprovalsRequest, context: Any
    ) -> settlement_pb2.ListApprovalsResponse:
        present = caller(context)
        approver = present.actor if present.role is Role.APPROVER else None
        scope, limit = f"approvals/{approver or ''}", page_limit(request.page_size)
        after = number_key(scope, request.page_token) or 0
        rows = await asyncio.to_thread(self._runs.inbox, approver, after, limit + 1)
        return settlement_pb2.ListApprovalsResponse(
            approvals=[convert.approval_message(row, self._currency) for row in rows[:limit]],
            next_page_token=next_token(scope, rows, limit, lambda row: row.approval_id),
        )

    async def DecideApproval(
        self, request: settlement_pb2.DecideApprovalRequest, context: Any
    ) -> settlement_pb2.DecideApprovalResponse:
        act = await act_of(caller(context), Kind.APPROVAL_DECIDED, request, self._request_ids)
        digest, decision = bytes.fromhex(request.content_hash), convert.decision_of(request.decision)
        answer = await asyncio.to_thread(self._run_orders.decide, act, request.approval_id, digest, decision)
        return settlement_pb2.DecideApprovalResponse(
            state=settlement_pb2.ApprovalState.Value(f"APPROVAL_STATE_{answer.answer['state']}"),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def SetOffices(
        self, request: settlement_pb2.SetOfficesRequest, context: Any
    ) -> settlement_pb2.SetOfficesResponse:
        act = await act_of(caller(context), Kind.OFFICES_SET, request, self._request_ids)
        offices = [convert.office_of(office) for office in request.offices]
        answer = await asyncio.to_thread(self._run_orders.set_offices, act, request.approver, offices)
        return settlement_pb2.SetOfficesResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def _run(self, run_id: int) -> Settled:
        found = await asyncio.to_thread(self._runs.run, run_id)
        if found is None:
            raise Refused(Reason.RUN_UNKNOWN, "run_id", {"run_id": str(run_id)})
        return found

    @property
    def _currency(self) -> str:
        return self._programme.current.scheme.currency_code


def day_of(text: str) -> date | None:
    """A date on the wire, None where none was given. Raises Refused(FIELD_INVALID) for a day that does not exist."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, "execution_date", {"expected": "a day that exists, YYYY-MM-DD"}) from None


def next_token(scope: str, rows: list[Any], limit: int, key: Callable[[Any], str | int]) -> str:
    """The token behind the last row of a page; empty on the last page."""
    return page_token(scope, key(rows[limit - 1])) if len(rows) > limit else ""
