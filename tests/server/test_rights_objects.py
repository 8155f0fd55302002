"""The rights table, its other half: every RPC of a till with objects of its own and of others.

What takes a terminal or names an earlier operation is read from the protos: an RPC that is added without a case fails.
"""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from coalition.domain.acts import JSON
from coalition.domain.kinds import Kind
from coalition.v1 import terminal_pb2
from coalition.v1.operations_pb2 import Operation, OperationResult, TerminalRef
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import FIRST_DAY, House, Refusal, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_REF,
    CAFE_TILL,
    STORE_TILL,
    authorize,
    capture,
    cash_out,
    convert_points,
    operation,
    purchase,
    refund,
    repay_points,
    return_pass,
    return_points,
    return_top_up,
    return_visit,
    reverse,
    reverse_top_up,
    sell_pass,
    spend_points,
    top_up,
    upload,
    visit_pass,
    void,
)

SERVICE = terminal_pb2.DESCRIPTOR.services_by_name["TerminalService"]
NAMES_A_TERMINAL = {each.name for each in SERVICE.methods if "terminal" in each.input_type.fields_by_name}
OF_OPERATION: Any = Operation.DESCRIPTOR.fields
OPERATIONS = {field.message_type.name.removesuffix("Request"): field.name for field in OF_OPERATION}
NAMES_AN_ORIGINAL = {
    field.message_type.name.removesuffix("Request")
    for field in OF_OPERATION
    if {"original_request_id", "hold_request_id"} & set(field.message_type.fields_by_name)
}
BATH: dict[str, JSON] = {"issuer": "store-a", "price_minor": 10_000, "visits": 1_000}
STARS: dict[str, JSON] = {"debtor": "store-a", "steps": [{"from_minor": 1_000, "rate": "1"}], "value": "1"}
FOREIGN = TerminalRef(participant="store-a", store="main", terminal="till-1")
NOBODYS = TerminalRef(participant="nobody", store="main", terminal="till-1")
OWN = TerminalRef(participant="cafe", store="main", terminal="till-1")

Maker = Callable[[str], Any]
"""Makes a well-formed message about a card, or about a request id that nobody has used."""
MAKERS: dict[str, Maker] = {
    "TopUp": top_up,
    "Purchase": lambda card: purchase(card, 1),
    "Refund": lambda _: refund(new_id()),
    "Authorize": lambda card: authorize(card, 1),
    "Capture": lambda _: capture(new_id()),
    "Void": lambda _: void(new_id()),
    "Upload": lambda card: upload(card, 1),
    "ReturnTopUp": lambda _: return_top_up(new_id()),
    "ReverseTopUp": lambda _: reverse_top_up(new_id()),
    "CashOut": lambda _: cash_out("9" * 16),
    "SellPass": sell_pass,
    "VisitPass": visit_pass,
    "ReturnVisit": lambda _: return_visit(new_id()),
    "ReturnPass": lambda _: return_pass(new_id()),
    "SpendPoints": spend_points,
    "ReturnPoints": lambda _: return_points(new_id()),
    "ConvertPoints": convert_points,
    "RepayPoints": repay_points,
    "Reverse": lambda _: reverse(new_id()),
    "Resolve": lambda _: terminal_pb2.ResolveRequest(request_id=new_id()),
    "GetBalance": lambda card: terminal_pb2.GetBalanceRequest(card_number=card),
    "ListEntries": lambda card: terminal_pb2.ListEntriesRequest(card_number=card),
    "GetDayTotals": lambda _: terminal_pb2.GetDayTotalsRequest(),
    "CloseDay": lambda _: terminal_pb2.CloseDayRequest(
        request_id=new_id(), business_date="2026-11-26", number=1, signature=b"x"
    ),
}


@pytest.fixture(scope="module")
def card(house: House, tills: Tills) -> str:
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    house.office.create_agreement(house.act(Kind.AGREEMENT_CREATED, code="bath"), "bath", "PASSES", BATH, FIRST_DAY)
    tills(STORE_TILL).SellPass(sell_pass(card))
    stars = house.act(Kind.AGREEMENT_CREATED, code="stars")
    house.office.create_agreement(stars, "stars", "POINTS", STARS, FIRST_DAY)
    tills(STORE_TILL).Purchase(purchase(card, 1_000))
    return card


def reason_of(call: Callable[[], Any]) -> str:
    """Why it was refused; empty when it was answered."""
    try:
        call()
    except grpc.RpcError as error:
        return refusal_of(error).reason
    return ""


def told(result: OperationResult) -> str:
    return "" if result.HasField("receipt") else Refusal.of_status(result.error).reason


def ways(till: TerminalServiceStub, name: str, request: Message) -> list[str]:
    """How it is answered by itself, in a batch and down a stream."""
    answers = [reason_of(lambda: getattr(till, name)(request))]
    if name in OPERATIONS:
        one: Any = operation(request)  # type: ignore[arg-type]  # one of many kinds
        answers += [told(each) for each in till.SubmitBatch(terminal_pb2.SubmitBatchRequest(operations=[one])).results]
        answers += [told(each.result) for each in till.Stream(iter([terminal_pb2.StreamRequest(operation=one)]))]
    return answers


def test_every_rpc_that_names_a_terminal_has_a_case():
    assert NAMES_A_TERMINAL == set(MAKERS)
    assert set(OPERATIONS) <= set(MAKERS)


