"""Passes over the wire: by call, in a batch and down a stream; what a receipt and a wallet's line tell of them."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from coalition.domain.acts import JSON
from coalition.domain.kinds import Kind
from coalition.domain.reasons import ADVICE, Reason, is_stored
from coalition.v1.operations_pb2 import EntryKind
from coalition.v1.terminal_pb2 import ListEntriesRequest, StreamRequest, SubmitBatchRequest
from tests.house import FIRST_DAY, House, Refusal, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_TILL,
    STORE_TILL,
    cash_out,
    operation,
    return_pass,
    return_visit,
    reverse,
    sell_pass,
    visit_pass,
)

BATH: dict[str, JSON] = {"issuer": "store-a", "price_minor": 10_000, "visits": 3, "months": 12, "sellers": ["store-a"]}


@pytest.fixture(scope="module", autouse=True)
def agreed(house: House) -> None:
    house.office.create_agreement(house.act(Kind.AGREEMENT_CREATED, code="bath"), "bath", "PASSES", BATH, FIRST_DAY)


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def test_a_pass_is_sold_visited_elsewhere_given_back_and_paid_out(house: House, tills: Tills):
    store, cafe, card = tills(STORE_TILL), tills(CAFE_TILL), house.new_card()
    sold = store.SellPass(sell_pass(card, sale_reference="S-1")).receipt
    kind = EntryKind.ENTRY_KIND_PASS_SALE
    assert (kind, 10_000, 0, sold.entry_id, 3, 3) == (
        *(sold.kind, sold.amount_minor, sold.balance_minor, sold.pass_entry_id, sold.visit_count, sold.visits_left),
    )
    assert sold.pass_last_day
    asked = visit_pass(card)
    (visit,) = cafe.SubmitBatch(SubmitBatchRequest(operations=[operation(asked)])).results
    assert (3_333, 1, 2) == (visit.receipt.amount_minor, visit.receipt.visit_count, visit.receipt.visits_left)
    again = cafe.VisitPass(asked).receipt
    assert again.replayed
    assert visit.receipt.entry_id == again.entry_id

    back = StreamRequest(operation=operation(return_visit(asked.request_id)))
    (answer,) = list(cafe.Stream(iter([back])))
    assert (3_333, 3) == (answer.result.receipt.amount_minor, answer.result.receipt.visits_left)
    paid = store.ReturnPass(return_pass(sold.request_id)).receipt
    assert (10_000, 0) == (paid.amount_minor, paid.visits_left)
    lines = store.ListEntries(ListEntriesRequest(card_number=card)).entries
    told = [(EntryKind.ENTRY_KIND_PASS_RETURN, 10_000, 0, 0), (EntryKind.ENTRY_KIND_PASS_SALE, 10_000, 0, 0)]
    assert told == [(x.kind, x.amount_minor, x.balance_change_minor, x.balance_minor) for x in lines]


def test_each_decline_has_its_reason_and_is_stored_once(house: House, tills: Tills):
    store, cafe, card = tills(STORE_TILL), tills(CAFE_TILL), house.new_card()
    sold = store.SellPass(sell_pass(card)).receipt
    calls: dict[Reason, Callable[[], Any]] = {
        Reason.PASS_PRICE_DIFFERS: lambda: store.SellPass(sell_pass(card, 9_999)),
        Reason.TERMS_NOT_SOLD_HERE: lambda: cafe.SellPass(sell_pass(card, issuer="store-a")),
        Reason.PASS_UNKNOWN: lambda: cafe.VisitPass(visit_pass(card, pass_code="swim")),
        Reason.VISITS_TOO_FEW: lambda: cafe.VisitPass(visit_pass(card, 4)),
        Reason.ORIGINAL_OF_OTHER_PARTICIPANT: lambda: cafe.ReturnPass(by_entry(return_pass(""), sold.entry_id)),
        Reason.ORIGINAL_NOT_REFUNDABLE: lambda: store.ReturnVisit(return_visit(sold.request_id)),
        Reason.WALLET_HAS_PASSES: lambda: store.CashOut(cash_out(card, close_wallet=True)),
    }
    for reason, call in calls.items():
        before = house.entry_count()

        refusal = refused(call)

        assert (reason.name, ADVICE[reason].status) == (refusal.reason, refusal.code)
        assert is_stored(reason)
        assert before + 1 == house.entry_count()


def by_entry(request: Any, entry_id: int) -> Any:
    request.original_entry_id = entry_id
    return request


def test_a_sale_or_visit_whose_answer_was_lost_is_undone_and_frees_its_reference(house: House, tills: Tills):
    store, card = tills(STORE_TILL), house.new_card()
    lost = sell_pass(card, sale_reference="S-2")
    store.SellPass(lost)
    assert 10_000 == store.Reverse(reverse(lost.request_id)).receipt.amount_minor
    store.SellPass(sell_pass(card, sale_reference="S-2"))
    assert "SALE_REFERENCE_USED" == refused(lambda: store.SellPass(sell_pass(card, sale_reference="S-2"))).reason
    visit = visit_pass(card)
    store.VisitPass(visit)
    assert 3_333 == store.Reverse(reverse(visit.request_id)).receipt.amount_minor


def test_the_form_of_a_request_is_checked_by_field(house: House, tills: Tills):
    store, card = tills(STORE_TILL), house.new_card()
    assert ("visit_count",) == refused(lambda: store.VisitPass(visit_pass(card, 101))).fields
    assert ("pass_code",) == refused(lambda: store.SellPass(sell_pass(card, pass_code="No Code"))).fields
    assert ("currency_code",) == refused(lambda: store.SellPass(sell_pass(card, currency_code="EUR"))).fields
    assert ("card_number",) == refused(lambda: store.VisitPass(visit_pass(""))).fields
