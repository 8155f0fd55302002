"""What the server counts as it goes: calls, operations, batches.

Every label has few values, known beforehand: a method of the protos, a code, a reason, a kind. Never an identity, a
card, a member or a request id. Written by the event loop, read by the scraping thread.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from coalition.clearing.queue import Answer, Ticket
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.reasons import ADVICE, Reason

OTHER: Final = "other"
"""The method of every call whose name is not one of the protos': a stranger chose it, so it must not become a label."""
# Up to a till's patience of 8 s; a lone purchase takes about 3 ms, a busy one 20 to 100.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.5, 5.0, 8.0)
# Up to the largest batch a desk may take.
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_KIND_SHIFT: Final = 16

ReasonOf = Callable[[BaseException], Reason]


class _Count(Protocol):
    def __call__(self, amount: float = ...) -> None: ...


class Metrics:
    """The registry and what feeds it. `methods` are the full names of all RPCs; `reason_of` tells an error's reason."""

    def __init__(self, methods: Collection[str], reason_of: ReasonOf) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which only a restart changes
        self._methods = frozenset(methods)
        self._reason_of = reason_of
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._rpc = Counter("coalition_rpc", "Calls answered.", ("method", "code", "reason"), registry=self.registry)
        self._rpc_seconds = Histogram(
            "coalition_rpc_seconds",
            "Seconds from a call's arrival to its answer; of a stream, to its end.",
            ("method",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._operations = Counter(
            "coalition_operations",
            "Operations that the desk answered, one by one, stored answers given again too.",
            ("kind", "reason"),
            registry=self.registry,
        )
        self._batch_size = Histogram(
            "coalition_batch_size", "Operations in a batch of the desk.", buckets=SIZES, registry=self.registry
        )
        self._queue_wait = Histogram(
            "coalition_queue_wait_seconds",
            "How long the oldest operation of a batch waited for a worker.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "coalition_batch_seconds",
            "Seconds in which a worker decided a batch and committed it.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._rpcs: dict[tuple[str, Reason], tuple[_Count, Callable[[float], None]]] = {}
        self._answers: dict[int, _Count] = {}

    def rpc(self, method: str, reason: Reason, seconds: float) -> None:
        """Count one answered call. `method` is as gRPC spells it, with a leading slash."""
        bound = self._rpcs.get((method, reason))
        if bound is None:
            bound = self._bound(method, reason)
        count, observe = bound
        count()
        observe(seconds)

    def batch(self, size: int, oldest_wait_seconds: float, seconds: float) -> None:
        """Count one batch that a worker answered."""
        self._batch_size.observe(size)
        self._queue_wait.observe(oldest_wait_seconds)
        self._batch_seconds.observe(seconds)

    def answers(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """Count operations by what they were and how they ended."""
        counted: dict[int, int] = {}
        for ticket, answer in answers:
            reason = answer.reason if isinstance(answer, Outcome) else self._reason_of(answer)
            key = ticket.command.kind << _KIND_SHIFT | reason  # one integer: hashing two enums costs more than the rest
            counted[key] = counted.get(key, 0) + 1
        for key, number in counted.items():
            count = self._answers.get(key)
            if count is None:
                kind, reason = Kind(key >> _KIND_SHIFT), Reason(key & (1 << _KIND_SHIFT) - 1)
                count = self._answers[key] = self._operations.labels(kind.name, reason.name).inc
            count(number)

    def _bound(self, method: str, reason: Reason) -> tuple[_Count, Callable[[float], None]]:
        """The two series of a method and a reason. A stranger's name is not remembered."""
        known = method.removeprefix("/")
        name = known if known in self._methods else OTHER
        count = self._rpc.labels(name, code_of(reason), reason.name).inc
        bound = count, self._rpc_seconds.labels(name).observe
        if name != OTHER:
            self._rpcs[method, reason] = bound
        return bound


def code_of(reason: Reason) -> str:
    """The name of the gRPC code a reason is answered with."""
    return "OK" if reason is Reason.ACCEPTED else ADVICE[reason].status
