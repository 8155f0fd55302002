"""The terminal for event loops: every operation stored before it is sent, retried by one id, undone when unanswered.

The order of things is in docs/terminal-state-machine.md. Never stores a request but that of a sale approved offline,
never sends a changed one again.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coalition.client.arguments import check_offline_sale, place_of, reference_of, terminal_ref
from coalition.client.certificate import ClientCertificate
from coalition.client.credentials import Credential, presented
from coalition.client.day_end import ClosedDay, DayEnd, DayTotals
from coalition.client.day_statement import DaySigner
from coalition.client.errors import (
    CallRefused,
    ClientError,
    Declined,
    FieldRefused,
    NotDone,
    Offline,
    OutboxFailed,
    OutcomeUnknown,
    ServerUnreachable,
    ServiceBusy,
    TerminalClosed,
    UndoneFirst,
)
from coalition.client.line import Line, LineState
from coalition.client.offline_queue import OfflineLimits, OfflineQueue
from coalition.client.operations import METHODS, Operations
from coalition.client.outbox import Outbox
from coalition.client.outbox_file import ALONE, OutboxFile
from coalition.client.outbox_rows import Kind, OutboxRow, State
from coalition.client.pins import UNREADABLE, PinPad, PinSealer
from coalition.client.receipts import KeptReceipts, Receipts
from coalition.client.surroundings import Surroundings
from coalition.client.tries import End, Tries, TryRules
from coalition.client.undoing import Undoing
from coalition.client.uploading import Uploading
from coalition.v1.audit_pb2 import GetSealedReceiptResponse
from coalition.v1.operations_pb2 import (
    Receipt,
    SaleItem,
    Tender,
    UploadRequest,
)
from coalition.v1.terminal_pb2 import Balance, GetBalanceRequest, GetBalanceResponse, ResolveRequest, ResolveResponse


class AioTerminal(Operations):
    """A terminal that cannot get it wrong, awaited. See `Terminal`, which is the same for threads.

    async with AioTerminal("127.0.0.1:7443", certificate, outbox=Path("till-1.outbox")) as till:
        receipt = await till.purchase(card_number, 12_30, sale_reference="S-1")

    A cancelled call counts as unanswered: it is undone. Many calls may run at once; they share the outbox's syncs. So
    do the terminals of a till server that are given one open `OutboxFile` as `outbox`; each of these is named by `at`.
    """

    def __init__(
        self,
        server: str,
        certificate: ClientCertificate,
        *,
        outbox: Path | OutboxFile,
        at: str | None = None,
        currency_code: str = "CNY",
        offline: OfflineLimits | None = None,
        rules: TryRules | None = None,
        surroundings: Surroundings | None = None,
        pin_sealer: PinSealer | None = None,
    ) -> None:
        self._server = server
        self._certificate = certificate
        self._ref = terminal_ref(at) if at else None
        if isinstance(outbox, OutboxFile) and self._ref is None:
            raise FieldRefused("at", "in an outbox that is shared each terminal is named")
        self._shared_or_path = outbox
        self._currency = currency_code
        self._limits = offline
        self._rules = rules or TryRules()
        self._around = surroundings or Surroundings()
        self._pins = PinPad(pin_sealer, self._ask, at.strip("/") if at else None)
        self._line: Line | None = None

    async def approve_offline(
        self,
        card_number: str,
        amount_minor: int,
        *,
        sale_reference: str = "",
        items: Sequence[SaleItem] = (),
        tenders: Sequence[Tender] = (),
    ) -> str:
        """Approve a sale without the service, which is told of it in its order once the line is back; its request_id.

        For when a purchase ended in Offline, UndoneFirst or OutcomeUnknown. What the wallet cannot give then is borne
        as was agreed. Raises OfflineRefused beyond `offline`, FieldRefused, OutboxFull, OutboxFailed: not approved.
        """
        if self._line is None:
            raise TerminalClosed
        request = UploadRequest(
            card_number=card_number,
            amount_minor=amount_minor,
            currency_code=self._currency,
            sale_reference=sale_reference,
            items=items,
            tenders=tenders,
        )
        check_offline_sale(request)
        return (await self._uploading.approve(request, reference_of(request), self._complete)).request_id

    async def balance(self, card: Credential) -> Balance:
        """What the wallet of a card holds, and how much of it is accepted here. Raises Declined, Offline."""
        request = GetBalanceRequest(**presented(card), terminal=self._ref)
        answer: GetBalanceResponse = await self._ask("GetBalance", request)
        return answer.balance

    async def resolve(self, request_id: str) -> Receipt:
        """The stored answer of an operation: its receipt, or Declined. One that never arrived is killed (KILLED)."""
        answer: ResolveResponse = await self._ask("Resolve", ResolveRequest(request_id=request_id, terminal=self._ref))
        result = answer.result
        if result.HasField("receipt"):
            return result.receipt
        raise Declined(CallRefused.from_status(result.error))

    @property
    def state(self) -> LineState:
        """How the line stands, and what waits."""
        if self._line is None:
            raise TerminalClosed
        undoing = self._undoing
        return LineState(
            self._line.is_online,
            len(undoing.waiting),
            tuple(undoing.needs_help.values()),
            undoing.last_failure,
            self._uploading.count,
            self._day.closing,
        )

    async def recent(self, limit: int = 20) -> list[OutboxRow]:
        """The last operations of this outbox, newest first: what became of a sale before a crash."""
        if self._line is None:
            raise TerminalClosed
        return await self._outbox.recent(limit)

    def dismiss(self, request_id: str) -> bool:
        """A person has seen to an operation in `state.needs_help`. Answers whether there was one such."""
        if self._line is None:
            raise TerminalClosed
        return self._undoing.dismiss(request_id)

    async def day_totals(self) -> DayTotals:
        """What this terminal counts since its last close beside what the journal counts. Changes nothing.

        Raises Declined, NotDone, or how the last try failed.
        """
        if self._line is None:
            raise TerminalClosed
        return await self._day.totals()

    async def close_day(self, sign: DaySigner, *, business_date: str = "", leave_waiting: bool = False) -> ClosedDay:
        """Close the day: tell the journal this terminal's own signed count, and hear every difference.

        `sign` signs the statement by the private key of this connection's certificate (`signed_bytes` says what). Waits
        for operations under way; new ones wait for the close. What waits to be undone or uploaded is refused
        (DayNotSettled) or, with `leave_waiting`, left to the next close. `business_date` is a name for people,
        "YYYY-MM-DD"; today's where left out. An answer that was lost, also by an earlier run, is told by the next call.
        Raises DayNotSettled, Declined, NotDone: nothing was closed; CloseWaits: stored, and sent until it is answered.
        """
        if self._line is None:
            raise TerminalClosed
        closed = await self._day.close_day(sign, business_date, leave_waiting=leave_waiting)
        with suppress(ClientError):  # the close stands; what is lacking is fetched at the next one
            await self._receipts.keep()
        return closed

    async def keep_receipts(self) -> KeptReceipts:
        """Fetch and store the sealed receipts of all that was answered and has none yet; a close of the day does too.

        Raises OutboxFailed, Declined, NotDone, or how the last try failed; what was stored until then stays.
        """
        if self._line is None:
            raise TerminalClosed
        return await self._receipts.keep()

    async def receipts(self) -> list[GetSealedReceiptResponse]:
        """The sealed receipts that are kept. `coalition till receipts` writes them as files for `coalition audit`."""
        if self._line is None:
            raise TerminalClosed
        return await self._receipts.all()

    async def settled(self, timeout_s: float) -> bool:
        """Wait until nothing waits to be undone, uploaded or recorded; False where something does after `timeout_s`."""
        if self._line is None:
            raise TerminalClosed
        try:
            await asyncio.wait_for(self._nothing_waits(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def _nothing_waits(self) -> None:
        await asyncio.sleep(0)  # a call that was cancelled just now gets its turn to be queued
        await self._undoing.idle.wait()
        await self._uploading.idle.wait()
        await self._day.settled()

    async def open(self) -> Self:
        """Open the outbox and begin to undo what an earlier run left. Raises OutboxInUse, OutboxFailed."""
        where = self._shared_or_path
        till = place_of(self._ref) if self._ref is not None and isinstance(where, OutboxFile) else ALONE
        self._file = where if isinstance(where, OutboxFile) else await asyncio.to_thread(OutboxFile(where).open)
        try:
            self._outbox = Outbox(self._file, self._around.wall_ms, till=till)
        except OutboxFailed:
            if self._file is not where:
                self._file.close()
            raise
        self._line = Line(self._server, self._certificate)
        posting = asyncio.Lock()
        self._undoing = Undoing(self._line, self._outbox, self._ref, self._around, posting)
        name = f"{self._file.path.name}.{till.replace('/', '.')}." if till else f"{self._file.path.name}."
        queue = OfflineQueue(self._file.path.with_name(f"{name}offline"))
        self._uploading = Uploading(self._line, self._outbox, self._undoing, queue, self._limits, self._around, posting)
        self._queue = queue
        self._day = DayEnd(
            self._line,
            self._outbox,
            self._ref,
            self._around,
            posting,
            ask=self._ask,
            waiting=lambda: len(self._undoing.waiting) + self._uploading.count,
            patience_s=self._rules.total_s,
        )
        self._receipts = Receipts(self._outbox, self._ask, self._ref.participant if self._ref else "")
        try:
            await self._uploading.open()
            await self._day.open()
        except OutboxFailed:
            await self._line.close()
            self._line = None
            await self._let_go_of_file()
            raise
        self._senders = [asyncio.ensure_future(each.run()) for each in (self._undoing, self._uploading)]
        return self

    async def close(self) -> None:
        """End; what is not answered or undone is, at the next start."""
        if self._line is None:
            return
        line, self._line = self._line, None
        await self._day.close()
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await line.close()
        self._queue.close()
        await self._let_go_of_file()

    async def _let_go_of_file(self) -> None:
        """Give up the place in the file, and close it where it is this terminal's own."""
        await self._outbox.close()
        if self._file is not self._shared_or_path:
            await asyncio.to_thread(self._file.close)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _operate(self, kind: Kind, request: Any, pin: str | None = None) -> Receipt:
        """Undo first what waits for it, then store, send, store what came of it. As `Operations` says."""
        reference = reference_of(request)
        await self._undone_first()
        if pin is not None:
            await self._pin_ready(pin)
        await self._day.operations_may_begin()
        outbox = self._outbox
        outbox.under_way += 1
        try:
            return await self._exactly_once(kind, request, reference, pin)
        finally:
            outbox.under_way -= 1

    async def _exactly_once(self, kind: Kind, request: Any, reference: str, pin: str | None) -> Receipt:
        """Store, send, store what came of it."""
        row = self._outbox.begin(kind, getattr(request, "amount_minor", 0), reference)
        self._complete(request, row)
        try:
            await self._outbox.write(row)
        except asyncio.CancelledError:
            self._undoing.add(row)
            raise
        receipt: Receipt | None = None
        refusal: Declined | NotDone | None = None
        try:
            try:
                receipt = (await self._send_with_pin(METHODS[kind], request, pin)).receipt
            except (Declined, NotDone) as refused:
                refusal = refused
            # Stored before it is told: a sale that the caller has seen accepted is never undone at the next start.
            await self._outbox.write(self._closed(row, receipt, refusal))
        except (_AnswerLost, OutboxFailed) as lost:
            # Where the answer could not be stored, the disk still says BEGUN and the next start would undo it: what
            # the caller is told has to agree.
            self._undoing.add(row)
            raise OutcomeUnknown(row.request_id, kind, "REVERSED" if row.is_reversible else "RESOLVED") from lost
        except BaseException:
            self._undoing.add(row)
            raise
        if receipt is None:
            raise refusal or TerminalClosed
        return receipt

    async def _send_with_pin(self, method: str, request: Any, pin: str | None) -> Any:
        """As `_send`; once more, which PIN_UNREADABLE allows, where the PIN was sealed to a key that is gone."""
        if pin is None:
            return await self._send(method, request)
        self._pins.seal(request, pin)
        try:
            return await self._send(method, request)
        except Declined as refused:
            if refused.reason != UNREADABLE:
                raise
        await self._pin_ready(pin, anew=True)
        self._pins.seal(request, pin)
        return await self._send(method, request)

    async def _pin_ready(self, pin: str, *, anew: bool = False) -> None:
        """Have the key that PINs are sealed to. Raises Declined, NotDone: asking for it has no effect."""
        try:
            await self._pins.ready(pin, anew=anew)
        except ServerUnreachable:
            raise Offline(self._server) from None
        except CallRefused as refusal:
            raise ServiceBusy(refusal) from None

    def _complete(self, request: Any, row: OutboxRow) -> None:
        """Give a request its id, its time and its terminal."""
        request.request_id = row.request_id
        request.occurred_time.FromMilliseconds(row.begin_ms)
        if self._ref is not None:
            request.terminal.CopyFrom(self._ref)

    async def _undone_first(self) -> None:
        """Wait until what an earlier run left is undone. Raises UndoneFirst, TerminalClosed."""
        if self._line is None:
            raise TerminalClosed
        if self._undoing.recovered.is_set():
            return
        try:
            await asyncio.wait_for(self._undoing.recovered.wait(), self._rules.total_s)
        except TimeoutError:
            raise UndoneFirst(len(self._undoing.waiting)) from None

    def _closed(self, row: OutboxRow, receipt: Receipt | None, refusal: Declined | NotDone | None) -> OutboxRow:
        if receipt is not None:
            return self._outbox.receipted(row, State.ACCEPTED, receipt)
        if isinstance(refusal, Declined):
            return self._outbox.changed(row, State.DECLINED, refusal.reason, refusal.entry_id)
        return self._outbox.changed(row, State.NOT_DONE, refusal.what if refusal else "", 0)

    async def _ask(self, method: str, request: Any) -> Any:
        """Send a request that may be sent as often as we like. Raises Declined, NotDone, or how the last try failed."""
        try:
            return await self._send(method, request)
        except _AnswerLost as lost:
            raise lost.failure from None

    async def _send(self, method: str, request: Any) -> Any:
        """Try by the rules, the same request each time. Raises Declined, NotDone, _AnswerLost."""
        line = self._line
        if line is None:
            raise TerminalClosed
        tries = Tries(self._rules, self._around.monotonic_s(), self._around.draw)
        while True:
            failure: Offline | CallRefused | ServerUnreachable
            try:
                return await line.send(method, request, tries.deadline_s(self._around.monotonic_s()))
            except Offline as offline:
                failure, next_step = offline, tries.not_sent(self._around.monotonic_s())
            except (CallRefused, ServerUnreachable) as failed:
                failure, next_step = failed, tries.failed(failed, self._around.monotonic_s())
            if isinstance(next_step, End):
                raise _ended(next_step, failure) from failure
            await self._around.sleep(next_step)


class _AnswerLost(ClientError):
    """Tries are over, and one of them may have had its effect; `failure` is how the last one ended."""

    def __init__(self, failure: ClientError) -> None:
        super().__init__(str(failure))
        self.failure = failure


def _ended(end: End, failure: "Offline | CallRefused | ServerUnreachable") -> ClientError:
    if end is End.UNKNOWN:
        return _AnswerLost(failure)
    if not isinstance(failure, CallRefused):
        return failure
    return Declined(failure) if end is End.DECLINED else ServiceBusy(failure)
