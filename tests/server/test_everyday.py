"""Everyday cases over the wire: bounced money, cash for the member, returns elsewhere, two issuers in a purchase."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from coalition.domain.kinds import Kind
from coalition.v1.operations_pb2 import (
    RETURNED_GOODS_KEPT,
    RETURNED_GOODS_PASSED_ON,
    EntryKind,
    OperationResult,
    RefundRequest,
    ReverseTopUpRequest,
)
from coalition.v1.terminal_pb2 import GetBalanceRequest, ListEntriesRequest, StreamRequest, SubmitBatchRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import AGREEMENTS, FIRST_DAY, House, Refusal, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_TILL,
    STORE_TILL,
    authorize,
    cash_out,
    operation,
    purchase,
    refund,
    reverse_top_up,
    top_up,
    void,
)

OTHER_TILL = "t/store-b/main/till-1"
GARAGE_TILL = "t/garage/main/till-1"


@pytest.fixture(scope="module", autouse=True)
def _agreed(house: House) -> None:
    """The cafe's sales may be returned at the garage; store-b issues, too, and the cafe takes that."""
    contents = {code: content for code, _, content in AGREEMENTS}
    acquiring = {**contents["acquiring-cafe"], "returns_at": ["garage"]}
    house.office.revise_agreement(house.act(Kind.AGREEMENT_REVISED), "acquiring-cafe", 1, acquiring, FIRST_DAY)
    made_here: list[tuple[str, str, dict[str, Any]]] = [
        ("terms-b", "TERMS", {"issuer": "store-b", "sellers": ["store-b", "cafe"], "seller_commission": "1/50"}),
        ("b-at-cafe", "ACCEPTANCE", {"issuer": "store-b", "acquirer": "cafe", "interchange": "1/200"}),
    ]
    for code, kind, content in made_here:
        made = house.act(Kind.AGREEMENT_CREATED, code=code)
        house.office.create_agreement(made, code, kind, content, FIRST_DAY)


@pytest.fixture
def card(house: House, tills: Tills) -> str:
    """120,000 in its wallet."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    return card


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def claims(house: House, entry_id: int) -> set[str]:
    """The claims of an entry: `cafe=>store-a 8333`."""
    codes = dict(house.query("SELECT participant_id, code FROM participants"))
    return {
        f"{codes[debit >> 24 & 0xFFFFFF]}=>{codes[credit >> 24 & 0xFFFFFF]} {amount}"
        for debit, credit, amount in house.query(
            "SELECT debit, credit, amount_minor FROM transfers WHERE entry_id = %s AND debit >> 48 = 4", entry_id
        )
    }


def test_a_bounced_top_up_is_taken_back_by_till_or_headquarters(house: House, tills: Tills):
    """Sold by the cafe for store-b, which hears from the bank first: what was spent is the seller's loss."""
    cards = [house.new_card() for _ in range(4)]
    sold = [tills(CAFE_TILL).TopUp(top_up(card, 20_000, issuer="store-b")).receipt for card in cards]
    tills(CAFE_TILL).Purchase(purchase(cards[0], 5_000))
    asked = ReverseTopUpRequest(request_id=new_id(), original_entry_id=sold[0].entry_id)

    assert "ORIGINAL_OF_OTHER_PARTICIPANT" == (
        refused(lambda: tills("hq/garage").ReverseTopUp(ReverseTopUpRequest(**said(sold[0].entry_id)))).reason
    )
    back = tills("hq/store-b").ReverseTopUp(asked).receipt
    again = tills("hq/store-b").ReverseTopUp(asked).receipt

    assert (EntryKind.ENTRY_KIND_TOP_UP_REVERSAL, 15_000, 0) == (back.kind, back.amount_minor, back.balance_minor)
    assert (again.replayed, back.entry_id) == (True, again.entry_id)
    assert {"store-b=>cafe 15000"} == claims(house, back.entry_id)
    assert [(None, None, "/hq/store-b")] == house.query(
        "SELECT store_id, terminal_id, actor FROM entries WHERE entry_id = %s", back.entry_id
    )
    assert 20_000 == tills("op/admin").ReverseTopUp(ReverseTopUpRequest(**said(sold[1].entry_id))).receipt.amount_minor
    assert 20_000 == tills(CAFE_TILL).ReverseTopUp(reverse_top_up(sold[2].request_id)).receipt.amount_minor
    assert 20_000 == batched(tills(CAFE_TILL), reverse_top_up(sold[3].request_id)).receipt.amount_minor
    assert (
        "LOT_NOT_OPEN" == Refusal.of_status(streamed(tills(CAFE_TILL), reverse_top_up(sold[3].request_id)).error).reason
    )
    own_till = refused(lambda: tills("hq/cafe").ReverseTopUp(asked_at_a_till(sold[0].entry_id)))
    assert "TERMINAL_OF_OTHER_STORE" == own_till.reason


