"""What the server counts as it goes: calls, operations, batches.

Every label has few values, known beforehand: a method of the protos, a code, a reason, a kind. Never an identity, a
card, a member or a request id.
"""

from collections.abc import Collection
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, Histogram, ProcessCollector, disable_created_metrics

from coalition.telemetry.calls import SECONDS, Calls, ReasonOf

# Up to the largest batch a desk may take.
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Metrics:
    """The registry and what feeds it. `methods` are the full names of all RPCs; `reason_of` tells an error's reason."""

    def __init__(self, methods: Collection[str], reason_of: ReasonOf) -> None:
        # A second series for each of the library's, which only a restart changes.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        calls = Calls(methods, reason_of)
        self.registry.register(calls)
        self.rpc = calls.rpc
        self.answers = calls.answers
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

    def batch(self, size: int, oldest_wait_seconds: float, seconds: float) -> None:
        """Count one batch that a worker answered."""
        self._batch_size.observe(size)
        self._queue_wait.observe(oldest_wait_seconds)
        self._batch_seconds.observe(seconds)
