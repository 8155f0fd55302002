"""Limits over real connections: what is too much is refused with its reason and when to come again."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from coalition.bootstrap.limits import limits_of
from coalition.server.limits import Limits
from coalition.storage.connect import connect
from coalition.v1.terminal_pb2 import GetBalanceRequest, SubmitBatchRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House, Refusal, refusal_of
from tests.server.messages import CAFE_REF, CAFE_TILL, STORE_TILL, operation, purchase, top_up

RATE = 100
BURST = 10 * RATE
OTHER_TILL = "t/cafe/main/till-2"
TILL_SERVER = "ts/cafe/pos"
PURCHASE = "/coalition.v1.TerminalService/Purchase"


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    """A server with bounds a test can reach."""
    with house.server(caller_rate=RATE, till_server_rate=RATE, caller_calls_max=8, caller_operations_max=1_000) as (
        _,
        address,
    ):
        yield address


@pytest.fixture(scope="module")
def card(house: House, address: str, channel: Callable[[str], grpc.Channel]) -> str:
    number = house.new_card()
    TerminalServiceStub(channel(STORE_TILL)).TopUp(top_up(number))
    return number


def refusal(call: Callable[[], Any]) -> Refusal | None:
    try:
        call()
    except grpc.RpcError as error:
        return refusal_of(error)
    return None


def raw(channel: grpc.Channel, content: bytes, method: str = PURCHASE, **options: Any) -> Refusal | None:
    method_of: Any = channel.unary_unary(method)
    return refusal(lambda: method_of(content, timeout=10, **options))


def test_a_caller_above_its_rate_is_told_when_to_come_again_and_others_are_not(
    house: House, channel: Callable[[str], grpc.Channel], card: str
):
    """A batch counts its operations; nothing of what is refused is stored."""
    chain, till = TerminalServiceStub(channel(TILL_SERVER)), TerminalServiceStub(channel(OTHER_TILL))
    batch = SubmitBatchRequest(operations=[operation(purchase(card, 1, terminal=CAFE_REF)) for _ in range(600)])
    before = house.entry_count()

    chain.SubmitBatch(batch)
    # It lacks 600 of its 1,000: only after six seconds it would be taken, however slow this machine is.
    second = SubmitBatchRequest(operations=[operation(purchase(card, 1, terminal=CAFE_REF)) for _ in range(1_000)])
    told = refusal(lambda: chain.SubmitBatch(second))

    assert told is not None
    assert ("RATE_EXCEEDED", "RESOURCE_EXHAUSTED", 1.0) == (told.reason, told.code, told.retry_seconds)
    assert before + 600 == house.entry_count()
    till.Purchase(purchase(card, 1))
    third = SubmitBatchRequest(operations=second.operations[:600])
    deadline = time.monotonic() + 30
    while refusal(lambda: chain.SubmitBatch(third)) is not None:  # the bucket fills: 200 are missing
        assert time.monotonic() < deadline, "who waited is not served"
        time.sleep(0.2)
    assert before + 1_201 == house.entry_count()


def test_calls_at_once_of_one_identity_are_bounded_over_all_its_connections(house: House, address: str, card: str):
    """Eight may wait; the ninth is told so at once, on whichever connection it comes."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    credentials = house.certificate(CAFE_TILL).credentials()
    channels = [grpc.secure_channel(address, credentials, options=options) for _ in range(3)]
    streams = []
    try:
        for place in range(8):
            stub: Any = health_pb2_grpc.HealthStub(channels[place % 2])
            stream = stub.Watch(health_pb2.HealthCheckRequest())
            next(stream)
            streams.append(stream)

        told = refusal(lambda: TerminalServiceStub(channels[2]).Purchase(purchase(card, 1), timeout=10))
        assert told is not None
        assert ("CALLS_EXCEEDED", "RESOURCE_EXHAUSTED", 0.5) == (told.reason, told.code, told.retry_seconds)

        streams.pop().cancel()
        deadline = time.monotonic() + 30
        while refusal(lambda: TerminalServiceStub(channels[2]).Purchase(purchase(card, 1), timeout=10)):
            assert time.monotonic() < deadline, "a place that was left is not given to another"
            time.sleep(0.02)
    finally:
        for stream in streams:
            stream.cancel()
        for each in channels:
            each.close()


