"""The desk: takes what waits, decides it as one batch, writes once, answers after the commit (DESIGN section 4).

A thread of its own, because database I/O on the server's event loop would wait behind every request being parsed. A
lone command never waits for a timer: the next batch is whatever queued up while the one before was committing.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from coalition.clearing.batch import run_batch
from coalition.clearing.queue import Answer, FairQueue, Sink, Ticket
from coalition.clearing.store import Store
from coalition.domain.errors import Contention, NoOpenWindow, Refused, StoreUnavailable
from coalition.domain.reasons import Reason

CONTENTION_TRIES: Final = 10
# A killed PostgreSQL is back within seconds here and a failover takes 20 s (DESIGN section 6); a terminal waits 8 s.
UNAVAILABLE_TRIES: Final = 40
UNAVAILABLE_PAUSE_SECONDS: Final = 0.1
CONTENTION_PAUSE_SECONDS: Final = 0.002

log = structlog.get_logger(__name__)


class Desk:
    """Runs until `close`. `batch_max` bounds a batch (at most 4,096), `queue_max` what may wait before it.

    Works with one thread a store. With two, one batch is decided while the database writes the other.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        *,
        batch_max: int,
        queue_max: int,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._stores = stores
        self._batch_max = batch_max
        self._clock = clock
        self._pause = pause
        self.queue = FairQueue(queue_max)
        self._threads = [
            threading.Thread(target=self._run, args=(store,), name=f"desk {number}", daemon=True)
            for number, store in enumerate(stores)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def submit(self, tickets: Sequence[Ticket]) -> None:
        """Queue tickets, all or none; their sinks get the answers. Raises Refused when full or draining."""
        self.queue.put(tickets)

    def close(self) -> None:
        """Take no more, answer all that waits, stop."""
        self.queue.close()
        for thread, store in zip(self._threads, self._stores, strict=True):
            thread.join()
            store.close()

    def _run(self, store: Store) -> None:
        while tickets := self.queue.take(self._batch_max):
            now = self._clock()
            answers: list[tuple[Ticket, Answer]] = []
            live: list[Ticket] = []
            for ticket in tickets:
                if ticket.cancelled or (ticket.deadline is not None and ticket.deadline < now):
                    answers.append((ticket, Refused(Reason.DEADLINE_PASSED)))
                else:
                    live.append(ticket)
            if live:
                answers += zip(live, self._answers(store, live), strict=True)
            self.queue.done(tickets)
            _deliver(answers)

    def _answers(self, store: Store, tickets: list[Ticket]) -> Sequence[Answer]:
        """Run the batch until it is answered; only a deterministic error halves it, first half first."""
        commands = [ticket.command for ticket in tickets]
        contentions = outages = 0
        while True:
            try:
                return run_batch(store, commands)
            except Contention as error:
                contentions += 1
                if contentions >= CONTENTION_TRIES:
                    log.warning("batch_contended", commands=len(commands), tries=contentions)
                    return [error] * len(commands)
                self._pause(CONTENTION_PAUSE_SECONDS * contentions)
            except StoreUnavailable as error:
                outages += 1
                if outages >= UNAVAILABLE_TRIES:
                    log.warning("store_unavailable", commands=len(commands), tries=outages)
                    return [error] * len(commands)
                self._pause(UNAVAILABLE_PAUSE_SECONDS)
            except Exception as error:
                if len(commands) == 1:
                    if not isinstance(error, NoOpenWindow):
                        log.exception("command_failed", request_id=str(commands[0].request_id))
                    return [error]
                log.warning("batch_halved", commands=len(commands), error=type(error).__name__)
                half = len(tickets) // 2
                return [*self._answers(store, tickets[:half]), *self._answers(store, tickets[half:])]


def _deliver(answers: Sequence[tuple[Ticket, Answer]]) -> None:
    """Hand every sink all its answers of this batch at once. A sink that fails must not stop the desk."""
    by_sink: dict[Sink, list[tuple[Ticket, Answer]]] = defaultdict(list)
    for ticket, answer in answers:
        by_sink[ticket.sink].append((ticket, answer))
    for sink, own in by_sink.items():
        try:
            sink.deliver(own)
        except Exception:
            log.exception("answers_undelivered", count=len(own))
