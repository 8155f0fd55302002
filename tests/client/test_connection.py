"""What a terminal's call ends with: one answer however often it is sent, or an error that says what to do."""

import asyncio
from datetime import timedelta
from uuid import UUID

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from coalition.client import (
    AioConnection,
    CallRefused,
    CertificateMissing,
    ClientCertificate,
    Connection,
    FieldViolation,
    RetryPolicy,
    ServerUnreachable,
    certificate_folder,
    new_request_id,
)
from coalition.v1.operations_pb2 import PurchaseRequest

QUICK = RetryPolicy(attempts_max=3, deadline_s=5.0, first_pause_s=0.001)


def rich(code: grpc.StatusCode, reason: str, *, retry_ms: int | None = None) -> Status:
    """A refusal as the service sends it."""
    status = Status(code=code.value[0], message="A sentence.")
    status.details.add().Pack(ErrorInfo(reason=reason, domain="coalition.example", metadata={"entry_id": "9"}))
    violation = BadRequest.FieldViolation(field="amount_minor", description="too large")
    status.details.add().Pack(BadRequest(field_violations=[violation]))
    if retry_ms is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_ms)
        status.details.add().Pack(retry)
    return status


def buy(door, request_id: str = "", pauses: list[float] | None = None):
    with Connection(
        door.address, door.till, retry=QUICK, sleep=(pauses if pauses is not None else []).append
    ) as connection:
        return connection.call(connection.terminal.Purchase, PurchaseRequest(request_id=request_id or new_request_id()))


def test_a_call_that_finds_nobody_is_sent_again_with_the_same_request_id(door):
    """The first answer may have been lost after the posting: a new id would pay twice."""
    door.script.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED]

    answer = buy(door)

    assert 7 == answer.receipt.entry_id
    assert 3 == len(door.script.asked)
    assert 1 == len({request.request_id for request in door.script.asked})


def test_a_full_queue_is_asked_again_after_the_time_it_names(door):
    """A till that comes back at once makes the queue longer."""
    door.script.failures = [rich(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_ms=120)]
    pauses: list[float] = []

    buy(door, pauses=pauses)

    assert [0.12] == pauses


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_FUNDS"),
        (grpc.StatusCode.INVALID_ARGUMENT, "AMOUNT_TOO_LARGE"),
        (grpc.StatusCode.PERMISSION_DENIED, "TERMINAL_UNKNOWN"),
        (grpc.StatusCode.ABORTED, "AGREEMENT_VERSION_CONFLICT"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"),
    ],
)
def test_a_refusal_is_final_and_says_why(door, code, reason):
    """Sending a refused operation again gets the same answer; the cashier needs the reason now."""
    door.script.failures = [rich(code, reason)]

    with pytest.raises(CallRefused) as refused:
        buy(door)

    assert reason == refused.value.reason
    assert code.name == refused.value.code
    assert "A sentence." == refused.value.message
    assert {"entry_id": "9"} == refused.value.metadata
    assert (FieldViolation("amount_minor", "too large"),) == refused.value.fields
    assert refused.value.retry_after is None
    assert 1 == len(door.script.asked)


def test_attempts_are_bounded_and_the_last_failure_is_told(door):
    """A cashier waits seconds, not for ever."""
    draining = rich(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_ms=1)
    door.script.failures = [draining] * 9

    with pytest.raises(CallRefused) as refused:
        buy(door)

    assert "SERVER_DRAINING" == refused.value.reason
    assert timedelta(milliseconds=1) == refused.value.retry_after
    assert QUICK.attempts_max == len(door.script.asked)


def test_a_server_that_is_not_there_is_unreachable(door):
    """The till shows its offline face for this and for nothing else."""
    with Connection("127.0.0.1:1", door.till, retry=QUICK) as connection, pytest.raises(ServerUnreachable) as failure:
        connection.call(connection.terminal.Purchase, PurchaseRequest())

    assert "127.0.0.1:1" == failure.value.server


def test_event_loops_get_the_same_answers_and_errors(door):
    """The concentrators of a chain run on asyncio."""
    door.script.failures = [grpc.StatusCode.UNAVAILABLE, rich(grpc.StatusCode.FAILED_PRECONDITION, "CARD_FROZEN")]

    async def shop() -> tuple[str, int]:
        async with AioConnection(door.address, door.till, retry=QUICK) as connection:
            await connection.wait_until_ready(5)
            request = PurchaseRequest(request_id=new_request_id())
            with pytest.raises(CallRefused) as refused:
                await connection.call(connection.terminal.Purchase, request)
            answer = await connection.call(connection.terminal.Purchase, request)
            return refused.value.reason, answer.receipt.entry_id

    assert ("CARD_FROZEN", 7) == asyncio.run(shop())


def test_a_missing_certificate_names_its_folder(certificates):
    """The cure is to issue one there."""
    with pytest.raises(CertificateMissing) as missing:
        ClientCertificate.load(certificates, "t/cafe/main/till-9")

    assert certificates / "t/cafe/main/till-9" == missing.value.folder


def test_a_certificate_never_shows_its_key(door):
    """A traceback of a till must not give its identity away."""
    assert "PRIVATE" not in repr(door.till)


@pytest.mark.parametrize("identity", ["", "op/../server", "t//a", "./x"])
def test_an_identity_never_leaves_the_certificate_directory(certificates, identity):
    """It is typed by people and becomes a path."""
    with pytest.raises(ValueError, match="identity"):
        certificate_folder(certificates, identity)


@given(st.integers(min_value=0, max_value=2**48 - 1))
def test_a_request_id_is_a_version_7_uuid_of_its_time(now_ms):
    """The service tells old requests from new ones by it, RFC 9562 section 5.7."""
    made = UUID(new_request_id(now_ms=now_ms))

    assert (7, "specified in RFC 4122", now_ms) == (made.version, made.variant, made.int >> 80)


def test_request_ids_differ_within_a_millisecond():
    """A concentrator makes thousands a second."""
    assert 1000 == len({new_request_id(now_ms=1) for _ in range(1000)})


@given(st.integers(min_value=1, max_value=50))
def test_pauses_grow_and_stay_bounded(attempt):
    """Neither a hammer nor an hour."""
    policy = RetryPolicy(attempts_max=100)

    pause_s = policy.pause_s(attempt, ServerUnreachable("host:1", "UNAVAILABLE", ""))

    assert pause_s is not None
    assert 0.05 <= pause_s <= policy.pause_max_s
