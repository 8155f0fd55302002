"""When an answer does not come: to the till, to the gateway, or because the gateway dies between the two."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coalition.gateway.door import NOTEBOOK_FILE
from tests.gateway.gateways import GatewayProcess, eventually, gateway, gateway_to, noted, plan
from tests.gateway.pos import Pos, referring, repeated, said
from tests.gateway.relay import Relay
from tests.gateway.service import Service
from tests.house import House

Funded = Callable[[], str]
CARD = "123456789012345"
SECONDS = 0.4


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def quick(service: Service, state: Path) -> Iterator[str]:
    """A gateway before a service in memory, which waits `SECONDS` for answers."""
    with gateway_to(lambda: service, plan("", state, answer_seconds=SECONDS)) as address:
        yield address


def sent(service: Service, method: str) -> list[Any]:
    return [request for name, request in service.received if name == method]


def test_a_repeat_after_a_lost_answer_has_the_same_request_id(service: Service, quick: str):
    sale = said("0200", CARD, 30_000)
    with Pos(quick) as pos:
        pos.send(sale)
        eventually(lambda: service.received, "the purchase arrived")
    with Pos(quick) as pos:
        answer = pos.ask(repeated(sale))

    first, second = sent(service, "Purchase")
    assert "00" == answer["39"]
    assert first == second
    assert 30_000 == service.taken_minor


def test_an_offline_sale_without_an_answer_is_told_again_and_never_reversed(service: Service, quick: str):
    """Its goods are gone: undone, the merchant would have given them away."""
    service.silent = True
    sale = said("0220", CARD, 30_000)
    with Pos(quick) as pos:
        assert "91" == pos.ask(sale)["39"]
        service.silent = False
        assert "00" == pos.ask(repeated(sale))["39"]

    first, second = sent(service, "Upload")
    assert first == second
    assert 30_000 == service.taken_minor
    assert [] == sent(service, "Reverse")


def test_without_an_answer_in_time_the_till_hears_91_and_the_gateway_reverses(service: Service, quick: str):
    service.silent = True
    sale = said("0200", CARD, 30_000)
    with Pos(quick) as pos:
        assert "91" == pos.ask(sale)["39"]
        service.silent = False
        eventually(lambda: not service.taken_minor, "the reversal was delivered")

    (purchase,) = {each.request_id for each in sent(service, "Purchase")}
    assert {purchase} == {each.original_request_id for each in sent(service, "Reverse")}


def test_what_the_gateway_reversed_is_not_approved_when_it_is_repeated(service: Service, quick: str):
    service.silent = True
    sale = said("0200", CARD, 30_000)
    with Pos(quick) as pos:
        pos.ask(sale)
        while_waiting = pos.ask(repeated(sale))
        service.silent = False
        eventually(lambda: not service.taken_minor, "the reversal was delivered")
        afterwards = pos.ask(repeated(sale))
        new = pos.ask(said("0200", CARD, 30_000))

    assert ("19", "19", "00") == (while_waiting["39"], afterwards["39"], new["39"])
    assert 30_000 == service.taken_minor


def test_reversals_are_delivered_in_order_and_survive_the_gateway(service: Service, state: Path):
    service.gone = True
    made = plan("", state, answer_seconds=SECONDS)
    sales = [said("0200", CARD, 100) for _ in range(3)]
    with gateway_to(lambda: service, made) as address, Pos(address) as pos:
        assert ["91"] * 3 == [pos.ask(each)["39"] for each in sales]
    service.gone = False

    with gateway_to(lambda: service, made):
        eventually(lambda: len(service.killed) == 3, "all three were delivered")

    expected = [request_id for request_id, is_reversal, _ in noted(state) if not is_reversal]
    assert expected == [each.original_request_id for each in sent(service, "Reverse")]
    assert [2, 2, 2] == [undone for _, _, undone in noted(state)]


def test_a_reversal_that_got_no_answer_is_delivered_by_the_gateway_under_its_own_id(service: Service, quick: str):
    sale = said("0200", CARD, 30_000)
    reversal = referring("0400", sale)
    with Pos(quick) as pos:
        pos.ask(sale)
        service.silent = True
        assert "91" == pos.ask(reversal)["39"]
        service.silent = False
        eventually(lambda: len(sent(service, "Reverse")) > 1, "it was sent again")
        assert "00" == pos.ask(repeated(reversal))["39"]

    assert 1 == len({each.request_id for each in sent(service, "Reverse")})
    assert 0 == service.taken_minor


def test_a_refused_reversal_of_the_gateway_lets_the_original_be_asked_for_again(service: Service, quick: str):
    """A refund cannot be reversed: after 91 its repeat must learn that it was made."""
    sale = said("0200", CARD, 30_000)
    refund = {**referring("0200", sale, 100), "3": "200000"}
    with Pos(quick) as pos:
        pos.ask(sale)
        service.silent = True
        service.reasons = {"Reverse": "ORIGINAL_NOT_REVERSIBLE"}
        assert "91" == pos.ask(refund)["39"]
        service.silent = False
        eventually(lambda: pos.ask(repeated(refund))["39"] == "00", "the refund stands")

    assert 1 == len({each.request_id for each in sent(service, "Refund")})


def test_a_suspended_till_does_not_hold_up_the_reversals_of_others(service: Service, state: Path):
    service.gone = True
    with gateway_to(lambda: service, plan("", state, answer_seconds=SECONDS)) as address, Pos(address) as pos:
        for terminal in ("CAFE0001", "CAFE0002"):
            pos.ask(said("0200", CARD, 100, de41=terminal))
    service.gone = False
    service.suspended = {"till-1"}
    with gateway_to(lambda: service, plan("", state, answer_seconds=SECONDS)):
        eventually(lambda: len(service.killed) == 1, "the other's was delivered")
        service.suspended = set()
        eventually(lambda: len(service.killed) == 2, "the suspended one's was delivered in the end")

    assert ["till-2", "till-1"] == [each.terminal.terminal for each in service.answered]


def test_a_reversal_that_a_suspension_declined_is_sent_under_a_new_id_until_the_till_is_let_in(
    service: Service, quick: str
):
    """The journal keeps that decline for ever; the member's money must not wait as long."""
    service.silent = True
    with Pos(quick) as pos:
        pos.ask(said("0200", CARD, 30_000))
    service.reasons = {"Reverse": "SUSPENDED"}
    service.silent = False
    unheard = len(sent(service, "Reverse"))  # these got no answer, and may be sent again as they were
    eventually(lambda: len(sent(service, "Reverse")) > unheard + 1, "it was sent again")
    service.reasons = {}
    eventually(lambda: not service.taken_minor, "it was delivered")

    ids = [each.request_id for each in sent(service, "Reverse")[unheard:]]
    assert len(ids) == len(set(ids))


