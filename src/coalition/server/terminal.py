"""TerminalService: tills sell, spend, keep aside, undo and look. Calls become commands; the desk decides, they wait.

Moves no value by itself. A call that is cancelled or late is dropped only until the desk has taken it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, Protocol, TypeVar

from coalition.clearing.queue import Answer, Ticket
from coalition.domain.commands import Command
from coalition.domain.errors import Refused
from coalition.domain.journal import Outcome
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.domain.reasons import Reason
from coalition.domain.wallet_lines import Holding, WalletLine
from coalition.server.convert import timestamp_of, wallet_entry_of, write_receipt
from coalition.server.convert_commands import OperationRequest, command_of, resolve_of
from coalition.server.day_end import DayEndCalls
from coalition.server.identity import Caller, HasProgramme, Role, caller, certificate_of
from coalition.server.operations import asked_of, commands_of, request_id_of, write_result
from coalition.server.presented import Presentations
from coalition.server.request_ids import RequestIds
from coalition.server.seats import Seat, seat_of
from coalition.server.sinks import Gathering, WaitingCalls
from coalition.server.status import declined
from coalition.v1 import operations_pb2, terminal_pb2, terminal_pb2_grpc

IN_FLIGHT_MAX: Final = 1_024
"""Operations of one stream that wait for their answers; then its reader waits, and flow control the client."""
TURN: Final = 64
"""Operations of a batch converted before other calls get their turn on the loop: about a millisecond."""

Waiting = asyncio.Future[Answer]
Posted = TypeVar(
    "Posted",
    terminal_pb2.TopUpResponse,
    terminal_pb2.PurchaseResponse,
    terminal_pb2.RefundResponse,
    terminal_pb2.AuthorizeResponse,
    terminal_pb2.CaptureResponse,
    terminal_pb2.VoidResponse,
    terminal_pb2.UploadResponse,
    terminal_pb2.ReturnTopUpResponse,
    terminal_pb2.ReverseTopUpResponse,
    terminal_pb2.CashOutResponse,
    terminal_pb2.SellPassResponse,
    terminal_pb2.VisitPassResponse,
    terminal_pb2.ReturnVisitResponse,
    terminal_pb2.ReturnPassResponse,
    terminal_pb2.SpendPointsResponse,
    terminal_pb2.ReturnPointsResponse,
    terminal_pb2.ConvertPointsResponse,
    terminal_pb2.RepayPointsResponse,
    terminal_pb2.ReverseResponse,
)
"""The responses that are a receipt."""


class DeskDoor(Protocol):
    """Where commands are handed in; answers come through each ticket's sink."""

    def submit(self, tickets: Sequence[Ticket]) -> None: ...


class Reads(Protocol):
    """What terminals may look up. Blocks."""

    def holding(self, token: bytes) -> Holding | None: ...

    def lines(
        self, lane: int, wallet_id: int, *, participant_id: int | None, before: int | None, limit: int
    ) -> list[WalletLine]: ...


