"""SettlementService: windows, positions, claims, and HQ's two orders, close and net.

A participant's headquarters reads the rows that concern itself. The orders are carried out by what is handed in as
`month`, under a database role that may close windows: the settlement server's. Runs and approvals: settlement_runs.py.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.month_records import ClaimRecord, NettedTotals, PositionRecord, WindowRecord
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.domain.reasons import Reason
from coalition.domain.reconciliation import Result, TheirLine
from coalition.server import convert_reconciliation as reconciliation
from coalition.server import convert_settlement as convert
from coalition.server.acting import act_of, receipt, whole
from coalition.server.debt_calls import DebtCalls
from coalition.server.dispute_calls import DisputeCalls
from coalition.server.identity import HasProgramme, caller
from coalition.server.own import acting_for, own_codes
from coalition.server.page_keys import parts_key, parts_token, whole_part
from coalition.server.request_ids import RequestIds
from coalition.server.settlement_runs import RunCalls, RunOrders, RunReads
from coalition.server.simulation_calls import SimulationCalls
from coalition.v1 import member_debts_pb2, settlement_pb2

CALENDAR_DEFAULT: Final = "monthly"

Within = Collection[str] | None
PositionKey = tuple[str, int]
ReadPositions = Callable[[int, PositionKey | None, int, Within], list[PositionRecord]]


class MonthReads(Protocol):
    """Blocking reads, one snapshot each. `within`: participant codes whose rows may be told, None for every row."""

    def windows(self, calendar: str | None, before: int | None, limit: int) -> list[WindowRecord]: ...

    def window(self, calendar: str, label: str | None) -> WindowRecord | None: ...

    def lag_batches(self, window_id: int) -> int: ...

    def positions(
        self, window_id: int, after: PositionKey | None, limit: int, within: Within
    ) -> list[PositionRecord]: ...

    def net_positions(
        self, window_id: int, after: PositionKey | None, limit: int, within: Within
    ) -> list[PositionRecord]: ...

    def netted_totals(self, window_id: int) -> NettedTotals: ...

    def claims(
        self,
        window_id: int,
        after: tuple[str, str, int, int] | None,
        limit: int,
        participant: str | None,
        within: Within,
    ) -> list[ClaimRecord]: ...

    def reconcile(self, window: WindowRecord, participant_id: int, theirs: Sequence[TheirLine]) -> list[Result]: ...


class Month(Protocol):
    """HQ's orders, each exactly once. Blocking. They raise Refused(WINDOW_UNKNOWN or WINDOW_STATE_CONFLICT)."""

    def close(self, act: Act, calendar: str, label: str) -> ActAnswer:
        """The answer holds `cut_number` and `next_label`; its time is the act's."""

    def net(self, act: Act, calendar: str, label: str) -> ActAnswer:
        """The answer's entry is the netting's own."""


class Succession(Protocol):
    """A participant hands over, each act exactly once. Blocking."""

    def propose(self, act: Act, leaving: str, successor: str, bonus_price_minor: int) -> ActAnswer:
        """The answer holds `approval`, `principal_minor` and `bonus_minor`."""

    def carry_out(self, act: Act, leaving: str, successor: str, bonus_price_minor: int) -> ActAnswer:
        """The answer holds `principal_minor` and `bonus_minor`."""


