"""Bytes of strangers: bounds, slowness and garbage cost a connection at most, and leave nothing secret behind."""

import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import iso8583
import pytest
from iso8583.specs import default_ascii
from structlog.testing import capture_logs

from coalition.gateway.fields import SPECS
from coalition.gateway.listener import Bounds
from tests.gateway import fuzz
from tests.gateway.gateways import bytes_of, eventually, gateway_to, is_private, plan
from tests.gateway.pos import Pos, Wire, said
from tests.gateway.service import Service

TIGHT = Bounds(connections_max=4, in_flight_max=2, idle_seconds=1.0, message_seconds=0.3, drain_seconds=1.0)
CARD = fuzz.CARD
FRAMES = 1_000
"""Of each encoding; `make soak` sends 100,000."""


@dataclass(frozen=True)
class Gate:
    address: str
    service: Service
    state: Path


@pytest.fixture
def gate(state: Path) -> Iterator[Gate]:
    """A gateway with tight bounds before a service in memory."""
    service = Service()
    with gateway_to(lambda: service, plan("", state, bounds=TIGHT)) as address:
        yield Gate(address, service, state)


def serves(gate: Gate) -> bool:
    with Pos(gate.address) as pos:
        return pos.ask(said("0200", CARD, 100))["39"] == "00"


@pytest.mark.parametrize("encoding", sorted(SPECS))
def test_mutated_messages_break_nothing_and_leave_no_card_number(encoding: str, state: Path):
    """What reaches the service keeps the protos' field rules: the service in memory checks each request."""
    service = Service()
    with capture_logs() as lines, gateway_to(lambda: service, plan("", state, encoding=encoding)) as address:
        heard = fuzz.attack(address, FRAMES, 8583, SPECS[encoding])
        with Pos(address, wire=Wire(SPECS[encoding])) as pos:
            assert "00" == pos.ask(said("0200", CARD, 100))["39"]

    assert [] == [line for line in lines if "broke" in line["event"]]
    assert 0 == heard.silent
    assert heard.answers > FRAMES / 20
    assert service.received
    for secret in fuzz.SECRETS:
        assert secret.encode() not in bytes_of(state)
        assert secret not in str(lines)


def test_the_log_at_debug_shows_no_secret_and_no_free_text(gate: Gate):
    with capture_logs() as lines:
        message = said("0200", CARD, 100, de35=fuzz.SECRETS[1], de45=fuzz.SECRETS[2], de48="WANG FANG", de63=CARD)
        with Pos(gate.address) as pos:
            pos.ask(message)
            pos.ask({**said("0200", CARD, 100, de52=fuzz.SECRETS[3]), "t": "0200"})

    text = str(lines)
    assert "gateway_answered" in text
    assert not [secret for secret in (*fuzz.SECRETS, "WANG", message["37"]) if secret in text]


def test_the_notebook_is_private(gate: Gate):
    assert serves(gate)

    assert is_private(gate.state)


@pytest.mark.parametrize(
    "body", [b"", b"\x00" * 40, b"GET / HTTP/1.1\r\n\r\n", b"0210" + b"0" * 16, b"9999" + b"0" * 16]
)
def test_what_has_no_request_type_ends_the_connection(body: bytes, gate: Gate):
    with Pos(gate.address) as pos:
        pos.socket.sendall(len(body).to_bytes(2, "big") + body)
        if not body:  # a zero length keeps the connection alive
            assert "00" == pos.ask(said("0200", CARD, 100))["39"]
            return
        assert pos.is_closed()

    assert serves(gate)


@pytest.mark.parametrize(
    ("field", "value"),
    [("4", None), ("11", None), ("12", "240000"), ("13", "0230"), ("37", None), ("41", None), ("90", "X" * 42)],
)
def test_a_malformed_field_is_answered_with_30_and_named(field: str, value: str | None, gate: Gate):
    message = said("0400" if field == "90" else "0200", CARD, 100)
    message = {name: text for name, text in message.items() if name != field} | ({field: value} if value else {})

    with Pos(gate.address) as pos:
        answer = pos.ask(message)

    assert ("30", f"FIELD_INVALID DE{field}") == (answer["39"], answer["63"])
    assert [] == gate.service.received


