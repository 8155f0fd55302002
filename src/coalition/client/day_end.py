"""The end of a terminal's day: its own count, signed, is told to the journal, once; operations wait meanwhile.

Nothing of this terminal is posted between the count and the answer, by this run or, after a crash, by the next: what
the close counts and what the journal compares it with are the same operations.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from coalition.client.arguments import place_of
from coalition.client.day_closes import DayCloses, NewClose
from coalition.client.day_count import NOT_COUNTED_YET, DayCount
from coalition.client.day_statement import OPERATIONS_MAX, DaySigner, sign_request, totals_of
from coalition.client.errors import (
    CallRefused,
    ClientError,
    CloseFirst,
    CloseWaits,
    DayNotSettled,
    Declined,
    FieldRefused,
    Offline,
    OutboxFailed,
)
from coalition.client.line import Line
from coalition.client.outbox import Outbox
from coalition.client.request_ids import new_request_id
from coalition.client.surroundings import Surroundings
from coalition.v1.operations_pb2 import TerminalRef
from coalition.v1.terminal_pb2 import (
    CloseDayRequest,
    CloseDayResponse,
    GetDayTotalsRequest,
    GetDayTotalsResponse,
    KindTotal,
)

DEADLINE_S: Final = 30.0
"""Of one try: the journal is folded up to now first."""
PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 4.0
"""Short: sales wait for it."""
LOOK_S: Final = 0.02
# Refusals by what the request says, given after the look whether it was recorded before: it never was and never will
# be. Any other (a suspension, a full queue) may pass, and proves nothing about an earlier try.
NEVER_RECORDED: Final = frozenset(
    {
        *("DAY_CLOSE_OUT_OF_ORDER", "DAY_CLOSE_CHAIN_BROKEN", "SIGNATURE_INVALID"),
        *("FIELD_INVALID", "REQUEST_ID_REUSED", "REQUEST_ID_TOO_OLD", "MESSAGE_TOO_LARGE"),
    }
)


@dataclass(frozen=True, slots=True)
class DayTotals:
    """What the terminal and the journal count since the terminal's last close, by rising kind.

    `number` is the next close's; `waiting` operations are counted by neither side for certain: they wait to be undone
    or uploaded, or are under way.
    """

    business_date: str
    number: int
    ours: tuple[KindTotal, ...]
    theirs: tuple[KindTotal, ...]
    waiting: int
    currency_code: str

    @property
    def agrees(self) -> bool:
        """Whether the two are the same."""
        return self.ours == self.theirs


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A close as the journal recorded it; `answer.differences` tells every point in which the two differed."""

    number: int
    business_date: str
    answer: CloseDayResponse

    @property
    def agrees(self) -> bool:
        """Whether terminal and journal agreed."""
        return self.answer.agrees


