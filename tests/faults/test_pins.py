"""P26 and promise 15: a PIN is tried five times however many try at once or crash, and is written nowhere."""

import os
import re
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from coalition.bootstrap.pins import RingPins, seal_pin
from coalition.bootstrap.strongroom import key_ring
from coalition.client import new_request_id
from coalition.storage.pins import SET_PIN
from coalition.v1 import member_pb2, operations_pb2, terminal_pb2
from tests.faults.books import check_books
from tests.faults.site import ServerProcess, Site
from tests.faults.test_canaries import dumps, everything_written, forms, refused
from tests.faults.trade import Trade, purchase
from tests.house import refusal_of
from tests.telemetry.collector import running_collector
from tests.telemetry.scrape import free_port, page

TRIES = 100
ASKS_MAX = 5
PIN, WRONG, NEW_PIN = "280619", "739154", "905127"
CAFE, PLACE = "t/cafe/main/till-1", "cafe/main/till-1"
SALT = bytes(range(16))
pytestmark = [pytest.mark.xdist_group("serial"), pytest.mark.timeout(240)]


def set_pin(site: Site, card: str) -> int:
    """Give the wallet of a card the PIN; the wallet."""
    ring = key_ring(site.settings)
    ((lane, wallet_id),) = site.query("SELECT lane, wallet_id FROM credentials WHERE token = %s", ring.card_token(card))
    kept = RingPins(ring).tagged(wallet_id, PIN, SALT)
    site.execute(SET_PIN, lane, wallet_id, SALT, kept.tag, kept.key_version)
    return int(wallet_id)


def with_pin(public_key: bytes, request: Any, pin: str, place: str = PLACE) -> Any:
    request.sealed_pin = seal_pin(public_key, pin, request.request_id, place)
    return request


def try_at_once(site: Site, servers: Sequence[ServerProcess], card: str, disturb: Any = lambda: None) -> Counter[str]:
    """A hundred wrong PINs, all sent before any is answered, spread over the servers; how they were answered.

    One whose batch lost worker after worker is told that its outcome is unknown, and asks again.
    """
    with ExitStack() as closing:
        tills = [closing.enter_context(site.connection(server.address, CAFE)).terminal for server in servers]
        key = tills[0].GetPinKey(terminal_pb2.GetPinKeyRequest()).public_key
        sales = [with_pin(key, purchase(card, 100).purchase, WRONG) for _ in range(TRIES)]
        calls = [tills[number % len(tills)].Purchase.future(sale, timeout=60) for number, sale in enumerate(sales)]
        disturb()
        answers: Counter[str] = Counter()
        for number, call in enumerate(calls):
            reason = reason_of(call)
            for _ in range(ASKS_MAX):
                if reason != "DATABASE_UNAVAILABLE":
                    break
                reason = reason_of(tills[number % len(tills)].Purchase.future(sales[number], timeout=60))
            answers[reason] += 1
        return answers


def reason_of(call: Any) -> str:
    """Why a purchase was refused; ACCEPTED where it was not."""
    failure = call.exception()
    return refusal_of(failure).reason if isinstance(failure, grpc.RpcError) else "ACCEPTED"


def counted(site: Site, wallet_id: int) -> int:
    ((tries,),) = site.query("SELECT tries FROM pins WHERE wallet_id = %s AND forgiven = 0", wallet_id)
    return int(tries)


def stored(site: Site, reason: str) -> int:
    ((number,),) = site.query(
        "SELECT count(*) FROM entries WHERE reason = %s", {"PIN_WRONG": 29, "PIN_LOCKED": 30}[reason]
    )
    return int(number)


def test_of_a_hundred_tries_at_once_on_two_servers_five_are_compared(site: Site, trade: Trade):
    (card,) = trade.funded_cards(site.owner.address, 1)
    wallet_id = set_pin(site, card)

    answers = try_at_once(site, [site.owner, site.second], card)

    assert {"PIN_WRONG": 5, "PIN_LOCKED": TRIES - 5} == answers
    assert 5 == counted(site, wallet_id)
    with site.connection(site.owner.address, CAFE) as till:
        key = till.terminal.GetPinKey(terminal_pb2.GetPinKeyRequest()).public_key
        right = with_pin(key, purchase(card, 100).purchase, PIN)
        assert "PIN_LOCKED" == refused(till, till.terminal.Purchase, right).reason
    check_books(site)


def test_killed_workers_buy_no_sixth_try(site: Site, trade: Trade):
    """A batch whose worker died is counted again by the next one: fewer than five may be compared, never more."""
    (card,) = trade.funded_cards(site.owner.address, 1)
    wallet_id = set_pin(site, card)
    wrong, locked = stored(site, "PIN_WRONG"), stored(site, "PIN_LOCKED")

    def kill_all() -> None:
        for server in (site.owner, site.second):
            for pid in server.workers:
                os.kill(pid, signal.SIGKILL)

    answers = try_at_once(site, [site.owner, site.second], card, kill_all)

    assert {"PIN_WRONG", "PIN_LOCKED"} >= answers.keys(), answers
    assert 5 >= answers["PIN_WRONG"]
    assert 5 == counted(site, wallet_id)
    assert (answers["PIN_WRONG"], answers["PIN_LOCKED"]) == (
        stored(site, "PIN_WRONG") - wrong,
        stored(site, "PIN_LOCKED") - locked,
    )


