"""The desk: takes what waits, has a worker decide and write it as a batch, answers after the commit (DESIGN section 4).

Lives on the server's event loop and does no I/O but to its workers, processes of their own: a batch would wait for the
interpreter beside every request being parsed. A lone command never waits for a timer: the next batch is whatever queued
up while the one before was committing.
"""

import asyncio
import socket
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, cast

import structlog

from coalition.clearing.frames import LENGTH_BYTES, answers_of, commands_frame
from coalition.clearing.queue import OVERLAP_FROM, Answer, FairQueue, Sink, Ticket
from coalition.domain.errors import Refused, StoreUnavailable
from coalition.domain.reasons import Reason

READY_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 30.0
"""More than a worker tries while the database is away. Whoever waited longer has been told by the front door."""
DEATHS_MAX: Final = 3
"""So many workers may die over one batch; then it is answered that its outcome is unknown."""
REOPEN_PAUSE_SECONDS: Final = 0.2

log = structlog.get_logger(__name__)
OpenWorker = Callable[[], socket.socket]


class DeskObserver(Protocol):
    """Whoever publishes figures. Both are called on the loop and must be quick."""

    def batch(self, size: int, oldest_wait_seconds: float, seconds: float) -> None:
        """A worker answered a batch after `seconds`; its oldest command had waited for one so long."""

    def answers(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """These were answered, one way or the other."""


@dataclass(slots=True, eq=False)
class _Batch:
    """What was taken off the queue, and of it what goes to a worker."""

    taken: list[Ticket]
    live: list[Ticket]
    deaths: int = 0
    sent_time: float = 0.0


class Desk:
    """Open while its context lasts, on one loop. `open_worker` starts a worker and gives our end of its socket; blocks.

    `batch_max` bounds a batch (at most 4,096), `queue_max` what may wait before it. With two workers or more, one batch
    is decided while the database writes another. `observer` is told of batches; without one nothing is measured.
    """

    def __init__(
        self,
        open_worker: OpenWorker,
        workers: int,
        *,
        batch_max: int,
        queue_max: int,
        clock: Callable[[], float],
        observer: DeskObserver | None = None,
    ) -> None:
        self._open_worker = open_worker
        self._workers = workers
        self._batch_max = batch_max
        self._clock = clock
        self._observer = observer
        self.queue = FairQueue(queue_max, overlap_from=min(OVERLAP_FROM, batch_max))
        self._again: deque[_Batch] = deque()
        self._free: list[_Link] = []
        self._links: set[_Link] = set()
        self._reopening: set[asyncio.Task[None]] = set()
        self._woken = False
        self._closing = False
        self._drained = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start the workers. Raises StoreUnavailable when one does not come up."""
        self._loop = asyncio.get_running_loop()
        opening = [self._loop.create_task(self._open()) for _ in range(self._workers)]
        try:
            await asyncio.gather(*opening)
        except BaseException:
            for task in opening:
                task.cancel()
            await asyncio.wait(opening)  # else one comes up after everyone was hung up on, and waits for ever
            self._hang_up()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more, answer all that waits (while there are workers to do it), stop."""
        self.queue.close()
        self._dispatch()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drained.wait()
        except TimeoutError:
            log.error("desk_not_drained", waiting=len(self.queue))  # noqa: TRY400  nothing broke: nobody could work
        finally:
            self._hang_up()

    @property
    def worker_count(self) -> int:
        """How many workers are up."""
        return len(self._links)

    def submit(self, tickets: Sequence[Ticket]) -> None:
        """Queue tickets, all or none; their sinks get the answers. Raises Refused when full or draining."""
        if self._observer is not None:
            now = self._clock()
            for ticket in tickets:
                ticket.put_time = now
        self.queue.put(tickets)
        if self._free and not self._woken:
            # At the loop's next turn: what else it hears in this one comes along.
            self._woken = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Give every free worker a batch, if there is one for it."""
        self._woken = False
        while self._free:
            batch = self._again.popleft() if self._again else self._next_batch()
            if batch is None:
                break
            if self._observer is not None:
                batch.sent_time = self._clock()
            self._free.pop().send(batch)
        if self.queue.is_closed and self.queue.is_idle:
            self._drained.set()

    def _next_batch(self) -> _Batch | None:
        """What waits, without those that are late or cancelled: they are answered at once."""
        while taken := self.queue.take(self._batch_max):
            now = self._clock()
            late = [each for each in taken if each.cancelled or (each.deadline is not None and each.deadline < now)]
            if not late:
                return _Batch(taken, taken)
            self._deliver([(ticket, Refused(Reason.DEADLINE_PASSED)) for ticket in late])
            dropped = set(late)
            if live := [ticket for ticket in taken if ticket not in dropped]:
                return _Batch(taken, live)
            self.queue.done(taken)
        return None

    def _answered(self, link: "_Link", batch: _Batch, body: bytes) -> None:
        """A worker has committed its batch (or found that it cannot). It gets the next one before these are told."""
        answered = 0.0 if self._observer is None else self._clock()
        self._free.append(link)
        self.queue.done(batch.taken)
        self._dispatch()
        self._deliver(list(zip(batch.live, answers_of(body), strict=True)))
        if self._observer is not None:
            oldest = min(ticket.put_time for ticket in batch.live)
            self._observer.batch(len(batch.live), batch.sent_time - oldest, answered - batch.sent_time)

    def _lost(self, link: "_Link", batch: _Batch | None) -> None:
        """A worker ended. Its batch may be committed or not: another runs all of it again, the claims tell."""
        self._links.discard(link)
        if link in self._free:
            self._free.remove(link)
        if batch is not None:
            batch.deaths += 1
            if batch.deaths < DEATHS_MAX:
                self._again.append(batch)
            else:
                self.queue.done(batch.taken)
                error = StoreUnavailable("workers ended over this batch; its outcome is unknown until asked again")
                self._deliver([(ticket, error) for ticket in batch.live])
        if not self._closing:
            log.error("desk_worker_ended", commands=len(batch.live) if batch else 0)
            task = self._loop.create_task(self._reopen())
            self._reopening.add(task)
            task.add_done_callback(self._reopening.discard)
        self._dispatch()

    def _deliver(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        _hand_over(answers)
        if self._observer is not None:
            self._observer.answers(answers)

    async def _open(self) -> None:
        """Start one worker and wait until it says that it is ready."""
        ours = await asyncio.to_thread(self._open_worker)
        _, link = await self._loop.create_connection(lambda: _Link(self._answered, self._lost), sock=ours)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await link.ready
        except TimeoutError:
            link.close()  # even if it became ready in this very moment
            raise StoreUnavailable(f"a worker of the desk was not ready within {READY_SECONDS:.0f} s") from None
        except BaseException:
            link.close()
            raise
        self._links.add(link)
        self._free.append(link)
        self._dispatch()

    async def _reopen(self) -> None:
        """Until a worker is back: what waits, waits, and a full queue says so."""
        while True:
            await asyncio.sleep(REOPEN_PAUSE_SECONDS)
            try:
                return await self._open()
            except (OSError, StoreUnavailable) as error:
                log.warning("desk_worker_not_started", error=type(error).__name__)

    def _hang_up(self) -> None:
        self._closing = True
        for task in self._reopening:
            task.cancel()
        for link in self._links:
            link.close()


class _Link(asyncio.Protocol):
    """Our end of a worker's socket: a batch out, its answers in."""

    def __init__(
        self,
        answered: "Callable[[_Link, _Batch, bytes], None]",
        lost: "Callable[[_Link, _Batch | None], None]",
    ) -> None:
        self._answered = answered
        self._lost = lost
        self._batch: _Batch | None = None
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self.is_ready = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, batch: _Batch) -> None:
        """Hand a batch over; the worker must be free."""
        self._batch = batch
        if self._transport is not None:
            self._transport.write(commands_frame([ticket.command for ticket in batch.live]))

    def close(self) -> None:
        """Hang up; the worker ends."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """One message at a time is under way: the worker's first word, then the answers of the batch it has."""
        received = self._received
        received += data
        if len(received) < LENGTH_BYTES or len(received) < LENGTH_BYTES + int.from_bytes(
            received[:LENGTH_BYTES], "big"
        ):
            return
        self._received = bytearray()
        if self._batch is None:
            self.is_ready = True
            self.ready.set_result(None)
            return
        batch, self._batch = self._batch, None
        self._answered(self, batch, bytes(received[LENGTH_BYTES:]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  why does not matter
        batch, self._batch = self._batch, None
        if self.is_ready:
            self._lost(self, batch)
        elif not self.ready.done():
            self.ready.set_exception(StoreUnavailable("a worker of the desk ended before it was ready; see its log"))


def _hand_over(answers: Sequence[tuple[Ticket, Answer]]) -> None:
    """Hand every sink all its answers of this batch at once. A sink that fails must not stop the desk."""
    by_sink: dict[Sink, list[tuple[Ticket, Answer]]] = defaultdict(list)
    for ticket, answer in answers:
        by_sink[ticket.sink].append((ticket, answer))
    for sink, own in by_sink.items():
        try:
            sink.deliver(own)
        except Exception:
            log.exception("answers_undelivered", count=len(own))
