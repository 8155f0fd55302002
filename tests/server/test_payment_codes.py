"""A member pays with the code that a phone shows: over the real doors, from the enrolment of the phone to its loss."""

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import grpc
import pytest

from coalition.domain.cards import check_digit
from coalition.v1.member_pb2 import CardOfMember, FreezeCardRequest, RemoveCredentialRequest
from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.terminal_pb2 import GetBalanceRequest, ListEntriesRequest, SubmitBatchRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from keys import generate_box_key
from tests.house import House, Refusal, new_id, refusal_of
from tests.phones import (
    Phone,
    by_code,
    devices_by_the_journal,
    enrolled_phone,
    mistyped,
    outcome,
    rounds_without_one_winner,
)
from tests.server.conftest import Tills
from tests.server.messages import CAFE_TILL, STORE_TILL, authorize, capture, operation, purchase, top_up

SECOND_TILL = "t/cafe/main/till-2"


@pytest.fixture(scope="module")
def counter(channel: Callable[[str], Any]) -> MemberServiceStub:
    stub: MemberServiceStub = MemberServiceStub(channel("op/admin"))
    return stub


@pytest.fixture
def member(house: House) -> UUID:
    return house.new_member()[0]


@pytest.fixture
def phone(counter: Any, tills: Tills, member: UUID) -> Phone:
    """A member's phone, on a wallet with 1,200 yuan."""
    phone = enrolled_phone(counter, member)
    tills(STORE_TILL).TopUp(by_code(top_up, phone.code()))
    return phone


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def eventually(holds: Callable[[], bool]) -> None:
    """What is done while the till has its answer already."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def tickets_until(house: House, phone: Phone) -> int:
    return int(house.query("SELECT tickets_until FROM device_seeds WHERE card_id = %s", phone.card_id)[0][0])


def test_a_code_pays_once_and_names_its_phone_by_four_digits(tills: Tills, phone: Phone):
    code = phone.code()

    paid = tills(CAFE_TILL).Purchase(by_code(purchase, code, 30_000)).receipt
    again = refused(lambda: tills(CAFE_TILL).Purchase(by_code(purchase, code, 1)))

    assert (30_000, 90_000, f"{phone.card_id % 10_000:04d}") == (
        paid.amount_minor,
        paid.balance_minor,
        paid.card_last_four,
    )
    assert ("PAYMENT_CODE_USED", "FAILED_PRECONDITION") == (again.reason, again.code)


def test_a_code_authorizes_tops_up_and_looks(tills: Tills, phone: Phone):
    assert 1_000 == tills(CAFE_TILL).Authorize(by_code(authorize, phone.code(), 1_000)).receipt.amount_minor
    tills(STORE_TILL).TopUp(by_code(top_up, phone.code(), 10_000))
    code = phone.code()
    balance = tills(CAFE_TILL).GetBalance(GetBalanceRequest(payment_code=code)).balance
    lines = tills(CAFE_TILL).ListEntries(ListEntriesRequest(payment_code=code)).entries

    assert (132_000, f"{phone.card_id % 10_000:04d}") == (balance.balance_minor, balance.card_last_four)
    assert [1_000] == [line.amount_minor for line in lines]
    assert "ACCEPTED" == outcome(tills(CAFE_TILL), by_code(purchase, code, 1)), "looking uses no code up"
    used = refused(lambda: tills(CAFE_TILL).GetBalance(GetBalanceRequest(payment_code=code)))
    assert "PAYMENT_CODE_USED" == used.reason


def test_a_payment_kills_the_codes_before_it(tills: Tills, phone: Phone):
    """Who photographs a code that is not used waits for nothing: the member's next payment ends it."""
    photographed, shown = phone.code(), phone.code()

    assert "ACCEPTED" == outcome(tills(CAFE_TILL), by_code(purchase, shown, 1))
    assert "PAYMENT_CODE_USED" == outcome(tills(CAFE_TILL), by_code(purchase, photographed, 1))


@pytest.mark.parametrize("age_seconds", [62, 91, 3_600])
def test_a_photograph_used_a_minute_later_is_worth_nothing(tills: Tills, phone: Phone, age_seconds: int):
    answer = refused(lambda: tills(CAFE_TILL).Purchase(by_code(purchase, phone.code(age_seconds), 1)))

    assert ("PAYMENT_CODE_WRONG", "2") == (answer.reason, answer.metadata["tries_left"])


