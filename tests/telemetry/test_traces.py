"""Traces: which calls get a span, what it says, and what becomes of spans that nobody takes."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from coalition.domain.reasons import Reason
from coalition.telemetry.traces import FOLLOWED_PER_SECOND_MAX, SPANS_MAX, Traces, otlp_exporter
from tests.telemetry.collector import attributes, running_collector

METHOD = "/coalition.v1.TerminalService/Purchase"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"


class Kept(SpanExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


@pytest.fixture
def kept() -> Kept:
    return Kept()


Make = Callable[..., Traces]


@pytest.fixture
def make(kept: Kept) -> Iterator[Make]:
    made: list[Traces] = []

    def traces(
        draw: Callable[[], float] = lambda: 0.0, *, exporter: SpanExporter = kept, ratio: float = 0.01
    ) -> Traces:
        made.append(Traces(exporter, ratio=ratio, draw=draw, clock=lambda: 7.0))
        return made[-1]

    yield traces
    for each in made:
        each.close()


def test_a_call_is_traced_when_the_draw_falls_below_the_ratio(make: Make):
    draws = iter([0.009, 0.01, 0.5])
    traces = make(lambda: next(draws))

    assert [True, False, False] == [traces.begin(METHOD, None) is not None for _ in range(3)]


def test_a_ratio_of_zero_traces_nothing_and_of_one_everything(make: Make):
    assert make(lambda: 0.0, ratio=0.0).begin(METHOD, None) is None
    assert make(lambda: 0.999_999, ratio=1.0).begin(METHOD, None) is not None


def test_a_callers_choice_wins_over_the_draw(make: Make, kept: Kept):
    traces = make(lambda: 0.999)
    followed = traces.begin(METHOD, SAMPLED)
    assert followed is not None
    followed.end()
    traces.close()

    (span,) = kept.spans
    assert TRACE == f"{span.context.trace_id:032x}"
    assert span.parent is not None
    assert "00f067aa0ba902b7" == f"{span.parent.span_id:016x}"
    assert make(lambda: 0.0).begin(METHOD, UNSAMPLED) is None


@pytest.mark.parametrize(
    "said",
    [
        "",
        "00-short-01",
        "not a header",
        "9471305826409175",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
    ],
)
def test_a_malformed_traceparent_is_none_and_is_written_nowhere(make: Make, kept: Kept, said: str):
    assert make(lambda: 0.999).begin(METHOD, said) is None
    traces = make(lambda: 0.0)
    span = traces.begin(METHOD, said)
    assert span is not None
    span.end()
    traces.close()

    assert kept.spans[0].parent is None
    assert not said or said not in kept.spans[0].to_json()


def test_a_client_cannot_have_all_of_its_calls_traced(make: Make):
    """A span costs more than most of a call; who asks for one each time would pay for it with other tills' time."""
    traces = make(lambda: 0.999)

    begun = [traces.begin(METHOD, SAMPLED) for _ in range(FOLLOWED_PER_SECOND_MAX + 50)]

    assert FOLLOWED_PER_SECOND_MAX == sum(span is not None for span in begun)


def test_a_span_tells_method_code_reason_and_batch(make: Make, kept: Kept):
    traces = make()
    span = traces.begin(METHOD, None)
    assert span is not None
    span.enter()
    traces.rpc(METHOD, Reason.ACCEPTED, 0.003)
    span.posted(4711)
    span.end()
    traces.close()

    told = json.loads(kept.spans[0].to_json())
    assert "coalition.v1.TerminalService/Purchase" == told["name"]
    assert {
        "rpc.system": "grpc",
        "rpc.service": "coalition.v1.TerminalService",
        "rpc.method": "Purchase",
        "rpc.response.status_code": "OK",
        "coalition.reason": "ACCEPTED",
    } == told["attributes"]
    assert [("posted", {"coalition.batch_number": 4711})] == [(e["name"], e["attributes"]) for e in told["events"]]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.INSUFFICIENT_FUNDS, StatusCode.UNSET),
        (Reason.PERMISSION_DENIED, StatusCode.UNSET),
        (Reason.DATABASE_UNAVAILABLE, StatusCode.ERROR),
        (Reason.INTERNAL, StatusCode.ERROR),
    ],
)
def test_a_decline_is_an_answer_and_only_the_servers_trouble_is_an_error(make: Make, kept: Kept, reason, status):
    traces = make()
    span = traces.begin(METHOD, None)
    assert span is not None
    span.enter()
    traces.rpc(METHOD, reason, 0.003)
    span.end()
    traces.close()

    assert status == kept.spans[0].status.status_code


def test_spans_arrive_at_a_collector_over_http(make: Make):
    with running_collector() as collector:
        traces = make(exporter=otlp_exporter(collector.endpoint))
        span = traces.begin(METHOD, None)
        assert span is not None
        span.end()
        traces.close()

        (arrived,) = collector.spans()
        assert "CANCELLED" == attributes(arrived)["rpc.response.status_code"]


def test_a_collector_that_is_down_costs_a_bounded_queue_and_two_lines_of_log(make: Make):
    """Payments go on; what is lost is told once, and that it is over too."""
    works = False
    given: list[int] = []

    class Moody(Kept):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            given.append(len(spans))
            return SpanExportResult.SUCCESS if works else SpanExportResult.FAILURE

    def rush(count: int) -> None:
        for _ in range(count):
            span = traces.begin(METHOD, None)
            assert span is not None
            span.end()

    def settle() -> None:
        traces._provider.force_flush()

    with structlog.testing.capture_logs() as logs:
        traces = make(exporter=Moody())
        started = time.monotonic()
        rush(SPANS_MAX * 2)
        settle()
        rush(1)
        settle()
        works = True
        rush(1)
        traces.close()
        seconds = time.monotonic() - started

    assert ["traces_not_exported", "traces_exported"] == [each["event"] for each in logs]
    assert 20 > seconds
