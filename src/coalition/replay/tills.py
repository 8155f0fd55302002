"""The tills of a month: planned operations sent by real clients, in each member's order, many members at a time.

Each worker owns a part of the members and a connection to every till server, so a member's operations never overtake
each other. Operations travel in batches; the answer to each is compared with the balance the plan expects. What a net
debit cap declines is no surprise: the member pays otherwise, and what that changes is told to who plans the next day.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple, Self
from zlib import crc32

from coalition.client import CallRefused, ClientCertificate, Connection, new_request_id
from coalition.replay.founding import Advance
from coalition.replay.plan import Planned
from coalition.replay.till_messages import SOLD_BY, differences, giving_back, selling
from coalition.v1 import operations_pb2, terminal_pb2

WORKERS: Final = 6
# A worker takes so many operations at a time; those of one till server travel together, at most BATCH_MAX in a message.
TURN: Final = 500
BATCH_MAX: Final = 500
SURPRISES_KEPT: Final = 20
CAPPED: Final = "PARTICIPANT_CAPPED"
SHORT: Final = "INSUFFICIENT_FUNDS"

Open = Callable[[str], Connection]


class Apart(NamedTuple):
    """By how much a member has more (below 0: less) than planned."""

    minor: int = 0
    points: int = 0


@dataclass(slots=True)
class Takings:
    """What the tills answered: counts by (kind, outcome), times of batches in seconds with their size, surprises, and
    the member of each request that was declined.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    amounts: Counter[str] = field(default_factory=Counter)
    latencies: list[tuple[float, int]] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    surprise_count: int = 0
    declined: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def operations(self) -> int:
        return sum(self.outcomes.values())

    def percentile_ms(self, share: float) -> float:
        """The answer time that `share` of the operations did not exceed; an operation waits as long as its batch."""
        wanted, seen = share * sum(count for _, count in self.latencies), 0
        for seconds, count in sorted(self.latencies):
            seen += count
            if seen >= wanted:
                return seconds * 1000
        return 0.0

    def surprise(self, sentence: str) -> None:
        """An answer that the plan did not expect; the first ones are kept word for word."""
        self.surprise_count += 1
        if len(self.surprises) < SURPRISES_KEPT:
            self.surprises.append(sentence)


class Tills:
    """The till servers of all merchants, and the cards that members show there."""

    def __init__(
        self,
        open_connection: Open,
        till_servers: Mapping[str, str],
        cards: Mapping[str, str],
        currency_code: str,
        clock: Callable[[], float] = time.perf_counter,
        *,
        may_be_capped: bool = False,
    ) -> None:
        self._open = open_connection
        self._till_servers = till_servers
        self._cards = cards
        self._currency_code = currency_code
        self._clock = clock
        self._may_be_capped = may_be_capped
        # request_id of each operation that may be given back, by (kind, reference, merchant).
        self._originals: dict[tuple[str, str, str], str] = {}
        # How much each member has more (or less, below 0) than planned since `apart` was asked last.
        self._apart: dict[str, Apart] = {}
        self._lock = Lock()
        # Of each worker to each till server it has spoken for; open until the tills close.
        self._connections: list[dict[str, Connection]] = [{} for _ in range(WORKERS)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def replay(self, operations: Iterable[Planned], takings: Takings, advance: Advance) -> None:
        """Send all operations and add what was answered to `takings`. Raises the client's errors for a whole batch."""
        shares: list[list[Planned]] = [[] for _ in range(WORKERS)]
        for operation in operations:
            shares[crc32(operation.member.encode()) % WORKERS].append(operation)
        started = self._clock()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="tills") as pool:
            work = zip(self._connections, shares, strict=True)
            for done in [pool.submit(self._work, mine, share, takings, advance) for mine, share in work]:
                done.result()
        takings.seconds += self._clock() - started

    def was_paid(self, basket: str, merchant: str) -> bool:
        """Whether this part of the basket was paid by card, or by a visit of a pass."""
        return any((kind, basket, merchant) in self._originals for kind in ("PURCHASE", "PASS_VISIT"))

    def apart(self) -> dict[str, Apart]:
        """By how much members' balances are not what was planned, because of declines; told once."""
        told, self._apart = self._apart, {}
        return told

    def _work(
        self, connections: dict[str, Connection], share: Sequence[Planned], takings: Takings, advance: Advance
    ) -> None:
        for first in range(0, len(share), TURN):
            for till_server, batch in self._waves(share[first : first + TURN]):
                if till_server not in connections:
                    connection = self._open(till_server)
                    with self._lock:
                        connections[till_server] = self._stack.enter_context(connection)
                self._submit(connections[till_server], batch, takings)
                advance(len(batch))

    def _waves(self, turn: Sequence[Planned]) -> Iterator[tuple[str, list[Planned]]]:
        """Batches of one till server each, such that every member's operations keep their order."""
        waiting: dict[str, deque[Planned]] = {}
        for operation in turn:
            waiting.setdefault(operation.member, deque()).append(operation)
        servers = sorted({self._till_servers[operation.merchant] for operation in turn})
        while waiting:
            for server in servers:
                batch: list[Planned] = []
                for queue in waiting.values():
                    while queue and self._till_servers[queue[0].merchant] == server and len(batch) < BATCH_MAX:
                        batch.append(queue.popleft())
                if batch:
                    yield server, batch
                    waiting = {member: queue for member, queue in waiting.items() if queue}

    def _submit(self, connection: Connection, batch: Sequence[Planned], takings: Takings) -> None:
        request = terminal_pb2.SubmitBatchRequest(operations=[self._message(operation) for operation in batch])
        started = self._clock()
        response = connection.call(connection.terminal.SubmitBatch, request)
        elapsed = self._clock() - started
        with self._lock:
            takings.latencies.append((elapsed, len(batch)))
            for operation, result in zip(batch, response.results, strict=True):
                self._count(takings, operation, result)

    def _message(self, planned: Planned) -> operations_pb2.Operation:
        request_id = new_request_id()
        if planned.kind in SOLD_BY:
            original = self._originals[SOLD_BY[planned.kind], planned.reference, planned.merchant]
            return giving_back(planned, request_id, original, self._currency_code)
        self._originals[planned.kind, planned.reference, planned.merchant] = request_id
        return selling(planned, request_id, self._cards[planned.member], self._currency_code)

    def _count(self, takings: Takings, planned: Planned, result: operations_pb2.OperationResult) -> None:
        apart = self._apart.get(planned.member, Apart())
        if result.HasField("receipt"):
            takings.outcomes[planned.kind, "ACCEPTED"] += 1
            takings.amounts[planned.kind] += planned.amount_minor
            for sentence in differences(planned, result.receipt, apart.minor, apart.points):
                takings.surprise(f"{planned.kind} of basket {planned.reference} at {planned.merchant}: {sentence}")
            return
        reason = CallRefused.from_status(result.error).reason
        takings.outcomes[planned.kind, reason] += 1
        takings.declined[result.request_id] = planned.member
        self._apart[planned.member] = Apart(apart.minor - planned.change_minor, apart.points - planned.points)
        self._originals.pop((planned.kind, planned.reference, planned.merchant), None)
        # Who was not sold value because of a cap is short of it afterwards.
        if not self._may_be_capped or not (reason == CAPPED or (reason == SHORT and apart.minor < 0)):
            takings.surprise(f"{planned.kind} of basket {planned.reference} at {planned.merchant}: refused, {reason}")


def till_opener(server: str, certificates: Callable[[str], ClientCertificate]) -> Open:
    """Opens a connection of its own for each worker and till server."""
    return lambda identity: Connection(server, certificates(identity), own_transport=True)
