"""PINs as tills and counters know them: fetched key, sealed on the way, over mutual TLS, by call, batch and stream."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest

from coalition.bootstrap.pins import seal_pin
from coalition.client import Declined, FieldRefused, Terminal
from coalition.domain.kinds import Kind
from coalition.v1.member_pb2 import AddPhoneRequest, SetPinRequest
from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.terminal_pb2 import GetPinKeyRequest, StreamRequest, SubmitBatchRequest
from keys import generate_box_key
from tests.house import House, Refusal, new_id, refusal_of
from tests.phones import enrolled_phone
from tests.server.conftest import Tills
from tests.server.messages import CAFE_REF, CAFE_TILL, STORE_TILL, authorize, capture, operation, purchase, top_up

LIMIT = 20_000
PIN, WRONG = "280619", "280618"
PLACE = "cafe/main/till-1"


@pytest.fixture(scope="module")
def counter(house: House, channel: Callable[[str], grpc.Channel]) -> MemberServiceStub:
    """Staff; and a PIN is needed above 200 yuan from now on."""
    house.office.create_agreement(
        house.act(Kind.AGREEMENT_CREATED, code="rules"),
        "rules",
        "CARD_RULES",
        {"no_pin_limit_minor": LIMIT},
        date(2026, 1, 1),
    )
    return MemberServiceStub(channel("op/admin"))


@pytest.fixture
def card(house: House, tills: Tills, counter: MemberServiceStub) -> str:
    """120,000 in its wallet, and the member has a PIN."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    counter.SetPin(setting(tills, member_of(house, card)))
    return card


def member_of(house: House, card: str) -> str:
    return str(house.reception.get_card(card).member_id)


def key(tills: Tills) -> bytes:
    return bytes(tills(CAFE_TILL).GetPinKey(GetPinKeyRequest()).public_key)


def setting(tills: Tills, member: str, pin: str = PIN, **fields: Any) -> SetPinRequest:
    request_id = new_id()
    sealed = seal_pin(key(tills), pin, request_id, f"member/{member}")
    return SetPinRequest(**{"request_id": request_id, "member_id": member, "sealed_pin": sealed, **fields})


def with_pin(tills: Tills, request: Any, pin: str = PIN, place: str = PLACE) -> Any:
    request.sealed_pin = seal_pin(key(tills), pin, request.request_id, place)
    return request


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def test_above_the_limit_a_pin_is_asked_for_and_taken(tills: Tills, card: str):
    till = tills(CAFE_TILL)

    assert LIMIT == till.Purchase(purchase(card, LIMIT)).receipt.amount_minor
    assert "PIN_REQUIRED" == refused(lambda: till.Purchase(purchase(card, LIMIT + 1))).reason
    assert "PIN_REQUIRED" == refused(lambda: till.Authorize(authorize(card, LIMIT + 1))).reason
    paid = till.Purchase(with_pin(tills, purchase(card, LIMIT + 1))).receipt
    held = till.Authorize(with_pin(tills, authorize(card, LIMIT + 1))).receipt
    captured = till.Capture(capture(held.request_id, LIMIT + 1)).receipt

    assert (LIMIT + 1, LIMIT + 1) == (paid.amount_minor, captured.amount_minor)


def test_a_wrong_pin_tells_what_is_left_and_the_fifth_locks_until_a_new_one_is_set(
    house: House, tills: Tills, counter: MemberServiceStub, card: str
):
    till = tills(CAFE_TILL)
    told = [refused(lambda: till.Purchase(with_pin(tills, purchase(card, 1), WRONG))) for _ in range(5)]
    locked = refused(lambda: till.Purchase(with_pin(tills, purchase(card, 1))))
    counter.SetPin(setting(tills, member_of(house, card), "905127"))

    assert ["4", "3", "2", "1", "0"] == [each.metadata["tries_left"] for each in told]
    assert {"PIN_WRONG"} == {each.reason for each in told}
    assert ("PIN_LOCKED", "FAILED_PRECONDITION") == (locked.reason, locked.code)
    assert 1 == till.Purchase(with_pin(tills, purchase(card, 1), "905127")).receipt.amount_minor
    assert 1 == till.Purchase(purchase(card, 1)).receipt.amount_minor  # a lock stops what needs a PIN, nothing else


def test_a_member_without_a_pin_is_told(house: House, tills: Tills, counter: MemberServiceStub):
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))

    assert "PIN_NOT_SET" == refused(lambda: tills(CAFE_TILL).Purchase(with_pin(tills, purchase(card, 1)))).reason


