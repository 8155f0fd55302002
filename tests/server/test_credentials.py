"""A member without a card: named by another system's id, or by a phone, which tops up and looks but pays nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import grpc
import pytest

from coalition.domain.cards import check_digit
from coalition.v1.member_pb2 import (
    CARD_KIND_PHONE,
    CARD_KIND_VIRTUAL,
    PURPOSE_COUNTER_SERVICE,
    AddPhoneRequest,
    AddVirtualIdRequest,
    Card,
    CardOfMember,
    EnrolDeviceRequest,
    FreezeCardRequest,
    GetMemberRequest,
    RemoveCredentialRequest,
    UnfreezeCardRequest,
)
from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.operations_pb2 import CARD_STATE_REPLACED, VirtualId
from coalition.v1.terminal_pb2 import GetBalanceRequest
from tests.house import House, Refusal, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import CAFE_TILL, STORE_TILL, authorize, purchase, top_up

NOBODY = str(UUID(int=1))
NO_CODE = "91" + "0" * 19 + check_digit("91" + "0" * 19)


@pytest.fixture(scope="module")
def counter(channel: Callable[[str], Any]) -> MemberServiceStub:
    stub: MemberServiceStub = MemberServiceStub(channel("op/admin"))
    return stub


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def by(make: Callable[..., Any], *amount: int, **credential: Any) -> Any:
    return make("", *amount, card_number=None, **credential)


def add_id(counter: Any, member: UUID, named: VirtualId, request_id: str | None = None) -> Card:
    request = AddVirtualIdRequest(request_id=request_id or new_id(), member_id=str(member), virtual_id=named)
    card: Card = counter.AddVirtualId(request).card
    return card


def add_phone(counter: Any, member: UUID) -> Card:
    card: Card = counter.AddPhone(AddPhoneRequest(request_id=new_id(), member_id=str(member))).card
    return card


def remove(counter: Any, member: UUID, card: Card) -> Card:
    request = RemoveCredentialRequest(request_id=new_id(), member_id=str(member), card_id=card.card_id)
    removed: Card = counter.RemoveCredential(request).card
    return removed


def new_virtual_id() -> VirtualId:
    return VirtualId(namespace="chat", subject=f"o-{new_id()}")


def test_another_systems_id_pays_as_a_card_does(house: House, tills: Tills, counter: Any):
    member, named = house.new_member()[0], new_virtual_id()
    card = add_id(counter, member, named)
    tills(STORE_TILL).TopUp(by(top_up, virtual_id=named))

    paid = tills(CAFE_TILL).Purchase(by(purchase, 30_000, virtual_id=named)).receipt
    balance = tills(CAFE_TILL).GetBalance(GetBalanceRequest(virtual_id=named)).balance

    assert (90_000, 90_000) == (paid.balance_minor, balance.balance_minor)
    assert (CARD_KIND_VIRTUAL, f"{card.card_id % 10_000:04d}") == (card.kind, card.last_four)
    assert card.last_four == paid.card_last_four == balance.card_last_four


def test_an_id_is_of_its_own_system_and_compared_byte_by_byte(house: House, tills: Tills, counter: Any):
    named = VirtualId(namespace="chat", subject="Same-1")
    add_id(counter, house.new_member()[0], named)
    others = [VirtualId(namespace="club", subject="Same-1"), VirtualId(namespace="chat", subject="same-1")]

    for other in others:
        assert "CARD_UNKNOWN" == refused(lambda o=other: tills(CAFE_TILL).Purchase(by(purchase, virtual_id=o))).reason  # type: ignore[misc]


def test_an_id_names_one_member_until_it_is_removed_there(house: House, tills: Tills, counter: Any):
    """A desk that remembers where the id led must not pay from the wallet of the member before."""
    first, second, named = house.new_member()[0], house.new_member()[0], new_virtual_id()
    old = add_id(counter, first, named)
    tills(STORE_TILL).TopUp(by(top_up, 50_000, virtual_id=named))
    for member in (first, second):
        assert "CREDENTIAL_TAKEN" == refused(lambda m=member: add_id(counter, m, named)).reason  # type: ignore[misc]

    assert CARD_STATE_REPLACED == remove(counter, first, old).state
    gone = refused(lambda: tills(CAFE_TILL).Purchase(by(purchase, 1, virtual_id=named)))
    new = add_id(counter, second, named)
    tills(STORE_TILL).TopUp(by(top_up, 10_000, virtual_id=named))
    paid = tills(CAFE_TILL).Purchase(by(purchase, 1, virtual_id=named)).receipt

    assert "CARD_REPLACED" == gone.reason
    assert (11_999, new.last_four) == (paid.balance_minor, paid.card_last_four)
    assert "CREDENTIAL_UNKNOWN" == refused(lambda: remove(counter, first, old)).reason


def test_of_many_who_give_one_id_to_members_one_wins(house: House, counter: Any):
    named = new_virtual_id()
    members = [house.new_member()[0] for _ in range(6)]

    def attempt(member: UUID) -> str:
        try:
            add_id(counter, member, named)
        except grpc.RpcError as error:
            return refusal_of(error).reason
        return "ADDED"

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(attempt, members))

    assert ["ADDED", *["CREDENTIAL_TAKEN"] * 5] == answers


def test_a_phone_tops_up_and_looks_but_never_pays_alone(house: House, tills: Tills, counter: Any):
    """Many people know a phone number."""
    member, number = house.new_member()
    before = refused(lambda: tills(STORE_TILL).TopUp(by(top_up, phone=number)))
    card = add_phone(counter, member)

    topped_up = tills(STORE_TILL).TopUp(by(top_up, phone=number)).receipt
    balance = tills(CAFE_TILL).GetBalance(GetBalanceRequest(phone=number)).balance
    purchases = [refused(lambda: tills(CAFE_TILL).Purchase(by(purchase, phone=number)))]
    purchases.append(refused(lambda: tills(CAFE_TILL).Authorize(by(authorize, phone=number))))

    assert "CARD_UNKNOWN" == before.reason, "a member has to ask for it"
    assert (120_000, 120_000) == (topped_up.balance_minor, balance.balance_minor)
    assert ["PIN_REQUIRED", "PIN_REQUIRED"] == [each.reason for each in purchases]
    assert all("entry_id" in each.metadata for each in purchases), "declines are stored"
    assert (CARD_KIND_PHONE, f"{card.card_id % 10_000:04d}") == (card.kind, topped_up.card_last_four)
    assert number[-4:] != topped_up.card_last_four or card.card_id % 10_000 == int(number[-4:])
    assert "CREDENTIAL_TAKEN" == refused(lambda: add_phone(counter, member)).reason


def test_an_unknown_phone_is_a_stored_decline_and_a_repetition_hears_it(house: House, tills: Tills, counter: Any):
    """Also where the phone has become known meanwhile: nothing is declined before the replay check."""
    member, number = house.new_member()
    request = by(top_up, phone=number)
    first = refused(lambda: tills(STORE_TILL).TopUp(request))
    card = add_phone(counter, member)
    again = refused(lambda: tills(STORE_TILL).TopUp(request))
    accepted = by(top_up, phone=number)
    receipt = tills(STORE_TILL).TopUp(accepted).receipt
    remove(counter, member, card)

    assert ("CARD_UNKNOWN", "false", "true") == (first.reason, first.metadata["replayed"], again.metadata["replayed"])
    assert first.metadata["entry_id"] == again.metadata["entry_id"]
    assert receipt.entry_id == tills(STORE_TILL).TopUp(accepted).receipt.entry_id
    assert "CARD_UNKNOWN" == refused(lambda: tills(STORE_TILL).TopUp(by(top_up, phone=number))).reason


def test_a_member_shows_its_credentials_with_their_kinds(house: House, counter: Any):
    member = house.new_member()[0]
    add_phone(counter, member)
    add_id(counter, member, new_virtual_id())

    shown = counter.GetMember(GetMemberRequest(member_id=str(member), purpose=PURPOSE_COUNTER_SERVICE)).member

    assert {CARD_KIND_PHONE, CARD_KIND_VIRTUAL} == {card.kind for card in shown.cards}


def test_a_credential_is_frozen_and_unfrozen_like_a_card(house: House, tills: Tills, counter: Any):
    member, named = house.new_member()[0], new_virtual_id()
    card = add_id(counter, member, named)
    reference = CardOfMember(member_id=str(member), card_id=card.card_id)
    counter.FreezeCard(FreezeCardRequest(request_id=new_id(), card_of_member=reference))

    assert "CARD_FROZEN" == refused(lambda: tills(CAFE_TILL).Purchase(by(purchase, virtual_id=named))).reason

    counter.UnfreezeCard(UnfreezeCardRequest(request_id=new_id(), card_of_member=reference))
    assert 120_000 == tills(STORE_TILL).TopUp(by(top_up, virtual_id=named)).receipt.balance_minor


def test_who_is_no_member_gets_no_credential_and_a_printed_card_is_not_removed(house: House, counter: Any):
    nobody = UUID(NOBODY)
    number = house.new_card()
    card_id, member = house.query(
        "SELECT c.card_id, m.member_id FROM cards c JOIN members m USING (wallet_id)"
        " WHERE c.last_four = %s AND c.kind = 'NUMBER'",
        number[-4:],
    )[0]
    wrong = [
        refused(lambda: add_id(counter, nobody, new_virtual_id())).reason,
        refused(lambda: add_phone(counter, nobody)).reason,
        refused(lambda: remove(counter, nobody, Card(card_id=1))).reason,
        refused(lambda: remove(counter, member, Card(card_id=card_id))).reason,
        refused(lambda: remove(counter, member, Card(card_id=card_id + 1))).reason,
    ]

    assert [*["MEMBER_UNKNOWN"] * 3, *["CREDENTIAL_UNKNOWN"] * 2] == wrong


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        ("EnrolDevice", EnrolDeviceRequest(member_id=NOBODY, device_public_key=b"k" * 31), "device_public_key"),
        ("EnrolDevice", EnrolDeviceRequest(member_id="x", device_public_key=b"k" * 32), "member_id"),
        ("AddVirtualId", AddVirtualIdRequest(member_id=NOBODY), "virtual_id"),
        (
            "AddVirtualId",
            AddVirtualIdRequest(member_id=NOBODY, virtual_id=VirtualId(namespace="Chat", subject="o")),
            "virtual_id.namespace",
        ),
        ("AddPhone", AddPhoneRequest(member_id=""), "member_id"),
        ("RemoveCredential", RemoveCredentialRequest(member_id=NOBODY), "card_id"),
    ],
)
def test_what_is_malformed_is_named_and_nothing_is_stored(
    house: House, counter: Any, call: str, request_: Any, field: str
):
    acts = house.query("SELECT count(*) FROM entries")
    request = type(request_)(request_id=new_id())
    request.MergeFrom(request_)

    answer = refused(lambda: getattr(counter, call)(request))

    assert ("FIELD_INVALID", "INVALID_ARGUMENT", field) == (answer.reason, answer.code, answer.fields[0])
    assert acts == house.query("SELECT count(*) FROM entries")


@pytest.mark.parametrize("path", [CAFE_TILL, "mg/app", "aud/firm"])
def test_only_staff_gives_and_takes_credentials(house: House, channel: Callable[[str], Any], path: str):
    """A till enrols members and links cards, but a phone or an id pays again and again."""
    stub = MemberServiceStub(channel(path))
    phone = AddPhoneRequest(request_id=new_id(), member_id=NOBODY)
    device = EnrolDeviceRequest(request_id=new_id(), member_id=NOBODY, device_public_key=b"k" * 32)
    removal = RemoveCredentialRequest(request_id=new_id(), member_id=NOBODY, card_id=1)

    assert {"PERMISSION_DENIED"} == {
        refused(lambda: stub.AddPhone(phone)).reason,
        refused(lambda: stub.EnrolDevice(device)).reason,
        refused(lambda: stub.RemoveCredential(removal)).reason,
    }


def test_a_terminal_that_guesses_is_locked_and_the_others_go_on(house: House, tills: Tills, counter: Any):
    """T24: twenty wrong codes or phones within the hour. What it asked before is still told, and cards still pay."""
    member, number = house.new_member()
    add_phone(counter, member)
    known = by(top_up, 10_000, phone=number, issuer="store-a")
    guessing, other = tills("t/store-b/main/till-1"), tills("t/store-b/main/till-2")
    receipt = guessing.TopUp(known).receipt
    guesses: list[dict[str, str]] = [{"phone": f"+8613900{n:06d}"} for n in range(10)]
    guesses += [{"payment_code": code + check_digit(code)} for code in (f"91{n:019d}" for n in range(10))]
    looks = guesses[:1] + guesses[-1:]
    wrong = [refused(lambda g=g: guessing.TopUp(by(top_up, **g))) for g in guesses[1:-1]]  # type: ignore[misc]
    wrong += [refused(lambda g=g: guessing.GetBalance(GetBalanceRequest(**g))) for g in looks]  # type: ignore[misc]

    locked = [
        refused(lambda: guessing.TopUp(by(top_up, phone=number))),
        refused(lambda: guessing.GetBalance(GetBalanceRequest(phone=number))),
        refused(lambda: guessing.Purchase(by(purchase, payment_code=NO_CODE))),
    ]

    assert {"CARD_UNKNOWN"} == {each.reason for each in wrong}
    assert {("CREDENTIALS_LOCKED", "RESOURCE_EXHAUSTED", None)} == {
        (each.reason, each.code, each.retry_seconds) for each in locked
    }
    assert all(3_500 < int(each.metadata["seconds"]) <= 3_600 for each in locked)
    assert receipt.entry_id == guessing.TopUp(known).receipt.entry_id, "a stored answer is told all the same"
    assert 12_000 == guessing.TopUp(top_up(house.new_card(), 10_000, issuer="store-a")).receipt.balance_minor
    assert 10_000 == other.TopUp(by(top_up, 10_000, phone=number, issuer="store-a")).receipt.amount_minor
