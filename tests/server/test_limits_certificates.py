"""A certificate while its holder is connected: renewed beside the old one, revoked and refused at the next call."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from coalition.bootstrap.errors import StrongroomRefused
from coalition.bootstrap.revocations import SEEN
from coalition.client import ClientCertificate
from coalition.domain.kinds import Kind
from coalition.v1.terminal_pb2 import StreamRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from keys import LIST_NAME, certificate_serial, issue, renew, revoke
from tests.house import House, Refusal, refusal_of
from tests.server.messages import operation, purchase, top_up

SECONDS = 1.0
"""Within so long a revoked certificate is refused."""
TRIES = 3
"""A busy machine is late now and then; a server that looks too seldom is late every time."""
TILLS = 24


@pytest.fixture(scope="module")
def address(house: House, tills: Iterator[str]) -> Iterator[str]:
    """A server that knows all tills of this module."""
    with house.server() as (_, address):
        yield address


@pytest.fixture(scope="module")
def tills(house: House) -> Iterator[str]:
    """A till for each test: what is revoked stays so."""
    for number in range(TILLS):
        code = f"lane-{number}"
        house.office.create_terminal(house.act(Kind.TERMINAL_CREATED, code=code), "store-a", "main", code)
    return (f"t/store-a/main/lane-{number}" for number in range(TILLS))


@pytest.fixture
def till(tills: Iterator[str]) -> str:
    return next(tills)


@pytest.fixture(scope="module")
def card(house: House, address: str) -> str:
    number = house.new_card()
    with line(address, house.certificate("t/store-a/main/till-1")) as channel:
        TerminalServiceStub(channel).TopUp(top_up(number), timeout=10)
    return number


@contextmanager
def line(address: str, certificate: ClientCertificate) -> Iterator[grpc.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(address, certificate.credentials(), options=options) as channel:
        yield channel


def uri(path: str) -> str:
    return f"spiffe://coalition.example/{path}"


def refusal(call: Callable[[], Any]) -> Refusal | None:
    try:
        call()
    except grpc.RpcError as error:
        return refusal_of(error)
    return None


def refused_after(call: Callable[[], Any]) -> tuple[float, Refusal]:
    """In how many seconds the call was refused first, and how."""
    started = time.monotonic()
    while time.monotonic() - started < 30 * SECONDS:
        told = refusal(call)
        if told is not None:
            return time.monotonic() - started, told
        time.sleep(0.02)
    raise AssertionError("a revoked certificate is never refused")


def test_a_revoked_terminal_is_refused_at_its_next_call_on_the_same_connection(
    house: House, address: str, till: str, card: str
):
    directory = house.settings.certificates_directory
    cafe = house.certificate("t/cafe/main/till-1")
    with line(address, house.certificate(till)) as channel, line(address, cafe) as other:
        stub = TerminalServiceStub(channel)
        stub.Purchase(purchase(card, 1), timeout=10)
        revoke(directory, uri(till))
        before = house.entry_count()
        _, told = refused_after(lambda: stub.Purchase(purchase(card, 1), timeout=10))

        assert ("CERTIFICATE_REVOKED", "UNAUTHENTICATED") == (told.reason, told.code)
        taken = house.entry_count()
        for _ in range(20):
            again = refusal(lambda: stub.Purchase(purchase(card, 1), timeout=10))
            assert again is not None
            assert again.reason == "CERTIFICATE_REVOKED"
        assert before <= taken == house.entry_count()
        doctor: Any = health_pb2_grpc.HealthStub(channel)
        health = refusal(lambda: doctor.Check(health_pb2.HealthCheckRequest(), timeout=10))
        assert health is not None
        assert health.reason == "CERTIFICATE_REVOKED"
        TerminalServiceStub(other).Purchase(purchase(card, 1), timeout=10)


def test_a_new_connection_with_the_revoked_certificate_is_refused_too(house: House, address: str, till: str, card: str):
    stolen = house.certificate(till)
    with line(address, stolen) as channel:
        revoke(house.settings.certificates_directory, uri(till))
        refused_after(lambda: TerminalServiceStub(channel).Purchase(purchase(card, 1), timeout=10))
    with line(address, stolen) as another:
        told = refusal(lambda: TerminalServiceStub(another).Purchase(purchase(card, 1), timeout=10))

    assert told is not None
    assert told.reason == "CERTIFICATE_REVOKED"


def test_a_renewed_terminal_works_with_both_and_with_the_new_one_when_the_old_is_revoked(
    house: House, address: str, till: str, card: str
):
    """Both carry one identity: only the serial number tells them apart."""
    directory = house.settings.certificates_directory
    old = house.certificate(till)
    renewed = renew(directory, uri(till))
    new = ClientCertificate.load_folder(renewed.cert.parent)
    with line(address, old) as before, line(address, new) as after:
        for channel in (before, after):
            TerminalServiceStub(channel).Purchase(purchase(card, 1), timeout=10)
        revoke(directory, uri(till), serial=certificate_serial(old.certificate))
        _, told = refused_after(lambda: TerminalServiceStub(before).Purchase(purchase(card, 1), timeout=10))

        assert told.reason == "CERTIFICATE_REVOKED"
        TerminalServiceStub(after).Purchase(purchase(card, 1), timeout=10)


def test_an_open_stream_ends_at_its_next_request(house: House, address: str, till: str, card: str):
    sending: SimpleQueue[StreamRequest | None] = SimpleQueue()
    with line(address, house.certificate(till)) as channel:
        stub = TerminalServiceStub(channel)
        responses = stub.Stream(iter(sending.get, None))
        sending.put(StreamRequest(operation=operation(purchase(card, 1))))
        assert next(responses).result.HasField("receipt")
        revoke(house.settings.certificates_directory, uri(till))
        refused_after(lambda: stub.Purchase(purchase(card, 1), timeout=10))
        sending.put(StreamRequest(operation=operation(purchase(card, 1))))
        told = refusal(lambda: next(responses))
        sending.put(None)

    assert told is not None
    assert told.reason == "CERTIFICATE_REVOKED"


def test_a_revoked_identity_that_is_issued_a_new_certificate_is_welcome_again(
    house: House, address: str, till: str, card: str
):
    directory = house.settings.certificates_directory
    with line(address, house.certificate(till)) as channel:
        revoke(directory, uri(till))
        files = issue(directory, uri(till), days=7)
        refused_after(lambda: TerminalServiceStub(channel).Purchase(purchase(card, 1), timeout=10))
    with line(address, ClientCertificate.load_folder(files.cert.parent)) as channel:
        TerminalServiceStub(channel).Purchase(purchase(card, 1), timeout=10)


def test_a_serial_number_revoked_without_a_record_is_refused_whoever_has_it(
    house: House, address: str, till: str, card: str
):
    """An authority that lost its record does not know the identity: `anybody` is then looked at."""
    directory = house.settings.certificates_directory
    certificate = house.certificate(till)
    with line(address, certificate) as channel:
        stub = TerminalServiceStub(channel)
        stub.Purchase(purchase(card, 1), timeout=10)
        (directory / "issued.jsonl").unlink()
        certificates = house.settings.certificates_directory / till
        (certificates / "certificate.pem").unlink()
        revoke(directory, uri(till), serial=certificate_serial(certificate.certificate))
        _, told = refused_after(lambda: stub.Purchase(purchase(card, 1), timeout=10))

        assert told.reason == "CERTIFICATE_REVOKED"


@pytest.mark.parametrize("change", ["damaged", "deleted", "an older one"])
def test_a_list_that_cannot_be_used_leaves_the_last_good_one_and_keeps_a_server_from_starting(
    house: House, address: str, till: str, card: str, change: str
):
    """Who can delete a file on one server must not bring a stolen terminal back to life."""
    directory = house.settings.certificates_directory
    path = directory / LIST_NAME
    other = f"{till}-never-used"
    issue(directory, uri(other), days=7)
    revoke(directory, uri(other))
    older = path.read_bytes()
    with line(address, house.certificate(till)) as channel:
        stub = TerminalServiceStub(channel)
        revoke(directory, uri(till))
        newest = path.read_bytes()
        refused_after(lambda: stub.Purchase(purchase(card, 1), timeout=10))
        damage(path, change, older)
        try:
            time.sleep(SECONDS)  # the server has looked again
            told = refusal(lambda: stub.Purchase(purchase(card, 1), timeout=10))
            assert told is not None
            assert told.reason == "CERTIFICATE_REVOKED"
            before = threads_of_servers()
            with pytest.raises(StrongroomRefused, match=LIST_NAME), house.server():
                pass
            assert before == threads_of_servers(), "a server that does not start leaves connections behind"
        finally:
            path.write_bytes(newest)
    assert int((house.settings.var / SEEN).read_text()) >= 2
    with house.server():
        pass


def threads_of_servers() -> list[str]:
    """Those of the servers in this process that live as long as their server does: of its pools and its watches."""
    kinds = ("coalition server", "programme watch", "revocations")
    return sorted(each.name for each in threading.enumerate() if each.name.startswith(kinds))


def damage(path: Path, change: str, older: bytes) -> None:
    if change == "damaged":
        path.write_bytes(older[:-200])
    elif change == "deleted":
        path.unlink()
    else:
        path.write_bytes(older)


def test_lists_that_follow_each_other_quickly_are_all_heard(
    house: House, address: str, tills: Iterator[str], card: str
):
    """Three tills are revoked one after the other while they sell; each is refused within the second."""
    directory = house.settings.certificates_directory

    def sells_until_refused(path: str) -> float:
        with line(address, house.certificate(path)) as channel:
            stub = TerminalServiceStub(channel)
            stub.Purchase(purchase(card, 1), timeout=10)
            revoke(directory, uri(path))
            return refused_after(lambda: stub.Purchase(purchase(card, 1), timeout=10))[0]

    slowest: list[float] = []
    with ThreadPoolExecutor(3) as pool:
        while len(slowest) < TRIES and not (slowest and slowest[-1] < SECONDS):
            slowest.append(max(pool.map(sells_until_refused, [next(tills) for _ in range(3)])))

    assert min(slowest) < SECONDS
