"""The queue before the desk: bounded, one line an identity, lines served in turn, order kept where it means something.

Several batches may be under way at once. A wallet's next operation and a stream's next operation wait for the batch
that holds the one before, so that batches never wait for each other's locks and a stream's order is never lost.

Belongs to the event loop, as everything that puts and takes does: no locks.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from coalition.domain.commands import Command
from coalition.domain.errors import Refused
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason

OVERLAP_FROM: Final = 256
"""So many must wait before a second batch begins beside one that is under way: small ones are better kept together."""

Answer = Outcome | Exception


class Sink(Protocol):
    """Where answers go. `deliver` is called on the loop, once a batch, with all of that batch that is its own."""

    def deliver(self, answers: Sequence[tuple["Ticket", Answer]]) -> None: ...


@dataclass(slots=True, eq=False)
class Ticket:
    """A command waiting for its answer. Cancelled is heeded only until the desk takes it; afterwards it commits.

    Tickets of one `stream` are decided in the order they were put; None stands alone. `put_time` is set only for a desk
    that somebody observes.
    """

    command: Command
    sink: Sink
    deadline: float | None = None
    cancelled: bool = False
    context: object = None
    stream: Hashable = None
    put_time: float = 0.0


class FairQueue:
    """Holds at most `bound` tickets. What is taken is under way until `done` is called with it."""

    def __init__(self, bound: int, *, overlap_from: int = OVERLAP_FROM) -> None:
        self._bound = bound
        self._overlap_from = overlap_from
        self._lines: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._size = 0
        self._batches = 0
        self._busy: set[Hashable] = set()
        self.is_closed = False

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._size and not self._batches

    def put(self, tickets: Sequence[Ticket]) -> None:
        """Queue all of them or none. Raises Refused(QUEUE_FULL) or Refused(SERVER_DRAINING)."""
        if self.is_closed:
            raise Refused(Reason.SERVER_DRAINING)
        if self._size + len(tickets) > self._bound:
            raise Refused(Reason.QUEUE_FULL, metadata={"queue_bound": str(self._bound)})
        for ticket in tickets:
            line = self._lines.get(ticket.command.actor)
            if line is None:
                line = self._lines[ticket.command.actor] = deque()
            line.append(ticket)
        self._size += len(tickets)

    def take(self, most: int) -> list[Ticket]:
        """Up to `most`, one of each line in turn; empty when nothing is free to go now."""
        if not self._size or (self._batches and self._size < self._overlap_from):
            return []
        taken = self._pick(most)
        if taken:
            self._batches += 1
        return taken

    def done(self, tickets: Sequence[Ticket]) -> None:
        """The batch of these tickets is over: whoever waited for its wallets and streams may go on."""
        self._batches -= 1
        for ticket in tickets:
            self._busy.discard(ticket.stream)
            self._busy.discard(_card(ticket))

    def close(self) -> None:
        """Refuse new work; what waits is still taken."""
        self.is_closed = True

    def __len__(self) -> int:
        return self._size

    def _pick(self, most: int) -> list[Ticket]:
        """Serve the lines in turn; what another batch holds up goes back to the head of its line."""
        taken: list[Ticket] = []
        held_up: list[Ticket] = []
        waiting: set[Hashable] = set()
        while self._lines and len(taken) < most:
            actor, line = self._lines.popitem(last=False)
            ticket = line.popleft()
            stream, token = ticket.stream, _card(ticket)
            if stream in self._busy or token in self._busy or stream in waiting or token in waiting:
                held_up.append(ticket)
                waiting.update((stream, token))
                waiting.discard(None)
            else:
                taken.append(ticket)
            if line:
                self._lines[actor] = line
        for ticket in reversed(held_up):
            self._lines.setdefault(ticket.command.actor, deque()).appendleft(ticket)
        for ticket in taken:
            self._busy.update((ticket.stream, _card(ticket)))
        self._busy.discard(None)
        self._size -= len(taken)
        return taken


def _card(ticket: Ticket) -> bytes | None:
    """The card an operation names; a refund names its purchase instead, and the database's locks settle that."""
    return getattr(ticket.command, "token", None)