def test_operations_at_once_of_one_identity_are_bounded(house: House, card: str):
    """Two batches of 501 at once are more than the thousand that may wait; one after the other they are served."""
    requests = [
        SubmitBatchRequest(operations=[operation(purchase(card, 1, terminal=CAFE_REF)) for _ in range(501)])
        for _ in range(2)
    ]
    with (
        house.server(caller_operations_max=1_000) as (_, address),
        grpc.secure_channel(address, house.certificate(TILL_SERVER).credentials()) as line,
        ThreadPoolExecutor(2) as pool,
    ):
        stub = TerminalServiceStub(line)
        told = list(pool.map(lambda request: refusal(lambda: stub.SubmitBatch(request, timeout=20)), requests))

        assert ["CALLS_EXCEEDED"] == [each.reason for each in told if each is not None]
        late = next(request for request, each in zip(requests, told, strict=True) if each is not None)
        assert refusal(lambda: stub.SubmitBatch(late, timeout=20)) is None


@pytest.mark.parametrize(("content", "reason"), [
    (b"\xff" * 40, "MESSAGE_MALFORMED"),
    (b"\x0a\x05abc", "MESSAGE_MALFORMED"),
    (b"\x0a\x02\xff\xfe", "MESSAGE_MALFORMED"),
    (b"\x23" * 5_000, "MESSAGE_MALFORMED"),
    (b"\x0a\xff\xff\x03" + b"1" * 65_535, "MESSAGE_TOO_LARGE"),
    (b"", "FIELD_INVALID"),
], ids=["no field", "cut off", "no text", "groups 5,000 deep", "64 KiB", "empty"])  # fmt: skip
def test_bytes_that_are_no_message_are_refused_and_nothing_breaks(
    channel: Callable[[str], grpc.Channel], capfd: pytest.CaptureFixture[str], content: bytes, reason: str
):
    told = raw(channel(CAFE_TILL), content)

    assert told is not None
    assert reason == told.reason
    seen = capfd.readouterr()
    assert "Traceback" not in seen.out + seen.err


def test_who_may_not_call_is_not_told_whether_its_bytes_were_a_message(channel: Callable[[str], grpc.Channel]):
    told = raw(channel("aud/firm"), b"\xff" * 40)

    assert told is not None
    assert told.reason == "PERMISSION_DENIED"


def test_headers_above_8_kib_are_refused_and_the_connection_serves_on(channel: Callable[[str], Any], card: str):
    with pytest.raises(grpc.RpcError) as caught:
        TerminalServiceStub(channel(CAFE_TILL)).Purchase(
            purchase(card, 1), timeout=10, metadata=[("x-much", "y" * 9_000)]
        )

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    TerminalServiceStub(channel(CAFE_TILL)).Purchase(purchase(card, 1), timeout=10)


def test_a_call_without_a_deadline_waits_no_longer_than_the_house_lets_anybody(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    """The ledger hangs; the caller set no deadline, or one of an hour."""
    assert limits_of(house.settings).deadline_seconds == 30.0
    monkeypatch.setattr("coalition.bootstrap.house.limits_of", lambda _: Limits(deadline_seconds=0.5))
    card = house.new_card()
    with (
        house.server() as (_, address),
        grpc.secure_channel(address, house.certificate(STORE_TILL).credentials()) as line,
    ):
        stub = TerminalServiceStub(line)
        stub.TopUp(top_up(card))
        with connect(house.dsn("owner"), "test") as connection, connection.transaction():
            connection.execute("SELECT 1 FROM wallets FOR UPDATE")
            for timeout in (None, 3_600):
                started = time.monotonic()
                told = refusal(partial(stub.Purchase, purchase(card, 1), timeout=timeout))
                assert told is not None
                assert ("DEADLINE_PASSED", "DEADLINE_EXCEEDED") == (told.reason, told.code)
                assert 0.4 < time.monotonic() - started < 20
        stub.GetBalance(GetBalanceRequest(card_number=card), timeout=10)
