"""Traces: a span for one call in a hundred, or where the caller traces it, sent over OTLP/HTTP in the background.

The choice is made here and not by the library, whose unsampled span costs more than all other figures of a call
together. A span tells method, code, reason and journal batch; never an identity, a card, a request id or a message.
"""

import logging
import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from coalition.domain.reasons import Reason
from coalition.telemetry.calls import code_of

SPANS_MAX: Final = 2_048
"""Spans that may wait for the collector; while it does not answer, older ones give way."""
EXPORT_MAX: Final = 512
EXPORT_SECONDS: Final = 5.0
PAUSE_MILLISECONDS: Final = 1_000
FOLLOWED_PER_SECOND_MAX: Final = 100
"""Calls a second that are traced because their callers say so: a client cannot have all of its calls traced."""
# Codes that tell of the server's trouble; a decline is an answer and no error of the call.
SERVER_TROUBLE: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
CANCELLED: Final = "CANCELLED"
# W3C Trace Context, section 3.2.
TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(-.*)?", re.ASCII
)
SAMPLED: Final = 1

log = structlog.get_logger(__name__)


class CallSpan:
    """One call that is traced, from its arrival to `end`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._is_answered = False

    def enter(self) -> None:
        """The call's own task begins to work: what it answers is told to this span."""
        _current.set(self)

    def answered(self, reason: Reason) -> None:
        """The call's answer, before it is sent."""
        self._is_answered = True
        code = code_of(reason)
        self._span.set_attributes({"rpc.response.status_code": code, "coalition.reason": reason.name})
        if code in SERVER_TROUBLE:
            self._span.set_status(StatusCode.ERROR)

    def posted(self, batch_number: int) -> None:
        """The journal batch that holds what the call did."""
        self._span.add_event("posted", {"coalition.batch_number": batch_number})

    def end(self) -> None:
        """The call is over; without an answer it was cancelled."""
        if not self._is_answered:
            self._span.set_attribute("rpc.response.status_code", CANCELLED)
        self._span.end()


_current: ContextVar[CallSpan | None] = ContextVar("call_span", default=None)


class Traces:
    """Begins spans. `ratio` of the calls whose callers say nothing are traced; `draw` gives a number in [0, 1).

    `clock` is monotonic, in seconds. Spans go to `exporter`; `close` sends what waits.
    """

    def __init__(
        self, exporter: SpanExporter, *, ratio: float, draw: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        # The library tells its troubles in prose, and may quote what a collector answered; ours are told below.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._ratio = ratio
        self._draw = draw
        self._clock = clock
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource({"service.name": "coalition"}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Telling(exporter),
                max_queue_size=SPANS_MAX,
                schedule_delay_millis=PAUSE_MILLISECONDS,
                max_export_batch_size=EXPORT_MAX,
                export_timeout_millis=EXPORT_SECONDS * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("coalition")
        self._propagator = TraceContextTextMapPropagator()
        self._second = 0
        self._followed = 0

    def begin(self, method: str, traceparent: str | None) -> CallSpan | None:
        """A span if this call is to be traced. `traceparent` is the caller's W3C header; a malformed one is none."""
        parent = Context()
        if traceparent is not None and (header := TRACEPARENT.fullmatch(traceparent)):
            # Read here first: the library takes 8 us for what mostly says no.
            if not int(header["flags"], 16) & SAMPLED or not self._may_follow():
                return None
            parent = self._propagator.extract({"traceparent": traceparent}, parent)
        elif self._draw() >= self._ratio:
            return None
        service, _, name = method.removeprefix("/").partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        return CallSpan(
            self._tracer.start_span(f"{service}/{name}", context=parent, kind=SpanKind.SERVER, attributes=attributes)
        )

    def rpc(self, method: str, reason: Reason, seconds: float) -> None:  # noqa: ARG002  the span knows the others
        """Tell the span of the present call, if it has one, how it ended."""
        span = _current.get()
        if span is not None:
            span.answered(reason)

    def close(self) -> None:
        """Send what waits, within `EXPORT_SECONDS`, and stop."""
        self._provider.shutdown()

    def _may_follow(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._followed = second, 0
        self._followed += 1
        return self._followed <= FOLLOWED_PER_SECOND_MAX


class _Telling(SpanExporter):
    """An exporter that says in the log when a collector stops answering and when it answers again, once each."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        works = result is SpanExportResult.SUCCESS
        if works != self._works:
            self._works = works
            (log.info if works else log.warning)(
                "traces_exported" if works else "traces_not_exported", spans=len(spans)
            )
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Sends spans to a collector's URL, such as http://127.0.0.1:4318/v1/traces."""
    return OTLPSpanExporter(endpoint=endpoint, headers={}, timeout=EXPORT_SECONDS)