class SettlementService(RunCalls):
    """Reads and orders block, so each runs in a worker thread."""

    def __init__(
        self,
        reads: MonthReads,
        programme: HasProgramme,
        request_ids: RequestIds,
        month: Month,
        run_reads: RunReads,
        run_orders: RunOrders,
        disputes: DisputeCalls,
        debts: DebtCalls,
        succession: Succession,
        simulations: SimulationCalls,
    ) -> None:
        super().__init__(run_reads, run_orders, programme, request_ids)
        self._reads = reads
        self._month = month
        self._disputes = disputes
        self._debts = debts
        self._succession = succession
        self._simulations = simulations

    async def ListWindows(
        self, request: settlement_pb2.ListWindowsRequest, context: Any
    ) -> settlement_pb2.ListWindowsResponse:
        scope, limit = f"windows/{request.calendar}", page_limit(request.page_size)
        before = number_key(scope, request.page_token)
        rows = await asyncio.to_thread(self._reads.windows, request.calendar or None, before, limit + 1)
        return settlement_pb2.ListWindowsResponse(
            windows=[convert.window_message(row) for row in rows[:limit]],
            next_page_token=page_token(scope, rows[limit - 1].window_id) if len(rows) > limit else "",
        )

    async def ListPositions(
        self, request: settlement_pb2.ListPositionsRequest, context: Any
    ) -> settlement_pb2.ListPositionsResponse:
        window = await self._window(request.calendar, request.label)
        lag_batches = await asyncio.to_thread(self._reads.lag_batches, window.window_id)
        rows, token = await self._positions(request, window, "positions", self._reads.positions)
        return settlement_pb2.ListPositionsResponse(
            window=convert.window_message(window), positions=rows, lag_batches=lag_batches, next_page_token=token
        )

    async def CloseWindow(
        self, request: settlement_pb2.CloseWindowRequest, context: Any
    ) -> settlement_pb2.CloseWindowResponse:
        calendar = request.calendar or CALENDAR_DEFAULT
        act = await act_of(caller(context), Kind.WINDOW_CLOSED, request, self._request_ids)
        answer = await asyncio.to_thread(self._month.close, act, calendar, request.label)
        window = await self._window(calendar, request.label)
        following = await self._window(calendar, str(answer.answer["next_label"]))
        # As they stood when the window was closed, so that a repetition is answered the same.
        closed = replace(window, state="CLOSED", net_time=None, netting_entry_id=None)
        opened = replace(
            following, state="OPEN", close_time=None, cut_number=None, net_time=None, netting_entry_id=None
        )
        return settlement_pb2.CloseWindowResponse(
            window=convert.window_message(closed),
            next_window=convert.window_message(opened),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def NetWindow(
        self, request: settlement_pb2.NetWindowRequest, context: Any
    ) -> settlement_pb2.NetWindowResponse:
        calendar = request.calendar or CALENDAR_DEFAULT
        act = await act_of(caller(context), Kind.NETTING, request, self._request_ids)
        answer = await asyncio.to_thread(self._month.net, act, calendar, request.label)
        window = await self._window(calendar, request.label)
        totals = await asyncio.to_thread(self._reads.netted_totals, window.window_id)
        return settlement_pb2.NetWindowResponse(
            window=convert.window_message(replace(window, state="NETTED")),
            gross_minor=totals.gross_minor,
            net_minor=totals.net_minor,
            currency_code=self._currency_code,
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ListNetPositions(
        self, request: settlement_pb2.ListNetPositionsRequest, context: Any
    ) -> settlement_pb2.ListNetPositionsResponse:
        window = await self._window(request.calendar, request.label)
        if window.net_time is None:
            raise Refused(Reason.WINDOW_STATE_CONFLICT, "label", {"state": window.state, "expected": "NETTED"})
        rows, token = await self._positions(request, window, "net-positions", self._reads.net_positions)
        return settlement_pb2.ListNetPositionsResponse(
            window=convert.window_message(window), net_positions=rows, next_page_token=token
        )

    async def ListClaims(
        self, request: settlement_pb2.ListClaimsRequest, context: Any
    ) -> settlement_pb2.ListClaimsResponse:
        window = await self._window(request.calendar, request.label)
        scope, limit = f"claims/{window.window_id}/{request.participant}", page_limit(request.page_size)
        key = parts_key(scope, request.page_token, 4)
        after = (key[0], key[1], whole_part(key[2]), whole_part(key[3])) if key else None
        lag_batches = await asyncio.to_thread(self._reads.lag_batches, window.window_id)
        own = own_codes(caller(context), self._programme.current)
        participant = request.participant or None
        rows = await asyncio.to_thread(self._reads.claims, window.window_id, after, limit + 1, participant, own)
        last = rows[limit - 1] if len(rows) > limit else None
        return settlement_pb2.ListClaimsResponse(
            window=convert.window_message(window),
            claims=[convert.claim_message(row, self._currency_code) for row in rows[:limit]],
            lag_batches=lag_batches,
            next_page_token=parts_token(scope, last.debtor, last.creditor, last.code, last.unit) if last else "",
        )

    async def ProposeHandOver(self, request: Any, context: Any) -> settlement_pb2.ProposeHandOverResponse:
        act = await act_of(caller(context), Kind.HAND_OVER_PROPOSED, request, self._request_ids)
        answer = await asyncio.to_thread(self._succession.propose, act, *_hand_over(request))
        return settlement_pb2.ProposeHandOverResponse(
            approval_id=whole(answer, "approval"),
            principal_minor=whole(answer, "principal_minor"),
            bonus_minor=whole(answer, "bonus_minor"),
            currency_code=self._currency_code,
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def HandOver(self, request: Any, context: Any) -> settlement_pb2.HandOverResponse:
        act = await act_of(caller(context), Kind.SUCCESSION, request, self._request_ids)
        answer = await asyncio.to_thread(self._succession.carry_out, act, *_hand_over(request))
        return settlement_pb2.HandOverResponse(
            principal_minor=whole(answer, "principal_minor"),
            bonus_minor=whole(answer, "bonus_minor"),
            currency_code=self._currency_code,
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def OpenDispute(self, request: Any, context: Any) -> settlement_pb2.OpenDisputeResponse:
        return await self._disputes.open(request, caller(context))

    async def WithdrawDispute(self, request: Any, context: Any) -> settlement_pb2.WithdrawDisputeResponse:
        return await self._disputes.withdraw(request, caller(context))

    async def ProposeDispute(self, request: Any, context: Any) -> settlement_pb2.ProposeDisputeResponse:
        return await self._disputes.propose(request, caller(context))

    async def SettleDispute(self, request: Any, context: Any) -> settlement_pb2.SettleDisputeResponse:
        return await self._disputes.settle(request, caller(context))

    async def ListDisputes(self, request: Any, context: Any) -> settlement_pb2.ListDisputesResponse:
        return await self._disputes.page(request, caller(context))

    async def ListDebts(self, request: Any, context: Any) -> member_debts_pb2.ListDebtsResponse:
        return await self._debts.page(request, caller(context))

    async def RepayDebt(self, request: Any, context: Any) -> member_debts_pb2.RepayDebtResponse:
        return await self._debts.repay(request, caller(context))

    async def ProposeDebtWriteOff(self, request: Any, context: Any) -> member_debts_pb2.ProposeDebtWriteOffResponse:
        return await self._debts.propose_write_off(request, caller(context))

    async def WriteOffDebt(self, request: Any, context: Any) -> member_debts_pb2.WriteOffDebtResponse:
        return await self._debts.write_off(request, caller(context))

    async def FindDifferences(
        self, request: settlement_pb2.FindDifferencesRequest, context: Any
    ) -> settlement_pb2.FindDifferencesResponse:
        code = acting_for(caller(context), self._programme.current, request.participant, "participant")
        participant = self._programme.current.participant_by_code.get(code)
        if participant is None:
            raise Refused(Reason.PARTICIPANT_UNKNOWN, "participant", {"participant": code})
        window = await self._window(request.calendar, request.label)
        lines = [reconciliation.their_line(number, line) for number, line in enumerate(request.lines, 1)]
        results = await asyncio.to_thread(self._reads.reconcile, window, participant.participant_id, lines)
        return reconciliation.reconciled_message(convert.window_message(window), results)

    async def FindWhoWouldGain(self, request: Any, context: Any) -> settlement_pb2.FindWhoWouldGainResponse:
        return await self._simulations.find(request, caller(context))

    async def _positions(
        self, request: Any, window: WindowRecord, name: str, read: ReadPositions
    ) -> tuple[list[settlement_pb2.Position], str]:
        """A page of positions as messages, and the token of the next."""
        scope, limit = f"{name}/{window.window_id}", page_limit(request.page_size)
        key = parts_key(scope, request.page_token, 2)
        after = (key[0], whole_part(key[1])) if key else None
        own = own_codes(caller(None), self._programme.current)
        rows = await asyncio.to_thread(read, window.window_id, after, limit + 1, own)
        last = rows[limit - 1] if len(rows) > limit else None
        messages = [convert.position_message(row, self._currency_code) for row in rows[:limit]]
        return messages, parts_token(scope, last.participant, last.unit) if last else ""

    async def _window(self, calendar: str, label: str) -> WindowRecord:
        named = calendar or CALENDAR_DEFAULT
        window = await asyncio.to_thread(self._reads.window, named, label or None)
        if window is None:
            raise Refused(Reason.WINDOW_UNKNOWN, "label", {"calendar": named, "label": label})
        return window

    @property
    def _currency_code(self) -> str:
        return self._programme.current.scheme.currency_code


def _hand_over(request: Any) -> tuple[str, str, int]:
    return request.participant, request.successor, request.bonus_price_minor