@pytest.mark.parametrize(
    "sealed",
    [
        lambda tills, request: b"noise",
        lambda tills, request: seal_pin(generate_box_key()[1], PIN, request, PLACE),  # to a key that is not ours
        lambda tills, request: seal_pin(key(tills), PIN, new_id(), PLACE),  # for another request
        lambda tills, request: seal_pin(key(tills), PIN, request, "cafe/main/till-2"),  # at another terminal
        lambda tills, request: seal_pin(key(tills), PIN, request, PLACE)[:-1],
    ],
    ids=["noise", "another key", "another request", "another terminal", "cut off"],
)
def test_a_pin_that_was_not_sealed_for_this_is_unreadable_and_costs_nothing(
    house: House, tills: Tills, card: str, sealed: Callable[[Tills, str], bytes]
):
    """A sealed PIN that was caught on its way is worth nothing anywhere else."""
    till, request = tills(CAFE_TILL), purchase(card, 1)
    request.sealed_pin = sealed(tills, request.request_id)
    before = house.entry_count()
    told = refused(lambda: till.Purchase(request))

    assert ("PIN_UNREADABLE", ("sealed_pin",)) == (told.reason, told.fields)
    assert before == house.entry_count()
    assert [(0, 0)] == house.query(
        "SELECT tries, forgiven FROM pins WHERE wallet_id = %s", house.reception.get_card(card).wallet_id
    )
    assert 1 == till.Purchase(with_pin(tills, request)).receipt.amount_minor  # the same request id, sealed anew


def test_a_till_server_seals_for_the_terminal_it_names(tills: Tills, card: str):
    request = purchase(card, 1, terminal=CAFE_REF)

    assert 1 == tills("ts/cafe/pos").Purchase(with_pin(tills, request, place="cafe/main/till-2")).receipt.amount_minor


def test_batches_and_streams_take_pins_too(tills: Tills, card: str):
    till = tills(CAFE_TILL)
    sent = [
        with_pin(tills, purchase(card, 1), WRONG),
        purchase(card, 2),
        with_pin(tills, authorize(card, LIMIT + 1)),
        purchase(card, LIMIT + 1),
    ]
    unreadable = purchase(card, 3)
    unreadable.sealed_pin = b"noise"
    sent.append(unreadable)

    def told(results: Any) -> list[str]:
        return ["accepted" if each.HasField("receipt") else Refusal.of_status(each.error).reason for each in results]

    expected = ["PIN_WRONG", "accepted", "accepted", "PIN_REQUIRED", "PIN_UNREADABLE"]
    batch = till.SubmitBatch(SubmitBatchRequest(operations=map(operation, sent)))
    stream = till.Stream(iter([StreamRequest(operation=operation(each)) for each in sent]))

    assert expected == told(batch.results)
    assert expected == told(each.result for each in stream)


def test_a_repetition_without_the_pin_gets_the_stored_answer(house: House, tills: Tills, card: str):
    """A terminal may not store a PIN, so after a crash it sends again without."""
    till = tills(CAFE_TILL)
    good, bad = with_pin(tills, purchase(card, LIMIT + 1)), with_pin(tills, purchase(card, LIMIT + 1), WRONG)
    first, wrong = till.Purchase(good).receipt, refused(lambda: till.Purchase(bad))
    good.ClearField("sealed_pin")
    bad.ClearField("sealed_pin")
    again, wrong_again = till.Purchase(good).receipt, refused(lambda: till.Purchase(bad))

    assert (first.entry_id, True) == (again.entry_id, again.replayed)
    assert ("PIN_WRONG", "4", "true") == (
        wrong_again.reason,
        wrong_again.metadata["tries_left"],
        wrong_again.metadata["replayed"],
    )
    assert wrong.metadata["entry_id"] == wrong_again.metadata["entry_id"]


def test_by_phone_a_pin_is_needed_whatever_the_amount(house: House, tills: Tills, counter: MemberServiceStub):
    """Anybody may know the number. The PIN is the wallet's, whatever names it."""
    member, phone = house.new_member()
    counter.AddPhone(AddPhoneRequest(request_id=new_id(), member_id=str(member), issuer="store-a"))
    tills(STORE_TILL).TopUp(top_up("", card_number=None, phone=phone))
    counter.SetPin(setting(tills, str(member)))
    till = tills(CAFE_TILL)

    def sale(amount: int) -> Any:
        return purchase("", amount, card_number=None, phone=phone)

    assert "PIN_REQUIRED" == refused(lambda: till.Purchase(sale(1))).reason
    assert "PIN_WRONG" == refused(lambda: till.Purchase(with_pin(tills, sale(1), WRONG))).reason
    assert 1 == till.Purchase(with_pin(tills, sale(1))).receipt.amount_minor


def test_a_payment_code_with_a_wrong_pin_is_good_for_the_right_one(
    house: House, tills: Tills, counter: MemberServiceStub, card: str
):
    """A decline does not use the code up: the member types again and need not open the page anew."""
    phone = enrolled_phone(counter, UUID(member_of(house, card)), issuer="store-a")
    till, code = tills(CAFE_TILL), phone.code()

    def sale() -> Any:
        return purchase("", LIMIT + 1, card_number=None, payment_code=code)

    assert "PIN_REQUIRED" == refused(lambda: till.Purchase(sale())).reason
    assert "PIN_WRONG" == refused(lambda: till.Purchase(with_pin(tills, sale(), WRONG))).reason
    assert LIMIT + 1 == till.Purchase(with_pin(tills, sale())).receipt.amount_minor


