"""Offline sales told later, and what is told of a sale, as tills know them: over mutual TLS, by call, batch, stream."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from coalition.domain.reasons import ADVICE, Reason
from coalition.v1 import operations_pb2
from coalition.v1.operations_pb2 import SaleItem, Tender
from coalition.v1.terminal_pb2 import ListEntriesRequest, StreamRequest, SubmitBatchRequest
from tests.house import House, Refusal, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_REF,
    CAFE_TILL,
    STORE_TILL,
    authorize,
    operation,
    purchase,
    refund,
    top_up,
    upload,
)

CARD_TENDER, CASH = operations_pb2.TENDER_KIND_CARD, operations_pb2.TENDER_KIND_CASH
TEA = SaleItem(sku="6901", category="tea", brand="春", quantity_thousandths=350, unit="kg", amount_minor=3_000)
CUP = SaleItem(sku="6902", quantity_thousandths=2_000, amount_minor=1_000)


@pytest.fixture
def card(house: House, tills: Tills) -> str:
    """12,000 in its wallet."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card, 10_000))
    return card


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def test_an_upload_tells_what_the_wallet_gave_and_who_bears_the_rest(tills: Tills, card: str):
    request = upload(card, 15_000)
    paid = tills(CAFE_TILL).Upload(request).receipt

    assert (operations_pb2.ENTRY_KIND_UPLOAD, 15_000, 10_000, 2_000, 0) == (
        paid.kind,
        paid.amount_minor,
        paid.principal_minor,
        paid.bonus_minor,
        paid.balance_minor,
    )
    assert (3_000, "store-a", "INSUFFICIENT_FUNDS") == (
        paid.shortfall_minor,
        paid.shortfall_bearer,
        paid.shortfall_reason,
    )
    assert tills(CAFE_TILL).Upload(request).receipt.replayed
    back = tills(CAFE_TILL).Refund(refund(paid.request_id, 4_000)).receipt
    assert (3_000, "store-a", "", 1_000) == (
        back.shortfall_minor,
        back.shortfall_bearer,
        back.shortfall_reason,
        back.balance_minor,
    )
    lines = tills(CAFE_TILL).ListEntries(ListEntriesRequest(card_number=card)).entries
    assert [("REFUND", 1_000, 3_000, 0), ("UPLOAD", -12_000, 3_000, 1)] == [
        (
            operations_pb2.EntryKind.Name(line.kind).removeprefix("ENTRY_KIND_"),
            line.balance_change_minor,
            line.shortfall_minor,
            line.sequence_number,
        )
        for line in lines
    ]


@pytest.mark.parametrize("way", ["batch", "stream"])
def test_uploads_are_posted_in_the_order_they_come(tills: Tills, card: str, way: str):
    """The first sales of a queue get the wallet's value, the later ones fall short: not the other way round."""
    queue = [operation(upload(card, 700, number)) for number in range(1, 31)]
    till = tills(CAFE_TILL)
    if way == "batch":
        results = list(till.SubmitBatch(SubmitBatchRequest(operations=queue)).results)
    else:
        results = [each.result for each in till.Stream(iter([StreamRequest(operation=each) for each in queue]))]

    assert [0] * 17 + [600] + [700] * 12 == [result.receipt.shortfall_minor for result in results]
    lines = till.ListEntries(ListEntriesRequest(card_number=card, page_size=30)).entries
    assert list(range(30, 0, -1)) == [line.sequence_number for line in lines]


def test_what_was_sold_and_paid_with_is_kept_and_told(house: House, tills: Tills, card: str):
    told = {
        "items": [TEA, CUP],
        "tenders": [Tender(kind=CARD_TENDER, amount_minor=2_500), Tender(kind=CASH, amount_minor=1_500)],
    }
    till = tills(CAFE_TILL)
    request = purchase(card, 2_500, **told)
    bought = till.Purchase(request).receipt
    till.Authorize(authorize(card, 2_500, items=[TEA]))
    till.Upload(upload(card, 2_500, 9, **told))
    till.Purchase(purchase(card, 100))

    lines = till.ListEntries(ListEntriesRequest(card_number=card)).entries
    assert [[], [TEA, CUP], [TEA], [TEA, CUP]] == [list(line.items) for line in lines]
    assert [[], told["tenders"], [], told["tenders"]] == [list(line.tenders) for line in lines]
    stored = house.query("SELECT details FROM entries WHERE entry_id = %s", bought.entry_id)[0][0]
    assert {
        "items": [["6901", "tea", "春", 350, "kg", 3_000], ["6902", "", "", 2_000, "", 1_000]],
        "tenders": [["CARD", 2_500], ["CASH", 1_500]],
    } == json.loads(bytes(stored))
    request.items[1].sku = "6903"
    assert "REQUEST_ID_REUSED" == refused(lambda: till.Purchase(request)).reason