def test_three_wrong_passwords_kill_the_ticket(house: House, tills: Tills, phone: Phone):
    code = phone.code()
    answers = [refused(lambda: tills(CAFE_TILL).Purchase(by_code(purchase, mistyped(code), 1))) for _ in range(3)]

    assert ["2", "1", "0"] == [answer.metadata["tries_left"] for answer in answers]
    assert "PAYMENT_CODE_USED" == outcome(tills(CAFE_TILL), by_code(purchase, code, 1)), "the right one comes too late"
    assert "ACCEPTED" == outcome(tills(CAFE_TILL), by_code(purchase, phone.code(), 1)), "the phone shows another"
    counted = house.query("SELECT card_id FROM entries WHERE reason = 26 ORDER BY entry_id DESC LIMIT 3")
    assert [(phone.card_id,)] * 3 == counted, "the journal says whose code was tried"


def test_a_declined_purchase_leaves_its_code_alive(tills: Tills, phone: Phone):
    """Nothing was paid: the till asks for less, with the code that the member still holds out."""
    code = phone.code()

    assert "INSUFFICIENT_FUNDS" == outcome(tills(CAFE_TILL), by_code(purchase, code, 200_000))
    assert "ACCEPTED" == outcome(tills(CAFE_TILL), by_code(purchase, code, 100_000))


def test_a_repeated_request_hears_its_answer_with_a_stale_code_of_its_ticket(tills: Tills, phone: Phone):
    """A terminal may not store the password: what it sends again, maybe next day, is the ticket with any password."""
    counter = phone.counter
    request = by_code(purchase, phone.code(), 30_000)
    first = tills(CAFE_TILL).Purchase(request).receipt
    wrong = by_code(purchase, mistyped(phone.code()), 1)
    declined = refused(lambda: tills(CAFE_TILL).Purchase(wrong))

    request.payment_code = phone.code_of(counter, 86_400)
    again = tills(CAFE_TILL).Purchase(request).receipt
    wrong.payment_code = phone.code_of(counter + 1)
    declined_again = refused(lambda: tills(CAFE_TILL).Purchase(wrong))
    other = by_code(purchase, phone.code(), 30_000, request_id=request.request_id)

    assert (True, first.entry_id, first.balance_minor) == (again.replayed, again.entry_id, again.balance_minor)
    assert (declined.metadata["entry_id"], "true", "2") == (
        declined_again.metadata["entry_id"],
        declined_again.metadata["replayed"],
        declined_again.metadata["tries_left"],
    )
    assert "REQUEST_ID_REUSED" == outcome(tills(CAFE_TILL), other), "another ticket is another request"


def test_a_wrong_clock_is_learned_step_by_step(tills: Tills, phone: Phone):
    """A phone a minute and a half ahead is followed there by codes it could pay with on the way."""
    answers = []
    for ahead in (30, 60, 90):
        phone.ahead_seconds = ahead
        answers.append(outcome(tills(CAFE_TILL), by_code(purchase, phone.code(), 1)))
    phone.ahead_seconds = 0
    answers.append(outcome(tills(CAFE_TILL), by_code(purchase, phone.code(), 1)))

    assert ["ACCEPTED", "ACCEPTED", "ACCEPTED", "PAYMENT_CODE_WRONG"] == answers


def test_a_lost_phone_is_frozen_and_a_removed_one_is_gone(tills: Tills, counter: Any, member: UUID, phone: Phone):
    lost = CardOfMember(member_id=str(member), card_id=phone.card_id)
    counter.FreezeCard(FreezeCardRequest(request_id=new_id(), card_of_member=lost))

    assert "CARD_FROZEN" == outcome(tills(CAFE_TILL), by_code(purchase, phone.code(), 1))

    removal = RemoveCredentialRequest(request_id=new_id(), member_id=str(member), card_id=phone.card_id)
    removed = counter.RemoveCredential(removal)
    other = enrolled_phone(counter, member)

    assert "CARD_REPLACED" == outcome(tills(CAFE_TILL), by_code(purchase, phone.code(), 1))
    assert "ACCEPTED" == outcome(tills(CAFE_TILL), by_code(purchase, other.code(), 1)), "the wallet stays"
    assert counter.RemoveCredential(removal).receipt.replayed
    assert removed.card == counter.RemoveCredential(removal).card
    removal.request_id = new_id()
    assert "CREDENTIAL_UNKNOWN" == refused(lambda: counter.RemoveCredential(removal)).reason