def test_a_pin_leaves_no_trace(site: Site, trade: Trade, tmp_path: Path):
    """Neither as it was typed, nor sealed: no log, metric, trace, error, data file, WAL or dump holds it."""
    metrics = f"127.0.0.1:{free_port()}"
    with running_collector() as collector:
        watched = {
            "metrics_listen": metrics,
            "trace_endpoint": collector.endpoint,
            "trace_ratio": "1",
            "log_level": "debug",
        }
        with site.attached(**watched) as server:
            told, sealed = live_with_pins(site, server.address)
            seen = {"metrics": page(metrics).encode()}
        seen |= {f"spans: {number}": body for number, body in enumerate(collector.bodies)}
    site.execute("CHECKPOINT")
    places = {**everything_written(site), **dumps(site, tmp_path), **seen, "errors": "".join(told).encode()}
    # Six digits by themselves: as part of a longer number or an id they are chance.
    alone = re.compile(rb"(?<![0-9A-Za-z.-])(" + f"{PIN}|{WRONG}|{NEW_PIN}".encode() + rb")(?![0-9A-Za-z-])")
    needles = {form for pin in (PIN, WRONG) for form in forms(pin) if form != pin.encode()}
    needles |= {form for box in sealed for form in (box.lower(), box.hex().encode())}

    assert [] == [place for place, data in places.items() if alone.search(data)]
    lowered = {place: data.lower() for place, data in places.items()}
    assert [] == [place for place, data in lowered.items() for form in needles if form in data]
    assert any(b"pin_wrong" in data for place, data in lowered.items() if place == "metrics")
    assert alone.search(f'{{"pin":"{PIN}"}}'.encode())
    assert alone.search(f"PIN {WRONG} is wrong".encode())


def live_with_pins(site: Site, address: str) -> tuple[list[str], list[bytes]]:
    """Set, pay, be refused, fail inside; what clients were told, and every sealed PIN that was sent."""
    errors: list[Any] = []
    boxes: list[bytes] = []
    with site.connection(address, "op/admin") as counter, site.connection(address, CAFE) as cafe:
        key = cafe.terminal.GetPinKey(terminal_pb2.GetPinKeyRequest()).public_key

        def sealed(request: Any, pin: str, place: str = PLACE) -> Any:
            with_pin(key, request, pin, place)
            boxes.append(request.sealed_pin)
            return request

        profile = member_pb2.Profile(name="Wu Min", phone="+8613966667777", birth_month=5)
        member = counter.call(
            counter.members.EnrolMember,
            member_pb2.EnrolMemberRequest(request_id=new_request_id(), profile=profile, recruiter="shop-1"),
        ).member_id
        card = counter.call(
            counter.members.IssueCard, member_pb2.IssueCardRequest(request_id=new_request_id(), issuer="shop-1")
        ).card_number
        counter.call(
            counter.members.LinkCard,
            member_pb2.LinkCardRequest(request_id=new_request_id(), card_number=card, member_id=member),
        )

        def setting(pin: str) -> Any:
            return sealed(
                member_pb2.SetPinRequest(request_id=new_request_id(), member_id=member), pin, f"member/{member}"
            )

        counter.call(counter.members.SetPin, setting(PIN))
        counter.call(counter.members.SetPin, setting(NEW_PIN))
        for pin, place in ((PIN, PLACE), (WRONG, PLACE), (NEW_PIN, PLACE), (NEW_PIN, "x/y/z")):
            sale = sealed(purchase(card, 5).purchase, pin, place)
            errors.append(refused(cafe, cafe.terminal.Purchase, sale))
        batch = terminal_pb2.SubmitBatchRequest(
            operations=[operations_pb2.Operation(purchase=sealed(purchase(card, 5).purchase, WRONG))]
        )
        errors.append(cafe.call(cafe.terminal.SubmitBatch, batch))
        # Bugs of ours in the middle of it: PostgreSQL logs the statements that failed, the worker its traceback.
        site.execute("REVOKE UPDATE ON pins FROM coalition_app")
        try:
            errors.append(refused(cafe, cafe.terminal.Purchase, sealed(purchase(card, 5).purchase, NEW_PIN)))
            errors.append(refused(counter, counter.members.SetPin, setting(NEW_PIN)))
        finally:
            site.execute("GRANT UPDATE ON pins TO coalition_app")
    assert ["PIN_WRONG", "PIN_WRONG", "INSUFFICIENT_FUNDS", "PIN_UNREADABLE", "INTERNAL", "INTERNAL"] == [
        each.reason for each in errors if hasattr(each, "reason")
    ]
    return [f"{error} {getattr(error, 'metadata', '')}" for error in errors], boxes