def test_a_wallet_is_paid_out_and_closed_and_still_takes_refunds(house: House, tills: Tills, card: str):
    cafe, store = tills(CAFE_TILL), tills(STORE_TILL)
    spent = cafe.Purchase(purchase(card, 30_000)).receipt
    held = cafe.Authorize(authorize(card, 1_000)).receipt

    assert "WALLET_HAS_HOLDS" == refused(lambda: tills(GARAGE_TILL).CashOut(cash_out(card))).reason
    cafe.Void(void(held.request_id))
    asked = cash_out(card, close_wallet=True)
    paid = tills(GARAGE_TILL).CashOut(asked).receipt

    assert (EntryKind.ENTRY_KIND_CASH_OUT, 75_000, 15_000, 0, True) == (
        paid.kind,
        paid.amount_minor,
        paid.bonus_minor,
        paid.balance_minor,
        paid.wallet_closed,
    )
    assert {"store-a=>garage 75000"} == claims(house, paid.entry_id)
    assert tills(GARAGE_TILL).CashOut(asked).receipt.replayed
    assert "WALLET_CLOSED" == refused(lambda: store.TopUp(top_up(card, 1_000))).reason
    assert "WALLET_CLOSED" == refused(lambda: cafe.Purchase(purchase(card, 1))).reason
    assert 10_000 == cafe.Refund(refund(spent.request_id, 10_000)).receipt.balance_minor
    assert 8_333 == batched(store, cash_out(card)).receipt.amount_minor
    empty = streamed(store, cash_out(card, close_wallet=True))
    assert "INSUFFICIENT_FUNDS" == Refusal.of_status(empty.error).reason
    wallet = "SELECT w.state FROM wallets w JOIN entries e USING (lane, wallet_id) WHERE entry_id = %s"
    assert [("CLOSED",)] == house.query(wallet, paid.entry_id)
    lines = store.ListEntries(ListEntriesRequest(card_number=card)).entries
    assert -10_000 == next(line for line in lines if line.kind == EntryKind.ENTRY_KIND_CASH_OUT).balance_change_minor


def test_a_purchase_is_returned_at_another_merchant_that_keeps_the_goods(house: House, tills: Tills, card: str):
    spent = tills(CAFE_TILL).Purchase(purchase(card, 30_000)).receipt
    garage = tills(GARAGE_TILL)

    assert "ORIGINAL_OF_OTHER_PARTICIPANT" == refused(lambda: garage.Refund(of_entry(spent.entry_id))).reason
    asked = of_entry(spent.entry_id, returned_goods=RETURNED_GOODS_KEPT)
    back = garage.Refund(asked).receipt

    mirrored = {"cafe=>store-a 8333", "cafe=>store-a 1667", "store-a=>cafe 100", f"{operator(house)}=>cafe 60"}
    assert (10_000, 100_000) == (back.amount_minor, back.balance_minor)
    assert mirrored | {"garage=>cafe 9840"} == claims(house, back.entry_id)
    last = batched(garage, of_entry(spent.entry_id, 20_000, returned_goods=RETURNED_GOODS_PASSED_ON)).receipt
    assert 120_000 == last.balance_minor
    assert not any(claim.startswith("garage") for claim in claims(house, last.entry_id))
    asked.returned_goods = RETURNED_GOODS_PASSED_ON
    assert "REQUEST_ID_REUSED" == refused(lambda: garage.Refund(asked)).reason


def test_one_purchase_draws_on_two_issuers_and_each_pays_and_earns_its_part(house: House, tills: Tills, card: str):
    """store-b's value was sold by the cafe (commission 2 %); of 130,000 it gives the last 10,000."""
    sold = tills(CAFE_TILL).TopUp(top_up(card, 20_000, issuer="store-b")).receipt
    spent = tills(CAFE_TILL).Purchase(purchase(card, 130_000)).receipt

    assert {"cafe=>store-b 20000", "store-b=>cafe 400"} == claims(house, sold.entry_id)
    assert {"store-a=>cafe 100000", "store-a=>cafe 20000", "store-b=>cafe 10000", "cafe=>store-b 50"} <= (
        claims(house, spent.entry_id)
    )
    assert 10_000 == tills(CAFE_TILL).GetBalance(GetBalanceRequest(card_number=card)).balance.balance_minor


def operator(house: House) -> str:
    return str(house.query("SELECT code FROM participants WHERE participant_id = %s", house.operator_id)[0][0])


def of_entry(entry_id: int, amount_minor: int = 10_000, **fields: Any) -> RefundRequest:
    request = refund("", amount_minor, **fields)
    request.original_entry_id = entry_id
    return request


def said(entry_id: int) -> dict[str, Any]:
    return {"request_id": new_id(), "original_entry_id": entry_id}


def asked_at_a_till(entry_id: int) -> ReverseTopUpRequest:
    request = ReverseTopUpRequest(**said(entry_id))
    request.terminal.participant, request.terminal.store, request.terminal.terminal = "cafe", "main", "till-1"
    return request


def batched(till: TerminalServiceStub, request: Any) -> OperationResult:
    return till.SubmitBatch(SubmitBatchRequest(operations=[operation(request)])).results[0]


def streamed(till: TerminalServiceStub, request: Any) -> OperationResult:
    (answer,) = till.Stream(iter([StreamRequest(operation=operation(request))]))
    return answer.result
