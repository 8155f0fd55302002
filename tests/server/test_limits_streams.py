"""Streams under their bounds: idle ones end, unread ones end, fast senders are slowed, and all say why."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from coalition.v1.terminal_pb2 import StreamRequest, StreamResponse
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House, Refusal, refusal_of
from tests.server.messages import CAFE_TILL, STORE_TILL, operation, purchase, top_up

STREAM = "/coalition.v1.TerminalService/Stream"
IDLE_SECONDS = 0.8
STALL_SECONDS = 0.8


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    with house.server(stream_idle_seconds=IDLE_SECONDS, stream_stall_seconds=STALL_SECONDS, caller_rate=400) as (
        _,
        address,
    ):
        yield address


@pytest.fixture(scope="module")
def card(house: House, channel: Callable[[str], grpc.Channel]) -> str:
    number = house.new_card()
    TerminalServiceStub(channel(STORE_TILL)).TopUp(top_up(number))
    return number


@contextmanager
def line(house: House, address: str, path: str = CAFE_TILL) -> Iterator[grpc.Channel]:
    """A connection of the test's own."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        # A small window that stays small, so that few answers fill it.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 16_384),
    ]
    with grpc.secure_channel(address, house.certificate(path).credentials(), options=options) as channel:
        yield channel


def request(card: str) -> StreamRequest:
    return StreamRequest(operation=operation(purchase(card, 1)))


def refused(call: Callable[[], Any]) -> Refusal | None:
    try:
        call()
    except grpc.RpcError as error:
        return refusal_of(error)
    return None


def rest(responses: Iterable[Any]) -> tuple[int, Refusal | None]:
    """How many more answers came, and how the stream ended."""
    count = 0
    try:
        for _ in responses:
            count += 1
    except grpc.RpcError as error:
        return count, refusal_of(error)
    return count, None


def test_a_stream_on_which_nothing_is_sent_ends_with_its_reason(house: House, address: str, card: str):
    left = threading.Event()

    def requests() -> Iterator[StreamRequest]:
        yield request(card)
        left.wait(30)

    with line(house, address) as channel:
        responses = TerminalServiceStub(channel).Stream(requests())
        assert next(responses).result.HasField("receipt")
        started = time.monotonic()
        count, end = rest(responses)
        left.set()

    assert end is not None
    assert (0, "STREAM_IDLE", "ABORTED") == (count, end.reason, end.code)
    assert IDLE_SECONDS * 0.7 < time.monotonic() - started < 20


def test_a_stream_in_use_is_not_ended(house: House, address: str, card: str):
    """Each pause is shorter than the bound, all of them are longer."""

    def requests() -> Iterator[StreamRequest]:
        for _ in range(8):
            yield request(card)
            time.sleep(IDLE_SECONDS / 4)

    with line(house, address) as channel:
        assert (8, None) == rest(TerminalServiceStub(channel).Stream(requests()))


def test_a_stream_whose_answers_nobody_reads_takes_no_more_and_ends(house: House, address: str, card: str):
    """The client's window fills, then the 1,024 operations of a stream; the rest of what it sends stays with it."""
    before = house.entry_count()
    with line(house, address, "t/cafe/main/till-2") as channel:
        stub = TerminalServiceStub(channel)
        responses = stub.Stream(request(card) for _ in range(3_500))
        deadline = time.monotonic() + 30
        while house.entry_count() - before < 1_024:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(STALL_SECONDS * 2)
        taken = house.entry_count() - before
        count, end = rest(responses)

        assert end is not None
        assert ("STREAM_STALLED", "ABORTED") == (end.reason, end.code)
        assert 0 < count <= taken < 3_000
        assert stub.Purchase(purchase(card, 1), timeout=10).HasField("receipt")


def test_who_never_reads_again_is_cut_and_its_place_is_free(house: House, card: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coalition.server.interceptor.LAST_WORD_SECONDS", 0.3)
    with (
        house.server(stream_stall_seconds=0.3, caller_calls_max=1) as (_, address),
        line(house, address) as channel,
    ):
        stub = TerminalServiceStub(channel)
        responses = stub.Stream(request(card) for _ in range(3_500))
        deadline = time.monotonic() + 20
        time.sleep(0.3)
        while told := refused(lambda: stub.Purchase(purchase(card, 1), timeout=10)):
            assert told.reason == "CALLS_EXCEEDED"
            assert time.monotonic() < deadline, "the place of a stream that was cut stays taken"
            time.sleep(0.1)
        responses.cancel()


def test_a_sender_above_its_rate_is_slowed_and_loses_nothing(house: House, card: str):
    """100 a second, 1,000 at once: 1,300 take three seconds."""
    with (
        house.server(caller_rate=100) as (_, address),
        line(house, address, "t/store-a/main/till-2") as channel,
    ):
        started = time.monotonic()
        answers = TerminalServiceStub(channel).Stream(request(card) for _ in range(1_300))
        receipts = sum(response.result.HasField("receipt") for response in answers)

    assert receipts == 1_300
    assert time.monotonic() - started > 2.5


def test_bytes_that_are_no_message_end_the_stream_after_the_answers_before_them(
    house: House, address: str, card: str, capfd: pytest.CaptureFixture[str]
):
    with line(house, address) as channel:
        stream: Any = channel.stream_stream(STREAM, None, StreamResponse.FromString)
        count, end = rest(stream(iter([request(card).SerializeToString(), b"\xff" * 9, b""])))

    assert end is not None
    assert (1, "MESSAGE_MALFORMED") == (count, end.reason)
    seen = capfd.readouterr()
    assert "Traceback" not in seen.out + seen.err
