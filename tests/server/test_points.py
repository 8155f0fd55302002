"""Points over the wire: what a receipt, a balance and an agreement tell of them; by call, batch and stream."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from coalition.domain.acts import JSON
from coalition.domain.kinds import Kind
from coalition.domain.reasons import ADVICE, Reason, is_stored
from coalition.v1.operations_pb2 import EntryKind
from coalition.v1.terminal_pb2 import GetBalanceRequest, ListEntriesRequest, StreamRequest, SubmitBatchRequest
from tests.house import FIRST_DAY, House, Refusal, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_TILL,
    STORE_TILL,
    convert_points,
    operation,
    purchase,
    refund,
    repay_points,
    return_points,
    reverse,
    spend_points,
    top_up,
)

STARS: dict[str, JSON] = {
    "debtor": "store-a",
    "earned_at": ["cafe"],
    "steps": [{"from_minor": 1_000, "rate": "1/100"}],
    "value": "1/2",
    "borne_by": "ACQUIRER",
    "spent_at": ["cafe", "store-a"],
    "conversion": {"rate": "1/2", "minimum_points": 100},
    "repays": [{"programme": "pebbles", "rate": "3/2"}],
}
PEBBLES: dict[str, JSON] = {
    "debtor": "cafe",
    "earned_at": ["store-a"],
    "steps": [{"from_minor": 1_000, "rate": "1/100"}],
    "value": "1",
    "spent_at": ["store-a"],
    "repaid_with": [{"programme": "stars", "rate": "3/2"}],
}


@pytest.fixture(scope="module", autouse=True)
def agreed(house: House) -> None:
    stars = house.act(Kind.AGREEMENT_CREATED, code="stars")
    answer = house.office.create_agreement(stars, "stars", "POINTS", STARS, FIRST_DAY).answer
    assert (100, 1) == (answer["unit"], answer["version"])


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def points(till: Any, card: str) -> list[tuple[str, int]]:
    balance = till.GetBalance(GetBalanceRequest(card_number=card)).balance
    return [(each.programme, each.points) for each in balance.points]


def test_points_are_earned_spent_returned_and_clawed_back(house: House, tills: Tills):
    store, cafe, card = tills(STORE_TILL), tills(CAFE_TILL), house.new_card()
    store.TopUp(top_up(card, 100_000))
    sale = purchase(card, 30_000)
    sold = cafe.Purchase(sale).receipt
    assert (300, 300, "stars", 0) == (
        *(sold.points, sold.points_balance, sold.points_programme, sold.points_worth_minor),
    )
    assert [("stars", 300)] == points(store, card)
    again = cafe.Purchase(sale).receipt
    assert (True, 300) == (again.replayed, again.points)
    asked = spend_points(card, 201)
    (spent,) = store.SubmitBatch(SubmitBatchRequest(operations=[operation(asked)])).results
    receipt = spent.receipt
    assert (EntryKind.ENTRY_KIND_POINTS_SPEND, 0, -201, 99, 100) == (
        *(receipt.kind, receipt.amount_minor, receipt.points, receipt.points_balance, receipt.points_worth_minor),
    )
    back = StreamRequest(operation=operation(return_points(asked.request_id, 1)))
    (answer,) = list(store.Stream(iter([back])))
    assert (1, 100) == (answer.result.receipt.points, answer.result.receipt.points_balance)
    gone = cafe.Refund(refund(sale.request_id, 30_000)).receipt
    assert (-300, -200) == (gone.points, gone.points_balance)
    assert [("stars", -200)] == points(cafe, card)
    assert 200 == store.Reverse(reverse(asked.request_id)).receipt.points


def test_points_become_stored_value_that_is_spent_as_any(house: House, tills: Tills):
    store, cafe, card = tills(STORE_TILL), tills(CAFE_TILL), house.new_card()
    store.TopUp(top_up(card, 20_000))
    cafe.Purchase(purchase(card, 20_000))
    before = store.GetBalance(GetBalanceRequest(card_number=card)).balance.balance_minor
    asked = convert_points(card, 150)
    receipt = cafe.ConvertPoints(asked).receipt
    assert (EntryKind.ENTRY_KIND_POINTS_CONVERSION, 75, 75, 0, before + 75, -150, 50) == (
        *(receipt.kind, receipt.amount_minor, receipt.principal_minor, receipt.bonus_minor, receipt.balance_minor),
        *(receipt.points, receipt.points_balance),
    )
    assert cafe.ConvertPoints(asked).receipt.replayed
    entry = cafe.ListEntries(ListEntriesRequest(card_number=card)).entries[0]
    assert (75, before + 75, -150, 50, "stars") == (
        *(entry.balance_change_minor, entry.balance_minor, entry.points, entry.points_balance, entry.points_programme),
    )
    cafe.Purchase(purchase(card, before + 75))
    undone = refused(lambda: cafe.Reverse(reverse(asked.request_id)))
    assert Reason.LOT_TOUCHED.name == undone.reason


def test_each_decline_has_its_reason_and_is_stored_once(house: House, tills: Tills):
    store, cafe, card = tills(STORE_TILL), tills(CAFE_TILL), house.new_card()
    store.TopUp(top_up(card, 100_000))
    sale = purchase(card, 1_000)
    cafe.Purchase(sale)
    spent = spend_points(card, 5)
    cafe.SpendPoints(spent)
    calls: dict[Reason, Callable[[], Any]] = {
        Reason.POINTS_TOO_FEW: lambda: store.SpendPoints(spend_points(card, 6)),
        Reason.POINTS_PROGRAMME_UNKNOWN: lambda: store.SpendPoints(spend_points(card, 1, programme="moons")),
        Reason.POINTS_NOT_CONVERTIBLE: lambda: cafe.ConvertPoints(convert_points(card, 99)),
        Reason.REFUND_EXCEEDS_ORIGINAL: lambda: cafe.ReturnPoints(return_points(spent.request_id, 6)),
        Reason.ORIGINAL_NOT_REFUNDABLE: lambda: cafe.ReturnPoints(return_points(sale.request_id)),
        Reason.ORIGINAL_UNKNOWN: lambda: store.ReturnPoints(return_points(sale.request_id)),
    }
    for reason, call in calls.items():
        before = house.entry_count()

        refusal = refused(call)

        assert (reason.name, ADVICE[reason].status) == (refusal.reason, refusal.code)
        assert is_stored(reason)
        assert before + 1 == house.entry_count()


def test_a_version_has_a_unit_of_its_own_and_two_programmes_are_not_earned_at_once(house: House):
    revised = house.office.revise_agreement(
        house.act(Kind.AGREEMENT_REVISED, code="stars"), "stars", 1, {**STARS, "value": "1"}, FIRST_DAY
    )
    assert (101, 2) == (revised.answer["unit"], revised.answer["version"])
    other = house.act(Kind.AGREEMENT_CREATED, code="moons")
    with pytest.raises(Exception, match="AGREEMENT_INVALID"):
        house.office.create_agreement(other, "moons", "POINTS", {**STARS, "debtor": "cafe"}, FIRST_DAY)


def test_points_that_are_owed_are_repaid_with_another_programmes(house: House, tills: Tills):
    pebbles = house.act(Kind.AGREEMENT_CREATED, code="pebbles")
    house.office.create_agreement(pebbles, "pebbles", "POINTS", PEBBLES, FIRST_DAY)
    store, cafe, card = tills(STORE_TILL), tills(CAFE_TILL), house.new_card()
    store.TopUp(top_up(card, 100_000))
    sale = purchase(card, 10_000)
    store.Purchase(sale)
    store.SpendPoints(spend_points(card, 100, programme="pebbles"))
    store.Refund(refund(sale.request_id, 10_000))
    cafe.Purchase(purchase(card, 20_000))
    asked = repay_points(card, "pebbles", 60)
    receipt = cafe.RepayPoints(asked).receipt
    assert (EntryKind.ENTRY_KIND_POINTS_REPAYMENT, 0, -90, 110, 60, -40, "pebbles") == (
        *(receipt.kind, receipt.amount_minor, receipt.points, receipt.points_balance, receipt.repaid_points),
        *(receipt.repaid_points_balance, receipt.repaid_points_programme),
    )
    assert cafe.RepayPoints(asked).receipt.replayed
    assert {("stars", 110), ("pebbles", -40)} == set(points(cafe, card))
    assert (
        Reason.POINTS_NOT_REPAYABLE.name == refused(lambda: cafe.RepayPoints(repay_points(card, "pebbles", 41))).reason
    )
    assert Reason.ORIGINAL_NOT_REVERSIBLE.name == refused(lambda: cafe.Reverse(reverse(asked.request_id))).reason