@pytest.mark.parametrize("path", [CAFE_TILL, "ts/cafe/pos"])
@pytest.mark.parametrize("name", MAKERS)
def test_nobody_speaks_for_a_terminal_of_another(house: House, tills: Tills, card: str, name: str, path: str):
    """By call, batch and stream; whether a stranger's terminal exists is not told, and nothing is stored."""
    before = house.entry_count()
    for terminal in (FOREIGN, NOBODYS):
        request = MAKERS[name](card)
        request.terminal.CopyFrom(terminal)

        assert {"TERMINAL_OF_OTHER_STORE"} == set(ways(tills(path), name, request))
    assert before == house.entry_count()


@pytest.mark.parametrize("name", MAKERS)
def test_a_till_and_its_server_speak_for_their_own(tills: Tills, card: str, name: str):
    for path, terminal in ((CAFE_TILL, OWN), ("ts/cafe/pos", CAFE_REF)):
        request = MAKERS[name](card)
        request.terminal.CopyFrom(terminal)

        assert not {"TERMINAL_OF_OTHER_STORE", "PERMISSION_DENIED"} & set(ways(tills(path), name, request))


def about(name: str, original: str, entry_id: int = 0) -> Any:
    """A message of this RPC about an earlier operation, by its request_id or its entry_id."""
    makers: dict[str, Callable[..., Any]] = {
        "Refund": lambda: refund(original, 1),
        "Capture": lambda: capture(original, 1),
        "Void": lambda: void(original),
        "ReturnTopUp": lambda: return_top_up(original),
        "ReverseTopUp": lambda: reverse_top_up(original),
        "ReturnVisit": lambda: return_visit(original),
        "ReturnPass": lambda: return_pass(original),
        "ReturnPoints": lambda: return_points(original),
        "Reverse": lambda: reverse(original),
    }
    request = makers[name]()
    if entry_id:
        named = "original_entry_id" if "original_entry_id" in request.DESCRIPTOR.fields_by_name else "hold_entry_id"
        setattr(request, named, entry_id)
    return request


UNDONE = {
    "Refund": ("ORIGINAL_UNKNOWN", "ORIGINAL_OF_OTHER_PARTICIPANT"),
    "Capture": ("HOLD_UNKNOWN", "HOLD_UNKNOWN"),
    "Void": ("HOLD_UNKNOWN", "HOLD_UNKNOWN"),
    "ReturnTopUp": ("ORIGINAL_UNKNOWN", "ORIGINAL_OF_OTHER_PARTICIPANT"),
    "ReverseTopUp": ("ORIGINAL_UNKNOWN", "ORIGINAL_OF_OTHER_PARTICIPANT"),
    "ReturnVisit": ("ORIGINAL_UNKNOWN", "ORIGINAL_OF_OTHER_PARTICIPANT"),
    "ReturnPass": ("ORIGINAL_UNKNOWN", "ORIGINAL_OF_OTHER_PARTICIPANT"),
    "ReturnPoints": ("ORIGINAL_UNKNOWN", "ORIGINAL_OF_OTHER_PARTICIPANT"),
    "Reverse": ("", None),
}
"""What is said of another participant's operation, by its request_id and by its entry_id. A reversal is accepted, of
nothing: a request_id is its participant's own, and the other one's operation stays.
"""


def test_every_operation_that_names_an_earlier_one_has_a_case():
    assert set(UNDONE) == NAMES_AN_ORIGINAL


@pytest.mark.parametrize("name", UNDONE)
def test_what_another_has_done_is_not_undone(tills: Tills, card: str, name: str):
    ours, theirs = tills(CAFE_TILL), tills(STORE_TILL)
    make: dict[str, Callable[[], Any]] = {
        "Refund": lambda: theirs.Purchase(purchase(card, 10)),
        "Capture": lambda: theirs.Authorize(authorize(card, 10)),
        "Void": lambda: theirs.Authorize(authorize(card, 10)),
        "ReturnTopUp": lambda: theirs.TopUp(top_up(card, 10_000)),
        "ReverseTopUp": lambda: theirs.TopUp(top_up(card, 10_000)),
        "ReturnVisit": lambda: theirs.VisitPass(visit_pass(card)),
        "ReturnPass": lambda: theirs.SellPass(sell_pass(card)),
        "ReturnPoints": lambda: theirs.SpendPoints(spend_points(card)),
        "Reverse": lambda: theirs.Purchase(purchase(card, 10)),
    }
    by_request, by_entry = UNDONE[name]
    original = make[name]().receipt
    before = balance(theirs, card)

    assert by_request == reason_of(lambda: getattr(ours, name)(about(name, original.request_id)))
    if by_entry is not None:
        assert by_entry == reason_of(lambda: getattr(ours, name)(about(name, "", original.entry_id)))
    assert before == balance(theirs, card)
    undone = getattr(theirs, name)(about(name, original.request_id)).receipt
    assert undone.amount_minor > 0 or undone.points > 0  # its own till does it all the same


def test_what_another_was_answered_is_not_told(tills: Tills, card: str):
    """Its request_id is unknown here, and killed for ever: here."""
    paid = tills(STORE_TILL).Purchase(purchase(card, 10)).receipt
    asked = terminal_pb2.ResolveRequest(request_id=paid.request_id)

    assert "KILLED" == told(tills(CAFE_TILL).Resolve(asked).result)
    assert paid.entry_id == tills(STORE_TILL).Resolve(asked).result.receipt.entry_id
    own = tills(CAFE_TILL).ListEntries(terminal_pb2.ListEntriesRequest(card_number=card)).entries
    assert paid.entry_id not in {line.entry_id for line in own}


def balance(till: TerminalServiceStub, card: str) -> tuple[int, int]:
    """Of the wallet, and what of it is free here."""
    held = till.GetBalance(terminal_pb2.GetBalanceRequest(card_number=card)).balance
    return held.balance_minor, held.balance_here_minor
