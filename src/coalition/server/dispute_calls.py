"""The calls about disputes, for SettlementService: a merchant complains, the operator decides, both look.

Carried out by what is handed in as `desk`, under a database role that may post corrections.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Protocol
from uuid import UUID

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.disputes import Dispute, DisputeState
from coalition.domain.kinds import Kind
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.server.acting import act_of, receipt
from coalition.server.convert import timestamp_of
from coalition.server.identity import Caller, HasProgramme
from coalition.server.own import acting_for, own_codes
from coalition.server.request_ids import RequestIds, parse_request_id
from coalition.v1 import settlement_pb2

SCOPE = "disputes"


class DisputeDesk(Protocol):
    """Each act exactly once. Blocking. `within`: participant codes whose disputes are the caller's; None for all."""

    def open(
        self,
        act: Act,
        entry_id: int,
        complainant: str,
        against: str,
        amount_minor: int,
        evidence: str,
        evidence_sha256: bytes,
    ) -> ActAnswer: ...

    def withdraw(self, act: Act, dispute_id: UUID, within: Collection[str] | None) -> ActAnswer: ...

    def propose(self, act: Act, dispute_id: UUID, awarded_minor: int, note: str) -> ActAnswer:
        """The answer holds the id of the `approval` asked for."""

    def settle(self, act: Act, dispute_id: UUID) -> ActAnswer:
        """The answer holds the dispute's `state`; its entry is the correction."""

    def page(
        self, after: int, limit: int, state: DisputeState | None, within: Collection[str] | None
    ) -> list[Dispute]: ...


class DisputeCalls:
    """Acts and reads block, so each runs in a worker thread."""

    def __init__(self, desk: DisputeDesk, programme: HasProgramme, request_ids: RequestIds) -> None:
        self._desk = desk
        self._programme = programme
        self._request_ids = request_ids

    async def open(self, request: Any, present: Caller) -> settlement_pb2.OpenDisputeResponse:
        """For headquarters in its own name, for the operator in anybody's."""
        complainant = acting_for(present, self._programme.current, request.complainant, "complainant")
        act = await act_of(present, Kind.DISPUTE_OPENED, request, self._request_ids)
        answer = await asyncio.to_thread(
            self._desk.open,
            act,
            request.entry_id,
            complainant,
            request.against,
            request.amount_minor,
            request.evidence,
            request.evidence_sha256,
        )
        return settlement_pb2.OpenDisputeResponse(
            dispute_id=str(answer.answer["dispute"]), receipt=_receipt(act, answer)
        )

    async def withdraw(self, request: Any, present: Caller) -> settlement_pb2.WithdrawDisputeResponse:
        """For whoever complains."""
        within = own_codes(present, self._programme.current)
        act = await act_of(present, Kind.DISPUTE_WITHDRAWN, request, self._request_ids)
        answer = await asyncio.to_thread(self._desk.withdraw, act, _id(request), within)
        return settlement_pb2.WithdrawDisputeResponse(receipt=_receipt(act, answer))

    async def propose(self, request: Any, present: Caller) -> settlement_pb2.ProposeDisputeResponse:
        """For the operator, who is not who opened it."""
        act = await act_of(present, Kind.DISPUTE_PROPOSED, request, self._request_ids)
        answer = await asyncio.to_thread(self._desk.propose, act, _id(request), request.awarded_minor, request.note)
        approval = answer.answer["approval"]
        return settlement_pb2.ProposeDisputeResponse(
            approval_id=approval if isinstance(approval, int) else 0, receipt=_receipt(act, answer)
        )

    async def settle(self, request: Any, present: Caller) -> settlement_pb2.SettleDisputeResponse:
        """For the operator, once it is approved."""
        act = await act_of(present, Kind.ADJUSTMENT, request, self._request_ids)
        answer = await asyncio.to_thread(self._desk.settle, act, _id(request))
        return settlement_pb2.SettleDisputeResponse(
            state=_state(DisputeState(answer.answer["state"])), receipt=_receipt(act, answer)
        )

    async def page(self, request: Any, present: Caller) -> settlement_pb2.ListDisputesResponse:
        """Those that the caller is a side of; all for the operator and auditors."""
        within, limit = own_codes(present, self._programme.current), page_limit(request.page_size)
        after = number_key(SCOPE, request.page_token) or 0
        name = settlement_pb2.DisputeState.Name(request.state).removeprefix("DISPUTE_STATE_")
        state = DisputeState(name) if request.state else None
        rows = await asyncio.to_thread(self._desk.page, after, limit + 1, state, within)
        currency_code = self._programme.current.scheme.currency_code
        return settlement_pb2.ListDisputesResponse(
            disputes=[dispute_message(row, currency_code) for row in rows[:limit]],
            next_page_token=page_token(SCOPE, rows[limit - 1].number) if len(rows) > limit else "",
        )


def dispute_message(dispute: Dispute, currency_code: str) -> settlement_pb2.Dispute:
    """A dispute; what has not happened is absent, empty or 0."""
    return settlement_pb2.Dispute(
        dispute_id=str(dispute.dispute_id),
        entry_id=dispute.entry_id,
        complainant=dispute.complainant,
        against=dispute.against,
        amount_minor=dispute.amount_minor,
        awarded_minor=dispute.awarded_minor,
        currency_code=currency_code,
        evidence=dispute.evidence,
        evidence_sha256=dispute.evidence_sha256,
        state=_state(dispute.state),
        open_time=timestamp_of(dispute.open_time),
        note=dispute.note,
        correcting_entry_id=dispute.correcting_entry_id or 0,
    )


def _state(state: DisputeState) -> settlement_pb2.DisputeState.ValueType:
    return settlement_pb2.DisputeState.Value(f"DISPUTE_STATE_{state.value}")


def _id(request: Any) -> UUID:
    return parse_request_id(request.dispute_id, "dispute_id")


def _receipt(act: Act, answer: ActAnswer) -> Any:
    return receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