def test_a_repeat_that_overtakes_its_first_shares_its_answer(service: Service, quick: str):
    service.turn_seconds = 0.2
    sale = said("0200", CARD, 30_000)
    with Pos(quick) as first, Pos(quick) as second:
        first.send(sale)
        second.send(repeated(sale))
        answers = [first.hear(), second.hear()]

    assert answers[0] == answers[1]
    assert 1 == len(service.received)


def test_an_answer_that_its_reversal_overtook_is_not_an_approval(service: Service, quick: str):
    service.turn_seconds = 0.2
    sale = said("0200", CARD, 30_000)
    with Pos(quick) as first, Pos(quick) as second:
        first.send(sale)
        assert "00" == second.ask(referring("0400", sale))["39"]
        assert "19" == first.hear()["39"]

    assert 0 == service.taken_minor


def test_nothing_is_sent_when_the_notebook_cannot_be_written(service: Service, quick: str, state: Path):
    """A full disk: an id that is not kept must not be used."""
    with Pos(quick) as pos:
        pos.ask(said("0200", CARD, 100))
        notebook = state / NOTEBOOK_FILE
        before = len(service.received)
        with pytest.MonkeyPatch.context() as patch:

            def full(*_: object) -> None:
                raise sqlite3.OperationalError("database or disk is full")

            patch.setattr("coalition.gateway.notebook.exact", full)
            answer = pos.ask(said("0200", CARD, 100))
        assert ("96", "NOTEBOOK_UNAVAILABLE") == (answer["39"], answer["63"])
        assert before == len(service.received)
        assert notebook.exists()
        assert "00" == pos.ask(said("0200", CARD, 100))["39"]


def test_a_gateway_that_dies_before_it_answers_knows_the_request_again(
    house: House, server: str, funded: Funded, tmp_path: Path
):
    """Power loss between the note and the answer, with a real server, real processes and SIGKILL."""
    sale = said("0200", funded(), 30_000)
    with Relay(server) as relay:
        before = GatewayProcess(house, relay.address, tmp_path)
        with Pos(before.address) as pos:
            assert "00" == pos.ask(said("0800", de70="301"))["39"]
            count = house.entry_count()
            relay.mute()
            pos.send(sale)
            eventually(lambda: house.entry_count() == count + 1, "the purchase was posted")
            before.kill()
        kept = noted(before.state)
        relay.mend()
        after = GatewayProcess(house, relay.address, tmp_path)
        try:
            with Pos(after.address) as pos:
                answer = pos.ask(repeated(sale))
        finally:
            assert 0 == after.stop()

    assert "00" == answer["39"], answer
    assert count + 1 == house.entry_count()
    posted = house.query("SELECT request_id::text FROM entries WHERE entry_id = %s", int(answer["62"]))
    assert posted == [(kept[0][0],)]


def test_a_purchase_whose_answer_the_server_lost_is_given_back(house: House, server: str, funded: Funded, state: Path):
    card = funded()
    sale = said("0200", card, 30_000)
    with (
        Relay(server) as relay,
        gateway(house, plan(relay.address, state, answer_seconds=1.0)) as address,
        Pos(address) as pos,
    ):
        assert "00" == pos.ask(said("0800", de70="301"))["39"]
        relay.mute()
        assert "91" == pos.ask(sale)["39"]
        relay.mend()

        def balance() -> str:
            return pos.ask(said("0200", card, de3="310000")).get("54", "")

        eventually(lambda: balance()[8:20] == f"{120_000:012d}", "the wallet is whole again")
        assert "19" == pos.ask(repeated(sale))["39"]


def test_stopping_answers_what_came_first(service: Service, state: Path):
    service.turn_seconds = 0.3
    answers: list[dict[str, str]] = []
    with gateway_to(lambda: service, plan("", state)) as address:
        pos = Pos(address)
        pos.send(said("0200", CARD, 100))
        eventually(lambda: service.knocks, "it was taken")
        hearing = threading.Thread(target=lambda: answers.append(pos.hear()))
        hearing.start()
    hearing.join(30)

    assert ["00"] == [each["39"] for each in answers]
    assert service.closed
