"""The queue before the desk: bounded, one line an identity, lines served in turn, order kept within a line."""

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coalition.domain.commands import Command
from coalition.domain.errors import Refused
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason

Answer = Outcome | Exception


class Sink(Protocol):
    """Where answers go. `deliver` is called on the desk's thread, once a batch, with everything of that batch."""

    def deliver(self, answers: Sequence[tuple["Ticket", Answer]]) -> None: ...


@dataclass(slots=True, eq=False)
class Ticket:
    """A command waiting for its answer. Cancelled is heeded only until the desk takes it; afterwards it commits."""

    command: Command
    sink: Sink
    deadline: float | None = None
    cancelled: bool = False
    context: object = None


class FairQueue:
    """Holds at most `bound` tickets. Any thread may put; the desk's thread takes."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lines: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._size = 0
        self._closed = False
        self._ready = threading.Condition()

    def put(self, tickets: Sequence[Ticket]) -> None:
        """Queue all of them or none. Raises Refused(QUEUE_FULL) or Refused(SERVER_DRAINING)."""
        with self._ready:
            if self._closed:
                raise Refused(Reason.SERVER_DRAINING)
            if self._size + len(tickets) > self._bound:
                raise Refused(Reason.QUEUE_FULL, metadata={"queue_bound": str(self._bound)})
            for ticket in tickets:
                line = self._lines.get(ticket.command.actor)
                if line is None:
                    line = self._lines[ticket.command.actor] = deque()
                line.append(ticket)
            self._size += len(tickets)
            self._ready.notify()

    def take(self, most: int) -> list[Ticket]:
        """Wait for work and take up to `most`, one of each line in turn. Empty only when closed and drained."""
        with self._ready:
            while not self._size and not self._closed:
                self._ready.wait()
            taken: list[Ticket] = []
            while self._size and len(taken) < most:
                actor, line = self._lines.popitem(last=False)
                taken.append(line.popleft())
                self._size -= 1
                if line:
                    self._lines[actor] = line
            return taken

    def close(self) -> None:
        """Refuse new work; what waits is still taken."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def __len__(self) -> int:
        return self._size