def test_one_reference_sells_once_for_each_till(tills: Tills, card: str):
    first = tills(CAFE_TILL).Purchase(purchase(card, 100, sale_reference="S-7")).receipt
    again = refused(lambda: tills(CAFE_TILL).Purchase(purchase(card, 100, sale_reference="S-7")))
    other = tills("ts/cafe/pos").Purchase(purchase(card, 100, sale_reference="S-7", terminal=CAFE_REF)).receipt

    assert ("SALE_REFERENCE_USED", ADVICE[Reason.SALE_REFERENCE_USED].status) == (again.reason, again.code)
    assert str(first.entry_id) == again.metadata["earlier_entry_id"]
    assert 100 == other.amount_minor


BAD: list[tuple[str, Callable[[], Any], Reason, str]] = [
    ("no card", lambda: upload("", 1), Reason.FIELD_INVALID, "card_number"),
    ("no time", lambda: upload("9" * 16, occurred_time=None), Reason.FIELD_INVALID, "occurred_time"),
    ("no place in the queue", lambda: upload("9" * 16, 1, 0), Reason.FIELD_INVALID, "sequence_number"),
    ("a place before the first", lambda: upload("9" * 16, 1, -1), Reason.FIELD_INVALID, "sequence_number"),
    ("nothing paid", lambda: upload("9" * 16, 0), Reason.AMOUNT_NOT_POSITIVE, "amount_minor"),
    ("above the bound", lambda: upload("9" * 16, 100_000_001), Reason.AMOUNT_TOO_LARGE, "amount_minor"),
    (
        "an item without its number",
        lambda: sold([SaleItem(quantity_thousandths=1)]),
        Reason.FIELD_INVALID,
        "items[0].sku",
    ),
    ("none of an item", lambda: sold([SaleItem(sku="1")]), Reason.FIELD_INVALID, "items[0].quantity_thousandths"),
    (
        "an item that costs less than nothing",
        lambda: sold([CUP, SaleItem(sku="1", quantity_thousandths=1, amount_minor=-1)]),
        Reason.FIELD_INVALID,
        "items[1].amount_minor",
    ),
    ("too many items", lambda: sold([CUP] * 201), Reason.FIELD_INVALID, "items"),
    ("a tender of no kind", lambda: sold([], [Tender(amount_minor=1_000)]), Reason.FIELD_INVALID, "tenders[0].kind"),
    (
        "a tender of nothing",
        lambda: sold([], [Tender(kind=CARD_TENDER)]),
        Reason.FIELD_INVALID,
        "tenders[0].amount_minor",
    ),
    ("too many tenders", lambda: sold([], [Tender(kind=CASH, amount_minor=1)] * 11), Reason.FIELD_INVALID, "tenders"),
    ("no tender by card", lambda: sold([], [Tender(kind=CASH, amount_minor=1_000)]), Reason.FIELD_INVALID, "tenders"),
    (
        "a card part that is not the amount",
        lambda: sold([], [Tender(kind=CARD_TENDER, amount_minor=999)]),
        Reason.FIELD_INVALID,
        "tenders",
    ),
    (
        "sums that differ",
        lambda: sold([TEA], [Tender(kind=CARD_TENDER, amount_minor=1_000)]),
        Reason.FIELD_INVALID,
        "tenders",
    ),
]


def sold(items: list[SaleItem], tenders: list[Tender] | None = None) -> Any:
    return upload("9" * 16, 1_000, items=items, tenders=tenders or [])


@pytest.mark.parametrize(("make", "reason", "field"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_malformed_field_is_named_and_nothing_is_stored(
    house: House, tills: Tills, make: Callable[[], Any], reason: Reason, field: str
):
    before = house.entry_count()

    refusal = refused(lambda: tills(CAFE_TILL).Upload(make()))

    assert (reason.name, "INVALID_ARGUMENT", field) == (refusal.reason, refusal.code, refusal.fields[0])
    assert before == house.entry_count()
