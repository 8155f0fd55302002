"""Metrics: what is counted, under which few labels, and the page they stand on."""

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from coalition.domain.errors import Refused, StoreUnavailable
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.server.status import reason_of
from coalition.telemetry.endpoint import MetricsAddressTaken, MetricsEndpoint
from coalition.telemetry.looks import Lag, Looks, Sources
from coalition.telemetry.metrics import Metrics
from tests.telemetry.answers import told
from tests.telemetry.scrape import page, samples, value

PURCHASE = "coalition.v1.TerminalService/Purchase"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics([PURCHASE], reason_of)


def shown(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_a_call_is_counted_by_method_code_and_reason(metrics: Metrics):
    metrics.rpc(f"/{PURCHASE}", Reason.ACCEPTED, 0.003)
    metrics.rpc(f"/{PURCHASE}", Reason.ACCEPTED, 0.003)
    metrics.rpc(f"/{PURCHASE}", Reason.INSUFFICIENT_FUNDS, 0.003)

    text = shown(metrics)
    assert 2 == value(text, "coalition_rpc_total", method=PURCHASE, code="OK", reason="ACCEPTED")
    declined = {"method": PURCHASE, "code": "FAILED_PRECONDITION", "reason": "INSUFFICIENT_FUNDS"}
    assert 1 == value(text, "coalition_rpc_total", **declined)
    assert 3 == value(text, "coalition_rpc_seconds_count", method=PURCHASE)
    assert 0 == value(text, "coalition_rpc_seconds_bucket", method=PURCHASE, le="0.0025")
    assert 3 == value(text, "coalition_rpc_seconds_bucket", method=PURCHASE, le="0.005")


def test_every_reason_has_a_code(metrics: Metrics):
    for reason in Reason:
        metrics.rpc(f"/{PURCHASE}", reason, 0.001)

    assert len(Reason) == sum(name == "coalition_rpc_total" for name, _ in samples(shown(metrics)))


def test_a_strangers_methods_are_one_label_and_are_not_remembered(metrics: Metrics):
    """Else whoever may connect fills the server's memory and Prometheus' with names of his own."""
    for number in range(1_000):
        metrics.rpc(f"/stranger.Service/Call{number}", Reason.PERMISSION_DENIED, 0.001)

    text = shown(metrics)
    denied = {"method": "other", "code": "PERMISSION_DENIED", "reason": "PERMISSION_DENIED"}
    assert 1_000 == value(text, "coalition_rpc_total", **denied)
    assert "stranger" not in text
    assert 1 == sum(name == "coalition_rpc_total" for name, _ in samples(text))


def test_operations_are_counted_by_kind_and_reason(metrics: Metrics):
    metrics.answers(
        [
            told(Kind.PURCHASE, Refused(Reason.QUEUE_FULL)),
            told(Kind.PURCHASE, Refused(Reason.QUEUE_FULL)),
            told(Kind.REFUND, StoreUnavailable("gone")),
            told(Kind.REFUND, ValueError("a mistake of ours")),
        ]
    )

    found = {
        (dict(labels)["kind"], dict(labels)["reason"]): count
        for (name, labels), count in samples(shown(metrics)).items()
        if name == "coalition_operations_total"
    }
    expected = {("PURCHASE", "QUEUE_FULL"): 2, ("REFUND", "DATABASE_UNAVAILABLE"): 1, ("REFUND", "INTERNAL"): 1}
    assert expected == found


def look(lag: Lag | None) -> str:
    def follower() -> Lag:
        if lag is None:
            raise StoreUnavailable("gone")
        return lag

    registry = CollectorRegistry()
    pools = {"ledger": lambda: {"pool_size": 3, "pool_max": 12, "requests_num": 40, "requests_wait_ms": 1_500}}
    registry.register(Looks(Sources(lambda: 7, lambda: 3, pools, {"positions": follower})))
    return generate_latest(registry).decode()


def test_what_is_looked_up_is_as_it_is_at_the_scrape():
    text = look(Lag(12, 0.5))

    assert 7 == value(text, "coalition_queue_depth")
    assert 3 == value(text, "coalition_desk_workers")
    assert 12 == value(text, "coalition_follower_lag_batches", follower="positions")
    assert 0.5 == value(text, "coalition_follower_lag_seconds", follower="positions")
    assert 3 == value(text, "coalition_pool_connections", pool="ledger")
    assert 1.5 == value(text, "coalition_pool_wait_seconds_total", pool="ledger")
    assert 0 == value(text, "coalition_pool_request_errors_total", pool="ledger")
    assert 1 == value(text, "coalition_database_up")


def test_a_database_that_does_not_answer_takes_only_the_lags_from_the_page():
    """The page is wanted most when something is broken."""
    text = look(None)

    assert 0 == value(text, "coalition_database_up")
    assert value(text, "coalition_follower_lag_batches", follower="positions") is None
    assert 7 == value(text, "coalition_queue_depth")


def test_the_page_has_one_path(metrics: Metrics):
    endpoint = MetricsEndpoint("127.0.0.1:0", metrics.registry)
    try:
        assert "coalition_batch_size_count 0.0" in page(endpoint.address)
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"http://{endpoint.address}/", timeout=10)
        assert 404 == missing.value.code
    finally:
        endpoint.close()


def test_a_scraper_that_says_nothing_holds_up_the_others_for_a_bounded_time(metrics: Metrics, monkeypatch):
    monkeypatch.setattr("coalition.telemetry.endpoint.REQUEST_SECONDS", 0.2)
    endpoint = MetricsEndpoint("127.0.0.1:0", metrics.registry)
    host, _, port = endpoint.address.rpartition(":")
    try:
        with socket.create_connection((host, int(port))):
            assert "coalition_batch_size_count" in page(endpoint.address)
    finally:
        endpoint.close()


def test_an_address_that_is_taken_is_told_with_its_setting(metrics: Metrics):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(MetricsAddressTaken) as refused:
        MetricsEndpoint(f"127.0.0.1:{taken.getsockname()[1]}", metrics.registry)

    assert "COALITION_METRICS_LISTEN" in str(refused.value)