class DayEnd:
    """The day of one terminal. `posting` is held by whoever undoes or uploads while it does; so by a close.

    `ask` sends a request until it is answered; `waiting` says how much waits to be undone or uploaded; a caller waits
    `patience_s` for an answer.
    """

    def __init__(
        self,
        line: Line,
        outbox: Outbox,
        terminal: TerminalRef | None,
        surroundings: Surroundings,
        posting: asyncio.Lock,
        *,
        ask: Callable[[str, Any], Awaitable[Any]],
        waiting: Callable[[], int],
        patience_s: float,
    ) -> None:
        self._line = line
        self._outbox = outbox
        self._terminal = terminal
        self._around = surroundings
        self._posting = posting
        self._ask = ask
        self._waiting = waiting
        self._patience_s = patience_s
        self._closes = DayCloses(outbox)
        self._count = DayCount(outbox, ask, terminal)
        self._free = asyncio.Event()  # set while operations may begin
        self._free.set()
        self._one_at_a_time = asyncio.Lock()
        self._under_way: CloseDayRequest | None = None
        self._telling: asyncio.Task[ClosedDay] | None = None

    @property
    def closing(self) -> int:
        """Number of the close that is stored and not answered; 0 where none is."""
        return self._under_way.number if self._under_way else 0

    async def open(self) -> None:
        """Take over a close that an earlier run did not hear the answer of: it goes before everything else."""
        left = await self._closes.waiting()
        if left is not None:
            self._free.clear()
            await self._posting.acquire()
            self._tell(left)

    async def close(self) -> None:
        """End; a close without an answer is sent again by the next run."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def operations_may_begin(self) -> None:
        """Return at once, but while a day is being closed. Raises CloseFirst."""
        if not self._free.is_set():
            try:
                await asyncio.wait_for(self._free.wait(), self._patience_s)
            except TimeoutError:
                raise CloseFirst(self.closing) from None

    async def settled(self) -> None:
        """Return once no close is under way."""
        await self._free.wait()

    async def totals(self) -> DayTotals:
        """Both counts as they are now. Raises Declined, NotDone, CallRefused, ServerUnreachable."""
        rows = await self._outbox.uncounted()
        ours = totals_of(await self._count.operations(rows))
        journal = await self._journal()
        return DayTotals(
            journal.business_date,
            journal.next_number,
            tuple(ours),
            tuple(journal.since_close),
            sum(row.state in NOT_COUNTED_YET for row in rows),
            journal.currency_code,
        )

    async def close_day(self, sign: DaySigner, business_date: str, *, leave_waiting: bool) -> ClosedDay:
        """See AioTerminal.close_day."""
        if self._terminal is None:
            raise FieldRefused("at", "name the terminal when it is made, such as cafe/main/till-1: its day is signed")
        async with self._one_at_a_time:
            # An answer that nobody has heard, such as of a close before a crash, is told first.
            is_told = self._telling is None or (self._telling.done() and await self._outbox.uncounted())
            if is_told:
                await self._begin(place_of(self._terminal), sign, business_date, leave_waiting=leave_waiting)
            return await self._answer()

    async def _answer(self) -> ClosedDay:
        telling, request = self._telling, self._under_way
        if telling is None:
            raise OutboxFailed(self._outbox.path, "closed")
        try:
            closed = await asyncio.wait_for(asyncio.shield(telling), self._patience_s)
        except TimeoutError:
            if request is None:
                raise
            raise CloseWaits(request.number, request.request_id) from None
        finally:
            if telling.done():
                self._telling = None
        return closed

    async def _begin(self, place: str, sign: DaySigner, business_date: str, *, leave_waiting: bool) -> None:
        """Count and store, with nothing under way; whatever fails here has closed nothing."""
        self._free.clear()
        try:
            self._check_settled(leave_waiting=leave_waiting)
            # Seldom, and each ends within its own patience: no sale pays for an event that only this waits for.
            while self._outbox.under_way:  # noqa: ASYNC110  as just said
                await asyncio.sleep(LOOK_S)
            await self._posting.acquire()
        except BaseException:
            self._free.set()
            raise
        try:
            self._check_settled(leave_waiting=leave_waiting)
            close = await self._made(place, sign, business_date)
        except BaseException:
            self._let_go()
            raise
        await asyncio.shield(asyncio.ensure_future(self._store(close)))

    def _check_settled(self, *, leave_waiting: bool) -> None:
        if not leave_waiting and (waiting := self._waiting()):
            raise DayNotSettled(waiting)

    async def _made(self, place: str, sign: DaySigner, business_date: str) -> NewClose:
        rows = await self._outbox.uncounted()
        operations = await self._count.operations(rows)
        journal = await self._journal()
        request = CloseDayRequest(
            request_id=new_request_id(now_ms=self._around.wall_ms()),
            terminal=self._terminal,
            business_date=business_date or journal.business_date,
            number=journal.next_number,
            previous_hash=journal.previous_hash,
            totals=totals_of(operations),
            operations=operations if len(operations) <= OPERATIONS_MAX else (),
        )
        statement_hash = await asyncio.to_thread(sign_request, place, request, sign)
        return NewClose(
            request,
            statement_hash,
            max((row.place for row in rows), default=0),
            [row.place for row in rows if row.state in NOT_COUNTED_YET],
        )

    async def _journal(self) -> GetDayTotalsResponse:
        answer: GetDayTotalsResponse = await self._ask("GetDayTotals", GetDayTotalsRequest(terminal=self._terminal))
        return answer

    async def _store(self, close: NewClose) -> None:
        try:
            await self._closes.add(close)
        except BaseException:
            self._let_go()
            raise
        self._tell(close.request)

    def _tell(self, request: CloseDayRequest) -> None:
        self._under_way = request
        self._telling = asyncio.ensure_future(self._told(request))
        # Where nobody asks for its outcome, that is no news.
        self._telling.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _let_go(self) -> None:
        self._under_way = None
        self._posting.release()
        self._free.set()

    async def _told(self, request: CloseDayRequest) -> ClosedDay:
        """Send until it is answered for good, and store that. Raises Declined: it was never recorded."""
        try:
            pause_s = PAUSE_FIRST_S
            while True:
                try:
                    answer: CloseDayResponse = await self._line.send("CloseDay", request, DEADLINE_S)
                    # What cannot be stored is asked for again: until then what it counted would be counted twice.
                    await self._closes.recorded(request)
                    return ClosedDay(request.number, request.business_date, answer)
                except Offline:
                    pause_s = PAUSE_FIRST_S
                except ClientError as failure:
                    if isinstance(failure, CallRefused) and failure.reason in NEVER_RECORDED:
                        await self._closes.refused(request, failure.reason)
                        raise Declined(failure) from failure
                await self._around.sleep(pause_s * (1 - self._around.draw() / 2))
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
        finally:
            self._let_go()