class TerminalServicer(terminal_pb2_grpc.TerminalServiceServicer):
    """`business_date` turns a time into the coalition's date; `pin_key` tells the id and the public key that PINs are
    sealed to, or raises Refused.
    """

    def __init__(
        self,
        desk: DeskDoor,
        programme: HasProgramme,
        reads: Reads,
        request_ids: RequestIds,
        presentations: Presentations,
        business_date: Callable[[datetime], date],
        pin_key: Callable[[], tuple[bytes, bytes]],
        day_end: DayEndCalls,
    ) -> None:
        self._desk = desk
        self._programme = programme
        self._reads = reads
        self._request_ids = request_ids
        self._presentations = presentations
        self._business_date = business_date
        self._pin_key = pin_key
        self._day_end = day_end
        self._loop = asyncio.get_running_loop()
        self._sink = WaitingCalls()
        self._readers: set[asyncio.Task[None]] = set()

    async def TopUp(self, request: Any, context: Any) -> terminal_pb2.TopUpResponse:
        return await self._posted(request, context, terminal_pb2.TopUpResponse())

    async def Purchase(self, request: Any, context: Any) -> terminal_pb2.PurchaseResponse:
        return await self._posted(request, context, terminal_pb2.PurchaseResponse())

    async def Refund(self, request: Any, context: Any) -> terminal_pb2.RefundResponse:
        return await self._posted(request, context, terminal_pb2.RefundResponse())

    async def Authorize(self, request: Any, context: Any) -> terminal_pb2.AuthorizeResponse:
        return await self._posted(request, context, terminal_pb2.AuthorizeResponse())

    async def Capture(self, request: Any, context: Any) -> terminal_pb2.CaptureResponse:
        return await self._posted(request, context, terminal_pb2.CaptureResponse())

    async def Void(self, request: Any, context: Any) -> terminal_pb2.VoidResponse:
        return await self._posted(request, context, terminal_pb2.VoidResponse())

    async def Upload(self, request: Any, context: Any) -> terminal_pb2.UploadResponse:
        return await self._posted(request, context, terminal_pb2.UploadResponse())

    async def ReturnTopUp(self, request: Any, context: Any) -> terminal_pb2.ReturnTopUpResponse:
        return await self._posted(request, context, terminal_pb2.ReturnTopUpResponse())

    async def ReverseTopUp(self, request: Any, context: Any) -> terminal_pb2.ReverseTopUpResponse:
        return await self._posted(request, context, terminal_pb2.ReverseTopUpResponse())

    async def CashOut(self, request: Any, context: Any) -> terminal_pb2.CashOutResponse:
        return await self._posted(request, context, terminal_pb2.CashOutResponse())

    async def SellPass(self, request: Any, context: Any) -> terminal_pb2.SellPassResponse:
        return await self._posted(request, context, terminal_pb2.SellPassResponse())

    async def VisitPass(self, request: Any, context: Any) -> terminal_pb2.VisitPassResponse:
        return await self._posted(request, context, terminal_pb2.VisitPassResponse())

    async def ReturnVisit(self, request: Any, context: Any) -> terminal_pb2.ReturnVisitResponse:
        return await self._posted(request, context, terminal_pb2.ReturnVisitResponse())

    async def ReturnPass(self, request: Any, context: Any) -> terminal_pb2.ReturnPassResponse:
        return await self._posted(request, context, terminal_pb2.ReturnPassResponse())

    async def SpendPoints(self, request: Any, context: Any) -> terminal_pb2.SpendPointsResponse:
        return await self._posted(request, context, terminal_pb2.SpendPointsResponse())

    async def ReturnPoints(self, request: Any, context: Any) -> terminal_pb2.ReturnPointsResponse:
        return await self._posted(request, context, terminal_pb2.ReturnPointsResponse())

    async def ConvertPoints(self, request: Any, context: Any) -> terminal_pb2.ConvertPointsResponse:
        return await self._posted(request, context, terminal_pb2.ConvertPointsResponse())

    async def RepayPoints(self, request: Any, context: Any) -> terminal_pb2.RepayPointsResponse:
        return await self._posted(request, context, terminal_pb2.RepayPointsResponse())

    async def Reverse(self, request: Any, context: Any) -> terminal_pb2.ReverseResponse:
        return await self._posted(request, context, terminal_pb2.ReverseResponse())

    async def Resolve(self, request: Any, context: Any) -> terminal_pb2.ResolveResponse:
        answer = await self._answer(resolve_of(request, caller(context), self._programme.current), context)
        response = terminal_pb2.ResolveResponse()
        self._write_result(response.result, request.request_id, answer)
        return response

    async def GetDayTotals(self, request: Any, context: Any) -> terminal_pb2.GetDayTotalsResponse:
        return await self._day_end.totals(request, caller(context))

    async def CloseDay(self, request: Any, context: Any) -> terminal_pb2.CloseDayResponse:
        return await self._day_end.close(request, caller(context), certificate_of(context))

    async def SubmitBatch(self, request: Any, context: Any) -> terminal_pb2.SubmitBatchResponse:
        present = caller(context)
        operations = request.operations
        refusals: dict[int, Exception] = {}
        tickets: list[Ticket] = []
        gathering: list[tuple[int, Command]] = []
        for start in range(0, len(operations), TURN):
            for place, command in enumerate(self._commands(operations[start : start + TURN], present), start):
                try:
                    gathering.append((place, await self._ready(command, operations[place])))
                except Refused as refused:
                    refusals[place] = refused
            await asyncio.sleep(0)
        answers: dict[int, Answer] = {}
        if gathering:
            sink = Gathering(len(gathering))
            deadline = _deadline(context)
            tickets = [Ticket(command, sink, deadline, context=place, stream=sink) for place, command in gathering]
            self._desk.submit(tickets)
            try:
                await sink.complete
            except asyncio.CancelledError:
                for ticket in tickets:
                    ticket.cancelled = True
                raise
            answers = sink.answers
            for place, command in gathering:
                self._presentations.heard(command, answers[place])
        response = terminal_pb2.SubmitBatchResponse()
        add = response.results.add
        for place, operation in enumerate(operations):
            self._write_result(add(), request_id_of(operation), refusals.get(place) or answers[place])
        return response

    async def Stream(self, requests: Any, context: Any) -> AsyncIterator[terminal_pb2.StreamResponse]:
        present = caller(context)
        pending: asyncio.Queue[tuple[str, Ticket | None, Waiting] | None] = asyncio.Queue(IN_FLIGHT_MAX)
        reader = self._loop.create_task(self._read(requests, present, _deadline(context), pending))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        try:
            while (item := await pending.get()) is not None:
                request_id, ticket, waiting = item
                answer = await waiting
                if ticket is not None:
                    self._presentations.heard(ticket.command, answer)
                response = terminal_pb2.StreamResponse()
                self._write_result(response.result, request_id, answer)
                yield response
        finally:
            # The client has gone, or the stream is over: what the desk has not taken yet is dropped.
            reader.cancel()
            while not pending.empty():
                left = pending.get_nowait()
                if left is not None and left[1] is not None:
                    left[1].cancelled = True

    async def GetBalance(self, request: Any, context: Any) -> terminal_pb2.GetBalanceResponse:
        seat, holding = await self._holding(request, context)
        programme = self._programme.current
        day = self._business_date(holding.read_time)
        here = sum(
            lot.face - lot.reserved
            for lot in holding.lots
            if programme.taken(lot.issuer_id, seat.participant_id, day) is not None
        )
        principal = sum(lot.principal for lot in holding.lots)
        return terminal_pb2.GetBalanceResponse(
            balance=terminal_pb2.Balance(
                balance_minor=holding.balance_minor,
                balance_here_minor=here,
                principal_minor=principal,
                bonus_minor=holding.balance_minor - principal,
                currency_code=programme.scheme.currency_code,
                card_last_four=holding.last_four,
                card_state=operations_pb2.CardState.Value(f"CARD_STATE_{holding.card_state}"),
                read_time=timestamp_of(holding.read_time),
                points=[
                    terminal_pb2.PointsBalance(programme=code, points=points)
                    for code, points in holding.points
                    if points
                ],
            )
        )

    async def ListEntries(self, request: Any, context: Any) -> terminal_pb2.ListEntriesResponse:
        seat, holding = await self._holding(request, context)
        scope = f"terminal entries {holding.wallet_id} {seat.participant_id}"
        limit = page_limit(request.page_size)
        before = number_key(scope, request.page_token)
        if holding.lane is None or holding.wallet_id is None:
            raise Refused(Reason.CARD_NOT_LINKED)
        lane, wallet_id = holding.lane, holding.wallet_id
        lines = await asyncio.to_thread(
            lambda: self._reads.lines(
                lane, wallet_id, participant_id=seat.participant_id, before=before, limit=limit + 1
            )
        )
        programme = self._programme.current
        shown = lines[:limit]
        return terminal_pb2.ListEntriesResponse(
            entries=[wallet_entry_of(line, programme) for line in shown],
            next_page_token=page_token(scope, shown[-1].entry_id) if len(lines) > limit else "",
        )

    async def GetPinKey(self, _request: Any, context: Any) -> terminal_pb2.GetPinKeyResponse:
        present = caller(context)
        key_id, public_key = self._pin_key()
        place = "/".join(present.elements) if present.role is Role.TERMINAL else ""
        return terminal_pb2.GetPinKeyResponse(key_id=key_id, public_key=public_key, place=place)

    def end_streams(self) -> None:
        """Read no more from streams: what they sent is answered, then they end well. For a server that drains."""
        for reader in self._readers:
            reader.cancel()

    async def _posted(self, request: OperationRequest, context: Any, response: Posted) -> Posted:
        """Post one operation, wait for the desk, write the receipt into `response`.

        Raises Refused for a decline and whatever else the desk answers.
        """
        command = command_of(request, caller(context), self._programme.current, self._presentations.token)
        if self._presentations.are_due(request, command):
            command = await self._presentations.evidenced(request, command)
        answer = await self._answer(command, context)
        if answer.reason is not Reason.ACCEPTED:
            raise declined(answer)
        write_receipt(response.receipt, request.request_id, answer, self._programme.current.scheme.currency_code)
        return response

    async def _answer(self, command: Command, context: Any) -> Outcome:
        """What the desk says to one command. Raises whatever else it answers."""
        await self._check_fresh(command)
        waiting: Waiting = self._loop.create_future()
        ticket = Ticket(command, self._sink, _deadline(context), context=waiting)
        self._desk.submit((ticket,))
        try:
            answer = await waiting
        except asyncio.CancelledError:
            ticket.cancelled = True
            raise
        self._presentations.heard(command, answer)
        if not isinstance(answer, Outcome):
            raise answer
        return answer

    def _commands(self, operations: Sequence[operations_pb2.Operation], present: Caller) -> list[Command | Refused]:
        return commands_of(operations, present, self._programme.current, self._presentations.token)

    async def _ready(self, command: Command | Refused, operation: operations_pb2.Operation) -> Command:
        """The command of an operation with what is to be found out first. Raises Refused, also what it is already."""
        if isinstance(command, Refused):
            raise command
        request = asked_of(operation)
        if self._presentations.are_due(request, command):
            command = await self._presentations.evidenced(request, command)
        await self._check_fresh(command)
        return command

    async def _check_fresh(self, command: Command) -> None:
        """Raise Refused where the command's request id is out of time."""
        if not self._request_ids.are_fresh(command):
            await self._request_ids.check_all(command)

    async def _read(
        self,
        requests: AsyncIterator[terminal_pb2.StreamRequest],
        present: Caller,
        deadline: float | None,
        pending: "asyncio.Queue[tuple[str, Ticket | None, Waiting] | None]",
    ) -> None:
        """Take operations off the stream, hand them to the desk, note the order their answers go back in."""
        try:
            async for request in requests:
                waiting: Waiting = self._loop.create_future()
                ticket: Ticket | None = None
                try:
                    (taken,) = self._commands((request.operation,), present)
                    command = await self._ready(taken, request.operation)
                    ticket = Ticket(command, self._sink, deadline, context=waiting, stream=pending)
                    self._desk.submit((ticket,))
                except Refused as refused:
                    waiting.set_result(refused)
                await pending.put((request_id_of(request.operation), ticket, waiting))
        except asyncio.CancelledError:
            pass  # the server drains, or the client has gone: the stream's other half ends it
        finally:
            # Room for the end mark even when the queue is full: the writer is taking from it, or has gone.
            self._loop.create_task(pending.put(None)).add_done_callback(lambda _: None)

    def _write_result(self, result: operations_pb2.OperationResult, request_id: str, answer: Answer) -> None:
        write_result(result, request_id, answer, self._programme.current.scheme.currency_code)

    async def _holding(self, request: Any, context: Any) -> tuple[Seat, Holding]:
        """The till that asks and the card it asks for. Raises Refused, CARD_UNKNOWN too."""
        named = request.terminal if request.HasField("terminal") else None
        seat = seat_of(caller(context), named, self._programme.current)
        handle = await self._presentations.handle(request, (seat.participant_id, seat.terminal_id))
        holding = await asyncio.to_thread(self._reads.holding, handle)
        if holding is None:
            raise Refused(Reason.CARD_UNKNOWN)
        if holding.card_state == "REPLACED":
            raise Refused(Reason.CARD_REPLACED)
        if holding.wallet_id is None:
            raise Refused(Reason.CARD_NOT_LINKED)
        return seat, holding


def _deadline(context: Any) -> float | None:
    """When the call's patience ends, on the desk's clock; None where the client set no deadline."""
    remaining = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining
