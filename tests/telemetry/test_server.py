"""A real server that is watched: real calls over mutual TLS, then its page of metrics and its spans."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pytest

from coalition.telemetry.endpoint import MetricsAddressTaken
from coalition.v1.operations_pb2 import Operation, PurchaseRequest, TopUpRequest
from coalition.v1.terminal_pb2 import GetBalanceRequest, StreamRequest, SubmitBatchRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House, new_id
from tests.telemetry.collector import Collected, attributes, running_collector
from tests.telemetry.scrape import page, samples, value

PURCHASE = "coalition.v1.TerminalService/Purchase"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SETTLE_SECONDS = 10.0
T = TypeVar("T")


@dataclass
class Watched:
    """A server with metrics and with every call traced; `page()` reads its metrics."""

    house: House
    address: str
    metrics_address: str
    collector: Collected
    card: str
    request_ids: list[str]

    def page(self) -> str:
        return page(self.metrics_address)

    def stub(self, path: str) -> TerminalServiceStub:
        return TerminalServiceStub(grpc.secure_channel(self.address, self.house.certificate(path).credentials()))

    def purchase(self, amount_minor: int) -> PurchaseRequest:
        self.request_ids.append(new_id())
        return PurchaseRequest(
            request_id=self.request_ids[-1], card_number=self.card, amount_minor=amount_minor, currency_code="CNY"
        )

    def spans_of(self, trace_id: str) -> list[dict[str, str | int]]:
        """What the spans of one trace say, once they have arrived."""
        found = self.wait(lambda: [s for s in self.collector.spans() if s.trace_id.hex() == trace_id])
        return [attributes(span) | {"events": len(span.events)} for span in found]

    @staticmethod
    def wait(look: Callable[[], T]) -> T:
        """What `look` finds; spans come a second late."""
        until = time.monotonic() + SETTLE_SECONDS
        while not (found := look()):
            assert time.monotonic() < until, "nothing came"
            time.sleep(0.02)
        return found


@pytest.fixture(scope="module")
def watched(house: House) -> Iterator[Watched]:
    with (
        running_collector() as collector,
        house.server(metrics_listen="127.0.0.1:0", trace_endpoint=collector.endpoint, trace_ratio=1.0) as (rooms, at),
    ):
        assert rooms.metrics_address is not None
        here = Watched(house, at, rooms.metrics_address, collector, house.new_card(), [])
        here.stub("t/store-a/main/till-1").TopUp(
            TopUpRequest(
                request_id=new_id(), card_number=here.card, amount_minor=100_000, currency_code="CNY", issuer="store-a"
            )
        )
        yield here


def test_calls_operations_and_batches_are_counted(watched: Watched):
    till = watched.stub("t/cafe/main/till-1")
    before = watched.page()
    for amount in (100, 200, 300):
        till.Purchase(watched.purchase(amount))
    with pytest.raises(grpc.RpcError):
        till.Purchase(watched.purchase(9_000_000))
    operations = [Operation(purchase=watched.purchase(10)) for _ in range(5)]
    till.SubmitBatch(SubmitBatchRequest(operations=operations))
    after = watched.page()

    def more(name: str, **labels: str) -> float:
        return (value(after, name, **labels) or 0) - (value(before, name, **labels) or 0)

    assert 3 == more("coalition_rpc_total", method=PURCHASE, code="OK", reason="ACCEPTED")
    declined = {"method": PURCHASE, "code": "FAILED_PRECONDITION", "reason": "INSUFFICIENT_FUNDS"}
    assert 1 == more("coalition_rpc_total", **declined)
    assert 4 == more("coalition_rpc_seconds_count", method=PURCHASE)
    assert 8 == more("coalition_operations_total", kind="PURCHASE", reason="ACCEPTED")
    assert 1 == more("coalition_operations_total", kind="PURCHASE", reason="INSUFFICIENT_FUNDS")
    assert 9 == more("coalition_batch_size_sum")
    assert 5 <= more("coalition_batch_seconds_count") == more("coalition_queue_wait_seconds_count")
    assert 0 < more("coalition_batch_seconds_sum") < 60
    assert 0 <= more("coalition_queue_wait_seconds_sum") < 60


def test_what_is_looked_up_is_the_servers_own(watched: Watched):
    text = watched.page()

    assert watched.house.settings.desk_workers == value(text, "coalition_desk_workers")
    assert 0 == value(text, "coalition_queue_depth")
    assert 12 == value(text, "coalition_pool_connections_max", pool="ledger")
    assert 4 == value(text, "coalition_pool_connections_max", pool="keydb")
    assert 1 == value(text, "coalition_database_up")
    # Nobody follows the journal of this house: the lag is all that the desk has posted.
    assert 1 <= (value(text, "coalition_follower_lag_batches", follower="positions") or 0)
    assert 0 < (value(text, "coalition_follower_lag_seconds", follower="positions") or 0)
    assert 0 < (value(text, "process_cpu_seconds_total") or 0)


def test_a_callers_trace_goes_on_here(watched: Watched):
    till = watched.stub("t/cafe/main/till-1")
    header = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),)
    till.Purchase(watched.purchase(100), metadata=header)

    (said,) = watched.spans_of(TRACE)
    assert {"rpc.response.status_code": "OK", "coalition.reason": "ACCEPTED", "events": 1}.items() <= said.items()


def test_what_the_gate_refuses_is_traced_with_its_reason(watched: Watched):
    trace_id = TRACE[::-1]
    with pytest.raises(grpc.RpcError):
        watched.stub("op/admin").Purchase(
            watched.purchase(100), metadata=(("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"),)
        )

    (said,) = watched.spans_of(trace_id)
    assert ("PERMISSION_DENIED", "PERMISSION_DENIED") == (said["rpc.response.status_code"], said["coalition.reason"])


def test_a_stream_is_one_span_until_its_end(watched: Watched):
    trace_id = "1" * 32
    header = (("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"),)
    nothing: Iterator[StreamRequest] = iter(())
    assert [] == list(watched.stub("t/cafe/main/till-1").Stream(nothing, metadata=header))

    (said,) = watched.spans_of(trace_id)
    assert ("OK", "ACCEPTED") == (said["rpc.response.status_code"], said["coalition.reason"])


def test_a_method_that_does_not_exist_is_neither_counted_nor_traced(watched: Watched):
    """Its name is a stranger's: a thousand of them must not be a thousand labels."""
    channel = grpc.secure_channel(watched.address, watched.house.certificate("t/cafe/main/till-1").credentials())
    call: Any = channel.unary_unary("/coalition.v1.TerminalService/NoSuchThing")
    with pytest.raises(grpc.RpcError):
        call(b"")

    assert "NoSuchThing" not in watched.page()
    assert all("NoSuchThing" not in span.name for span in watched.collector.spans())


def test_labels_and_spans_hold_no_identity_no_card_and_no_request_id(watched: Watched):
    till = watched.stub("t/cafe/main/till-1")
    till.GetBalance(GetBalanceRequest(card_number=watched.card))
    till.Purchase(watched.purchase(100), metadata=(("x-anything", watched.card),))
    with pytest.raises(grpc.RpcError):
        till.Purchase(watched.purchase(9_000_000))
    watched.wait(lambda: any(span.name.endswith("GetBalance") for span in watched.collector.spans()))
    token = watched.house.ring.card_token(watched.card).hex()
    forbidden = [watched.card, token, "cafe", "till-1", "spiffe", *watched.request_ids]

    pairs = {pair for _, labels in samples(watched.page()) for pair in labels}
    assert {"method", "code", "reason", "kind", "le", "pool", "follower", "generation"} == {key for key, _ in pairs}
    assert [] == [word for word in forbidden for _, label in pairs if word in label]
    assert [] == [word for word in forbidden if word in watched.collector.text()]


def test_a_server_whose_metrics_address_is_taken_refuses_to_start(watched: Watched):
    """Two servers of one environment: the second must not be the one that nobody sees."""
    rooms = watched.house.serve(metrics_listen=watched.metrics_address)
    try:
        with pytest.raises(MetricsAddressTaken):
            rooms.open()
    finally:
        rooms.close()


def test_a_server_without_the_settings_loads_neither_library():
    """Off is free: not a module, not a thread, not a look at the clock."""
    code = "import sys, coalition.bootstrap.house; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set() == {"prometheus_client", "opentelemetry", "coalition.telemetry"} & set(ran.stdout.split())
