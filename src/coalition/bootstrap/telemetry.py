"""The watchtower, put together from the settings: metrics at `metrics_listen`, traces to `trace_endpoint`.

Without these settings nothing of it is loaded and nothing of it costs a call anything.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from coalition.bootstrap.clock import utc_now
from coalition.clearing.desk import Desk, DeskObserver
from coalition.config import Settings
from coalition.domain.reasons import Reason
from coalition.server.interceptor import Observe
from coalition.server.permissions import RULES
from coalition.server.status import reason_of
from coalition.server.tracing import Tracer
from coalition.storage import audit_tree, cursors
from coalition.storage import folds as folds_of
from coalition.storage.connect import Connection
from coalition.storage.folds import Fold

if TYPE_CHECKING:
    from coalition.telemetry import metrics, traces

LagOf: TypeAlias = Callable[[Connection, Callable[[], datetime]], cursors.Lag]

LOOK_SECONDS: Final = 1.0
"""How long a scrape waits for a connection; a scraper has ten seconds by default."""


class Pool(Protocol):
    """Connections to one database, and figures about them."""

    def connection(self, timeout: float) -> AbstractContextManager[Connection]: ...
    def get_stats(self) -> dict[str, int]: ...


class Telemetry:
    """What a server hands to its gate (`observe`, `tracer`) and its desk (`desk_observer`): each None where it is off.

    `draw` gives a number in [0, 1). `metrics_address` is set by `publish`, if metrics are on.
    """

    def __init__(self, settings: Settings, draw: Callable[[], float]) -> None:
        self._closing = ExitStack()
        self._listen = settings.metrics_listen
        self._metrics: metrics.Metrics | None = None
        self._traces: traces.Traces | None = None
        self.metrics_address: str | None = None
        if settings.metrics_listen is not None:
            from coalition.telemetry.metrics import Metrics  # noqa: PLC0415  loaded where it is wanted

            self._metrics = Metrics([method.removeprefix("/") for method in RULES], reason_of)
        if settings.trace_endpoint is not None:
            from coalition.telemetry.traces import Traces, otlp_exporter  # noqa: PLC0415  the same

            exporter = otlp_exporter(settings.trace_endpoint)
            self._traces = Traces(exporter, ratio=settings.trace_ratio, draw=draw, clock=time.monotonic)
            self._closing.callback(self._traces.close)

    @property
    def observe(self) -> Observe | None:
        """Told of every call."""
        if self._metrics is None:
            return None if self._traces is None else self._traces.rpc
        if self._traces is None:
            return self._metrics.rpc
        count, trace = self._metrics.rpc, self._traces.rpc

        def both(method: str, reason: Reason, seconds: float) -> None:
            count(method, reason, seconds)
            trace(method, reason, seconds)

        return both

    @property
    def tracer(self) -> Tracer | None:
        """Chooses the calls that are traced."""
        return self._traces

    @property
    def desk_observer(self) -> DeskObserver | None:
        """Told of every batch."""
        return self._metrics

    def watch(self, desk: Desk, pools: Mapping[str, Pool], folds: Sequence[Fold]) -> None:
        """What is looked up at every scrape; the pool named `ledger` is also how the lag of `folds` is read."""
        if self._metrics is None:
            return
        from coalition.telemetry.looks import Lag, Looks, Sources  # noqa: PLC0415  the same

        ledger = pools["ledger"]
        lags: dict[str, LagOf] = {fold.name: partial(folds_of.lag, fold) for fold in folds}
        lags[audit_tree.FOLLOWER] = audit_tree.lag

        def look(lag: LagOf) -> Callable[[], Lag]:
            def behind() -> Lag:
                with cursors.available(), ledger.connection(LOOK_SECONDS) as connection:
                    found = lag(connection, utc_now)
                return Lag(found.batches, found.seconds)

            return behind

        sources = Sources(
            queue_depth=lambda: len(desk.queue),
            desk_workers=lambda: desk.worker_count,
            pools={name: pool.get_stats for name, pool in pools.items()},
            followers={name: look(lag) for name, lag in lags.items()},
        )
        self._metrics.registry.register(Looks(sources))

    def publish(self) -> None:
        """Answer scrapes until `close`, if metrics are on. Raises MetricsAddressTaken."""
        if self._metrics is None or self._listen is None:
            return
        from coalition.telemetry.endpoint import MetricsEndpoint  # noqa: PLC0415  the same

        endpoint = MetricsEndpoint(self._listen, self._metrics.registry)
        self._closing.callback(endpoint.close)
        self.metrics_address = endpoint.address

    def close(self) -> None:
        """Answer no scrape any more; send the spans that wait."""
        self._closing.close()
