"""What is looked up when somebody asks: the queue, the workers, connection pools, how far followers are behind.

Runs on the thread of the asking, so nothing here costs a call anything. A database that does not answer is told by
`coalition_database_up` 0; then the lags are missing, and everything else is still there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from coalition.domain.errors import CoalitionError

MILLISECONDS: Final = 1000
# name, what a pool calls it, what it is.
POOL_GAUGES: Final = (
    ("coalition_pool_connections", "pool_size", "Connections that the pool holds now."),
    ("coalition_pool_connections_max", "pool_max", "Connections that the pool may hold."),
    ("coalition_pool_connections_idle", "pool_available", "Connections that nobody has borrowed."),
    ("coalition_pool_waiting", "requests_waiting", "Threads that wait for a connection now."),
)
POOL_COUNTERS: Final = (
    ("coalition_pool_requests", "requests_num", 1, "Connections asked for."),
    ("coalition_pool_request_errors", "requests_errors", 1, "Connections asked for in vain."),
    ("coalition_pool_wait_seconds", "requests_wait_ms", MILLISECONDS, "Seconds spent waiting for connections."),
    ("coalition_pool_connections_lost", "connections_lost", 1, "Connections that the database ended."),
)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a follower is behind: journal batches not yet folded, and the age of the oldest of them in seconds."""

    batches: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look. Pools and followers by name; a follower's look raises a CoalitionError when it cannot."""

    queue_depth: Callable[[], int]
    desk_workers: Callable[[], int]
    pools: Mapping[str, Callable[[], Mapping[str, int]]]
    followers: Mapping[str, Callable[[], Lag]]


class Looks(Collector):
    """Collects from its sources at every scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        sources = self._sources
        yield GaugeMetricFamily(
            "coalition_queue_depth", "Operations that wait before the desk.", value=sources.queue_depth()
        )
        yield GaugeMetricFamily(
            "coalition_desk_workers", "Workers of the desk that are up.", value=sources.desk_workers()
        )
        yield from self._pools()
        yield from self._followers()

    def describe(self) -> list[Metric]:
        """Nothing: the registry would collect to learn the names, and no database need answer yet."""
        return []

    def _pools(self) -> Iterator[Metric]:
        figures = {name: look() for name, look in self._sources.pools.items()}
        for metric, key, documentation in POOL_GAUGES:
            gauge = GaugeMetricFamily(metric, documentation, labels=("pool",))
            for name, stats in figures.items():
                gauge.add_metric((name,), stats.get(key, 0))
            yield gauge
        for metric, key, divisor, documentation in POOL_COUNTERS:
            counter = CounterMetricFamily(metric, documentation, labels=("pool",))
            for name, stats in figures.items():
                counter.add_metric((name,), stats.get(key, 0) / divisor)
            yield counter

    def _followers(self) -> Iterator[Metric]:
        batches = GaugeMetricFamily(
            "coalition_follower_lag_batches", "Journal batches that a follower has not folded.", labels=("follower",)
        )
        seconds = GaugeMetricFamily(
            "coalition_follower_lag_seconds", "Age of the oldest batch not folded, 0 for none.", labels=("follower",)
        )
        is_up = True
        for name, look in self._sources.followers.items():
            try:
                lag = look()
            except CoalitionError:
                is_up = False
                break
            batches.add_metric((name,), lag.batches)
            seconds.add_metric((name,), lag.seconds)
        yield GaugeMetricFamily("coalition_database_up", "Whether the ledger answered this scrape.", value=int(is_up))
        yield batches
        yield seconds