def test_of_many_tills_at_one_instant_one_wins(house: House, tills: Tills, phone: Phone):
    """T22: in one batch or in several, on one server or on two. tests/soak plays a thousand rounds."""
    paths = [f"t/{store}/main/till-{n}" for store in ("cafe", "store-a") for n in (1, 2)]
    with house.server() as (_, other), ExitStack() as closing:
        stubs = [tills(path) for path in paths]
        for path in paths:
            channel = closing.enter_context(grpc.secure_channel(other, house.certificate(path).credentials()))
            stubs.append(TerminalServiceStub(channel))

        assert [] == rounds_without_one_winner(24, stubs, phone)


def test_in_one_batch_one_operation_of_a_code_wins(tills: Tills, phone: Phone):
    code = phone.code()
    batch = SubmitBatchRequest(
        operations=[operation(by_code(purchase, each, 1)) for each in (mistyped(code), code, code, phone.code())]
    )

    results = tills(CAFE_TILL).SubmitBatch(batch).results

    won = [result.receipt.balance_minor for result in results]
    assert [0, 119_999, 0, 119_998] == won
    assert [
        "PAYMENT_CODE_WRONG",
        "PAYMENT_CODE_USED",
    ] == [Refusal.of_status(results[place].error).reason for place in (0, 2)]


def test_tickets_are_kept_ahead_of_a_busy_phone(house: House, tills: Tills, phone: Phone):
    """64 openings in a row may go unpaid, at any time; dead tickets do not pile up."""
    for _ in range(8):
        phone.counter += 63
        assert "ACCEPTED" == outcome(tills(CAFE_TILL), by_code(purchase, phone.code(), 1))
        eventually(lambda: tickets_until(house, phone) >= phone.counter + 64)
    kept = house.query("SELECT count(*), min(counter) FROM pay_tickets WHERE card_id = %s", phone.card_id)[0]

    assert kept[0] < 300, "those long dead are gone"
    assert kept[1] > 300


def test_an_enrolment_told_twice_tells_one_seed_and_to_its_device_alone(house: House, counter: Any, member: UUID):
    request_id, other = new_id(), new_id()
    first = enrolled_phone(counter, member, request_id=request_id)
    _, public = generate_box_key()
    foreign = refused(lambda: enrolled_phone(counter, member, request_id=request_id, device_public_key=public))
    no_key = refused(lambda: enrolled_phone(counter, member, request_id=other, device_public_key=b"\0" * 32))

    assert "REQUEST_ID_REUSED" == foreign.reason
    assert ("FIELD_INVALID", ("device_public_key",)) == (no_key.reason, no_key.fields)
    assert 1 == house.query("SELECT count(*) FROM devices WHERE card_id = %s", first.card_id)[0][0]


def test_a_code_of_no_phone_is_no_card(tills: Tills):
    payload = "91" + "".join(secrets.choice("0123456789") for _ in range(19))

    assert "CARD_UNKNOWN" == outcome(tills(SECOND_TILL), by_code(purchase, payload + check_digit(payload), 1))
    malformed = refused(lambda: tills(SECOND_TILL).Purchase(by_code(purchase, "1" * 22, 1)))
    assert ("FIELD_INVALID", ("payment_code",)) == (malformed.reason, malformed.fields)


def test_what_a_device_has_used_is_a_fold_of_the_journal(house: House, tills: Tills, phone: Phone):
    """Of every phone that the tests above have used, too."""
    for code in (phone.code(), mistyped(phone.code()), mistyped(phone.code()), phone.code(30), phone.code()):
        outcome(tills(CAFE_TILL), by_code(purchase, code, 1))
    hold = by_code(authorize, phone.code(), 1_000)
    tills(CAFE_TILL).Authorize(hold)
    tills(CAFE_TILL).Capture(capture(hold.request_id, 500))
    kept = house.query("SELECT card_id, used_counter, tried_counter, tries, drift FROM devices")

    assert devices_by_the_journal(house) == {card: tuple(row) for card, *row in kept}
    assert (6, 3) == devices_by_the_journal(house)[phone.card_id][:2]