def test_setting_a_pin_is_for_staff_and_told_again(house: House, tills: Tills, counter: MemberServiceStub, card: str):
    request = setting(tills, member_of(house, card))
    first = counter.SetPin(request).receipt
    request.sealed_pin = b"lost, the terminal may not keep it"
    again = counter.SetPin(request).receipt
    other = setting(tills, str(UUID(int=4, version=4)), request_id=request.request_id)

    assert (first.entry_id, False, True) == (again.entry_id, first.replayed, again.replayed)
    assert "REQUEST_ID_REUSED" == refused(lambda: counter.SetPin(other)).reason


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"sealed_pin": b""}, "FIELD_INVALID", "sealed_pin"),
        ({"sealed_pin": bytes(513)}, "FIELD_INVALID", "sealed_pin"),
        ({"member_id": "7"}, "FIELD_INVALID", "member_id"),
        ({"request_id": "today"}, "REQUEST_ID_MALFORMED", "request_id"),
        ({"sealed_pin": b"noise"}, "PIN_UNREADABLE", "sealed_pin"),
        ({"member_id": str(UUID(int=4, version=4))}, "MEMBER_UNKNOWN", "member_id"),
    ],
)
def test_what_is_wrong_with_setting_a_pin_is_named(
    house: House, tills: Tills, counter: MemberServiceStub, card: str, changes: dict[str, Any], reason: str, field: str
):
    told = refused(lambda: counter.SetPin(setting(tills, member_of(house, card), **changes)))

    assert (reason, (field,)) == (told.reason, told.fields)


def test_an_over_long_sealed_pin_is_named_at_a_till(tills: Tills, card: str):
    told = refused(lambda: tills(CAFE_TILL).Purchase(purchase(card, 1, sealed_pin=bytes(513))))

    assert ("FIELD_INVALID", ("sealed_pin",)) == (told.reason, told.fields)


def test_the_key_is_told_to_tills_and_counters(tills: Tills):
    answers = [tills(path).GetPinKey(GetPinKeyRequest()) for path in (CAFE_TILL, "ts/cafe/pos", "hq/cafe", "op/admin")]

    assert 1 == len({answer.public_key for answer in answers})
    assert (8, 32) == (len(answers[0].key_id), len(answers[0].public_key))
    assert [PLACE, "", "", ""] == [answer.place for answer in answers]


def test_the_sdk_seals_fetches_a_new_key_and_keeps_no_pin(
    house: House, tills: Tills, address: str, card: str, tmp_path: Path
):
    """Its outbox is on disk; the request with the PIN is in memory only."""
    to_keys: list[bytes] = []

    def sealer(public_key: bytes, pin: str, request_id: str, place: str) -> bytes:
        # The first time as if the server had another key by now.
        to_keys.append(public_key if to_keys else generate_box_key()[1])
        return seal_pin(to_keys[-1], pin, request_id, place)

    outbox = tmp_path / "till-1.outbox"
    with Terminal(address, house.certificate(CAFE_TILL), outbox=outbox, pin_sealer=sealer) as till:
        with pytest.raises(Declined) as required:
            till.purchase(card, LIMIT + 1)
        paid = till.purchase(card, LIMIT + 1, pin=PIN)
        held = till.authorize(card, LIMIT + 1, pin=PIN)
        with pytest.raises(Declined) as wrong:
            till.purchase(card, 1, pin=WRONG)
        with pytest.raises(FieldRefused):
            till.purchase(card, 1, pin="2806")
        states = [(row.kind, row.state, row.reason) for row in reversed(till.recent())]

    assert ("PIN_REQUIRED", "PIN_WRONG") == (required.value.reason, wrong.value.reason)
    assert (LIMIT + 1, LIMIT + 1) == (paid.amount_minor, held.amount_minor)
    assert 4 == len(to_keys)  # the first one twice
    assert [
        ("PURCHASE", "DECLINED", "PIN_REQUIRED"),
        ("PURCHASE", "ACCEPTED", ""),
        ("AUTHORIZE", "ACCEPTED", ""),
        ("PURCHASE", "DECLINED", "PIN_WRONG"),
    ] == states
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert paid.request_id.encode() in written
    assert PIN.encode() not in written


def test_a_terminal_without_a_sealer_says_so_and_sends_nothing(house: House, address: str, card: str, tmp_path: Path):
    with Terminal(address, house.certificate(CAFE_TILL), outbox=tmp_path / "outbox") as till:
        with pytest.raises(FieldRefused, match="pin_sealer"):
            till.purchase(card, 1, pin=PIN)
        assert [] == till.recent()


@pytest.fixture(scope="module", autouse=True)
def _books_hold(house: House) -> Iterator[None]:
    """Whatever happened here, nobody was given a sixth try in a row."""
    yield
    assert [] == house.query("SELECT wallet_id FROM pins WHERE tries - forgiven > 5")