def test_a_message_that_breaks_off_is_answered_with_30(gate: Gate):
    body, _ = iso8583.encode(said("0200", CARD, 100), default_ascii)

    with Pos(gate.address) as pos:
        pos.socket.sendall((len(body) - 9).to_bytes(2, "big") + body[:-9])
        assert "30" == pos.hear()["39"]
        assert "00" == pos.ask(said("0200", CARD, 100))["39"]


def test_a_message_that_is_too_long_ends_the_connection_unread(state: Path):
    """Before it has come: a gateway that waited for it would keep what a stranger chooses."""
    bounds = Bounds(message_seconds=60)
    with gateway_to(Service, plan("", state, bounds=bounds)) as address, Pos(address) as pos:
        pos.socket.settimeout(30)
        pos.socket.sendall((bounds.message_bytes_max + 1).to_bytes(2, "big"))
        assert pos.is_closed()


@pytest.mark.parametrize("start", [b"", b"\x00", b"\x00\x90", b"\x00\x900200"])
def test_an_idle_or_slow_sender_is_shown_out(start: bytes, gate: Gate):
    began = time.monotonic()
    with Pos(gate.address) as pos:
        pos.socket.sendall(start)
        assert pos.is_closed()

    assert time.monotonic() - began < Bounds().idle_seconds / 2


def test_connections_above_the_bound_are_refused_and_places_come_back(state: Path):
    service = Service()
    with gateway_to(lambda: service, plan("", state, bounds=Bounds(connections_max=4))) as address:
        held = [Pos(address) for _ in range(4)]
        for each in held:
            assert "00" == each.ask(said("0800", de70="301"))["39"]

        with Pos(address) as late:
            late.socket.settimeout(30)
            assert late.is_closed()
        held.pop().close()

        eventually(lambda: _can_serve(Gate(address, service, state)), "a place came back")
        for each in held:
            assert "00" == each.ask(said("0800", de70="301"))["39"]
            each.close()


def test_a_peer_that_reads_no_answers_is_cut_off_and_others_are_served(state: Path):
    service = Service()
    bounds = Bounds(message_seconds=0.5)
    with gateway_to(lambda: service, plan("", state, bounds=bounds)) as address, Pos(address) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.socket.settimeout(0.5)
        frame = Wire().frame(said("0800", de70="301"))
        ended = False
        deadline = time.monotonic() + 60
        while not ended and time.monotonic() < deadline:
            try:
                deaf.socket.sendall(frame * 100)
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        with Pos(address) as pos:
            assert "00" == pos.ask(said("0200", CARD, 100))["39"]


def test_messages_of_one_connection_do_not_wait_for_each_other(gate: Gate):
    gate.service.turn_seconds = 0.2
    sales = [said("0200", CARD, 100) for _ in range(8)]
    with Pos(gate.address) as pos:
        for each in sales:
            pos.send(each)
        answers = [pos.hear() for _ in sales]

    assert {each["11"] for each in sales} == {each["11"] for each in answers}
    assert {"00"} == {each["39"] for each in answers}
    assert TIGHT.in_flight_max == gate.service.at_once_most


def test_hundreds_of_connections_that_say_nothing_useful_leave_the_gateway_well(gate: Gate):
    random_ = random.Random(5)
    for _ in range(300):
        with Pos(gate.address) as stranger:
            stranger.socket.sendall(random_.randbytes(random_.randrange(1, 64)))

    eventually(lambda: _can_serve(gate), "it serves")


def _can_serve(gate: Gate) -> bool:
    try:
        return serves(gate)
    except OSError:
        return False
