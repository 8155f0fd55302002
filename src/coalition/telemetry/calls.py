"""Calls and operations, counted in plain integers and made into metrics when somebody asks.

The library's own counter and histogram take 2.5 us a call between them, this 1. One thread writes, the event loop's;
the scraping thread reads, and may see a call in one figure and not yet in the other.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from coalition.clearing.queue import Answer, Ticket
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.reasons import ADVICE, Reason

OTHER: Final = "other"
"""The method of every call whose name is not one of the protos': a stranger chose it, so it must not become a label."""
# Up to a till's patience of 8 s; a lone purchase takes about 3 ms, a busy one 20 to 100.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.5, 5.0, 8.0)
_BOUNDS: Final = (*map(floatToGoString, SECONDS), "+Inf")
_KIND_SHIFT: Final = 16

ReasonOf = Callable[[BaseException], Reason]


class _Method:
    """What became of the calls of one method: how many by reason, and how long they took."""

    __slots__ = ("by_reason", "by_seconds", "seconds")

    def __init__(self) -> None:
        self.by_reason = [0] * (max(Reason) + 1)
        self.by_seconds = [0] * len(_BOUNDS)
        self.seconds = 0.0


class Calls(Collector):
    """Counts. `methods` are the full names of all RPCs; `reason_of` tells an error's reason."""

    def __init__(self, methods: Collection[str], reason_of: ReasonOf) -> None:
        self._reason_of = reason_of
        self._other = _Method()
        self._methods = {f"/{method}": _Method() for method in methods}
        self._operations: dict[int, int] = {}

    def rpc(self, method: str, reason: Reason, seconds: float) -> None:
        """Count one answered call. `method` is as gRPC spells it, with a leading slash."""
        told = self._methods.get(method, self._other)
        told.by_reason[reason] += 1
        told.by_seconds[bisect_left(SECONDS, seconds)] += 1
        told.seconds += seconds

    def answers(self, answers: Sequence[tuple[Ticket, Answer]]) -> None:
        """Count operations by what they were and how they ended."""
        counted = self._operations
        for ticket, answer in answers:
            reason = answer.reason if isinstance(answer, Outcome) else self._reason_of(answer)
            key = ticket.command.kind << _KIND_SHIFT | reason  # one integer: hashing two enums costs more than the rest
            counted[key] = counted.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        rpc = CounterMetricFamily("coalition_rpc", "Calls answered.", labels=("method", "code", "reason"))
        rpc_seconds = HistogramMetricFamily(
            "coalition_rpc_seconds",
            "Seconds from a call's arrival to its answer; of a stream, to its end.",
            labels=("method",),
        )
        for method, told in [*self._methods.items(), (OTHER, self._other)]:
            name = method.removeprefix("/")
            for number, count in enumerate(told.by_reason):
                if count:
                    reason = Reason(number)
                    rpc.add_metric((name, code_of(reason), reason.name), count)
            if any(told.by_seconds):
                rpc_seconds.add_metric((name,), _cumulative(told.by_seconds), told.seconds)
        operations = CounterMetricFamily(
            "coalition_operations",
            "Operations that the desk answered, one by one, stored answers given again too.",
            labels=("kind", "reason"),
        )
        for key, count in self._operations.copy().items():
            kind, reason = Kind(key >> _KIND_SHIFT), Reason(key & (1 << _KIND_SHIFT) - 1)
            operations.add_metric((kind.name, reason.name), count)
        return iter((rpc, rpc_seconds, operations))


def code_of(reason: Reason) -> str:
    """The name of the gRPC code a reason is answered with."""
    return "OK" if reason is Reason.ACCEPTED else ADVICE[reason].status


def _cumulative(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each holds those before it too."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip(_BOUNDS, counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
