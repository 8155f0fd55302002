"""The calls about what members owe, for SettlementService: a counter takes a payment, its bearer gives up, both look.

Carried out by what is handed in as `desk`, under a database role that may post claims.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Protocol

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.kinds import Kind
from coalition.domain.member_debts import MemberDebt
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.domain.programme import Programme
from coalition.server.acting import act_of, receipt, whole
from coalition.server.identity import Caller, HasProgramme
from coalition.server.own import acting_for, own_codes
from coalition.server.request_ids import RequestIds
from coalition.v1 import member_debts_pb2

SCOPE = "debts"


class DebtDesk(Protocol):
    """Each act exactly once. Blocking. `within`: participant codes whose debts are the caller's; None for all."""

    def repay(
        self, act: Act, entry_id: int, amount_minor: int, participant: str, reference: str, *, back: bool
    ) -> ActAnswer:
        """The answer holds `owed_minor`."""

    def propose_write_off(
        self, act: Act, entry_id: int, amount_minor: int, within: Collection[str] | None
    ) -> ActAnswer:
        """The answer holds the id of the `approval` asked for."""

    def write_off(self, act: Act, entry_id: int, amount_minor: int, within: Collection[str] | None) -> ActAnswer:
        """The answer holds `owed_minor`."""

    def page(
        self, after: int, limit: int, bearer: str, within: Collection[str] | None, *, settled: bool
    ) -> list[MemberDebt]: ...


class DebtCalls:
    """Acts and reads block, so each runs in a worker thread."""

    def __init__(self, desk: DebtDesk, programme: HasProgramme, request_ids: RequestIds) -> None:
        self._desk = desk
        self._programme = programme
        self._request_ids = request_ids

    async def repay(self, request: Any, present: Caller) -> member_debts_pb2.RepayDebtResponse:
        """For headquarters in its own name, for the operator in anybody's."""
        taker = acting_for(present, self._programme.current, request.participant, "participant")
        act = await act_of(present, Kind.DEBT_REPAID, request, self._request_ids)
        answer = await asyncio.to_thread(
            lambda: self._desk.repay(
                act, request.entry_id, request.amount_minor, taker, request.reference, back=request.back
            )
        )
        return member_debts_pb2.RepayDebtResponse(
            owed_minor=whole(answer, "owed_minor"), currency_code=self._currency, receipt=told(act, answer)
        )

    async def propose_write_off(self, request: Any, present: Caller) -> member_debts_pb2.ProposeDebtWriteOffResponse:
        """For who bears it."""
        within = own_codes(present, self._programme.current)
        act = await act_of(present, Kind.DEBT_WRITE_OFF_PROPOSED, request, self._request_ids)
        answer = await asyncio.to_thread(
            self._desk.propose_write_off, act, request.entry_id, request.amount_minor, within
        )
        return member_debts_pb2.ProposeDebtWriteOffResponse(
            approval_id=whole(answer, "approval"), receipt=told(act, answer)
        )

    async def write_off(self, request: Any, present: Caller) -> member_debts_pb2.WriteOffDebtResponse:
        """For who bears it, once it is approved."""
        within = own_codes(present, self._programme.current)
        act = await act_of(present, Kind.DEBT_WRITTEN_OFF, request, self._request_ids)
        answer = await asyncio.to_thread(self._desk.write_off, act, request.entry_id, request.amount_minor, within)
        return member_debts_pb2.WriteOffDebtResponse(
            owed_minor=whole(answer, "owed_minor"), currency_code=self._currency, receipt=told(act, answer)
        )

    async def page(self, request: Any, present: Caller) -> member_debts_pb2.ListDebtsResponse:
        """Those that the caller bears or sold; all for the operator and auditors."""
        programme, limit = self._programme.current, page_limit(request.page_size)
        within, after = own_codes(present, programme), number_key(SCOPE, request.page_token) or 0
        rows = await asyncio.to_thread(
            lambda: self._desk.page(after, limit + 1, request.bearer, within, settled=request.settled)
        )
        return member_debts_pb2.ListDebtsResponse(
            debts=[debt_message(row, programme) for row in rows[:limit]],
            next_page_token=page_token(SCOPE, rows[limit - 1].entry_id) if len(rows) > limit else "",
        )

    @property
    def _currency(self) -> str:
        return self._programme.current.scheme.currency_code


def debt_message(debt: MemberDebt, programme: Programme) -> member_debts_pb2.Debt:
    """A debt, participants by their codes."""
    return member_debts_pb2.Debt(
        entry_id=debt.entry_id,
        business_date=debt.business_date.isoformat(),
        acquirer=programme.participants[debt.acquirer_id].code,
        bearer=programme.participants[debt.bearer_id].code,
        shortfall_minor=debt.shortfall_minor,
        returned_minor=debt.returned_minor,
        repaid_minor=debt.repaid_minor,
        written_off_minor=debt.written_off_minor,
        owed_minor=debt.owed_minor,
        credit_minor=debt.credit_minor,
        currency_code=programme.scheme.currency_code,
    )


def told(act: Act, answer: ActAnswer) -> Any:
    """How the journal recorded the act."""
    return receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
