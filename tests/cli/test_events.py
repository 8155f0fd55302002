"""`coalition events`: told from a kept cursor on, or handed on to a door that checks the signature."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from coalition.bootstrap.clock import utc_now
from coalition.client.webhooks import Door, SecretMalformed, hand_on, read_key
from coalition.followers import folds
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from tests.cli.conftest import Run
from tests.house import House

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GATEWAY = ("events", "--as", "mg/portal", "--json")


def follow(house: House) -> None:
    for fold in folds():
        Follower(fold, lambda: connect(house.dsn()), utc_now, time.sleep).catch_up()


@pytest.fixture
def sell(coalition: Run, house: House, tmp_path: Path) -> Callable[[str], None]:
    """A top-up of one card."""
    card = tmp_path / "card.txt"
    card.write_text(house.new_card())
    follow(house)

    def sell(amount: str) -> None:
        sold = coalition("top-up", "--at", "store-a/main/till-1", "--card", f"@{card}", amount)
        assert 0 == sold.code
        follow(house)

    return sell


class Receiver(BaseHTTPRequestHandler):
    """Takes what is signed, and refuses the first of all."""

    taken: ClassVar[list[tuple[str, Any]]] = []
    refusals = 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        name, time = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.digest(key, f"{name}.{time}.".encode() + body, hashlib.sha256)).decode()
        if Receiver.refusals or self.headers["webhook-signature"] != f"v1,{expected}":
            Receiver.refusals -= 1
            self.send_response(503)
        else:
            Receiver.taken.append((name, json.loads(body)))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.taken, Receiver.refusals = [], 1
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/events"
        server.shutdown()
        thread.join()


def test_a_kept_cursor_goes_on_where_it_stood(coalition: Run, sell: Callable[[str], None], tmp_path: Path) -> None:
    cursor = tmp_path / "events.cursor"
    follow_on = (*GATEWAY, "--cursor", str(cursor))
    sell("100.00")
    first = coalition(*follow_on)
    assert "" == coalition(*follow_on).out
    sell("200.00")
    again = [json.loads(line) for line in coalition(*follow_on).out.splitlines()]

    assert 0 == first.code
    assert [20_000] == [event["wallet_entry"]["amount_minor"] for event in again]
    assert json.loads(first.out.splitlines()[-1])["wallet_entry"]["amount_minor"] == 10_000


def test_events_are_handed_on_signed_in_order_and_again_until_they_are_taken(
    coalition: Run, sell: Callable[[str], None], receiver: str, tmp_path: Path
) -> None:
    cursor, secret = tmp_path / "events.cursor", tmp_path / "secret.txt"
    secret.write_text(SECRET)
    coalition(*GATEWAY, "--cursor", str(cursor))
    sell("100.00")
    sell("200.00")
    handed = coalition(
        "events", "--as", "mg/portal", "--cursor", str(cursor), "--to", receiver, "--secret", f"@{secret}"
    )

    assert 0 == handed.code
    assert "was not taken: answered 503" in handed.err
    assert [("wallet_entry", 10_000), ("wallet_entry", 20_000)] == [
        (body["type"], body["data"]["wallet_entry"]["amount_minor"]) for _, body in Receiver.taken
    ]
    assert [name for name, _ in Receiver.taken] == [body["data"]["event_id"] for _, body in Receiver.taken]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "https://x.example"), "belong together"),
        (("--to", "http://x.example", "--secret", "-"), "https://"),
        (("--to", "https://x.example", "--secret", SECRET), "seen by every process"),
        (("--to", "https://x.example", "--secret", "-"), "base64 of 24 to 64 bytes"),
    ],
)
def test_what_cannot_be_handed_on_safely_is_said_before_anything_is(
    coalition: Run, arguments: tuple[str, ...], said: str
) -> None:
    failed = coalition("events", *arguments, typed="whsec_c2hvcnQ=")

    assert 2 == failed.code
    assert said in " ".join(failed.err.replace("│", " ").split())
    assert SECRET not in failed.err


def test_a_signature_is_the_one_of_the_specification() -> None:
    """Its own example, so that any library of Standard Webhooks takes ours."""
    door = Door("https://x.example", read_key(SECRET))
    headers = door.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == headers["webhook-signature"]


def test_what_is_never_taken_is_given_up_with_growing_pauses() -> None:
    slept: list[float] = []
    heard: list[str] = []
    taken = hand_on(
        Door("https://x.example", b"k" * 24),
        "1-0",
        b"{}",
        attempts_max=4,
        clock=lambda: 0.0,
        sleep=slept.append,
        post=lambda *_: 500,
        failed=heard.append,
    )

    assert not taken
    assert [1.0, 5.0, 30.0] == slept
    assert ["answered 500"] * 4 == heard


def test_a_secret_that_is_none_is_not_repeated() -> None:
    with pytest.raises(SecretMalformed) as caught:
        read_key("whsec_!!!")

    assert "!!!" not in str(caught.value)
