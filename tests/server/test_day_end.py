"""The end of a terminal's day over mutual TLS: its own count, signed, beside the journal's; every difference told."""

import time
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import grpc
import pytest

from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.statements import day_signer
from coalition.domain.day_close import DayClose, DayOperation, Total
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from coalition.storage.day_totals import DAY_TOTALS
from coalition.v1 import operations_pb2, terminal_pb2
from coalition.v1.terminal_pb2 import CloseDayRequest, CloseDayResponse, GetDayTotalsRequest, GetDayTotalsResponse
from tests.house import House, Refusal, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import purchase, refund, top_up

DAY = "2026-11-26"


@pytest.fixture
def till(house: House, tills: Tills) -> "Counting":
    """A till of its own for each test: its day begins where its last close ended."""
    return Counting(house, tills, "t/store-a/main/till-2")


class Counting:
    """A till that counts what it does, as a merchant's own program would, and closes its day."""

    def __init__(self, house: House, tills: Tills, path: str) -> None:
        self._house = house
        self.stub = tills(path)
        self.path = path
        self.operations: list[DayOperation] = []
        before = self.journal()
        self.number, self.previous = before.next_number, before.previous_hash
        if before.since_close:
            self.close(stated(before), None)

    def journal(self, day: str = "") -> GetDayTotalsResponse:
        return self.stub.GetDayTotals(GetDayTotalsRequest(business_date=day))

    def sell(self, card: str, amount: int) -> str:
        receipt = self.stub.Purchase(purchase(card, amount)).receipt
        self.operations.append(DayOperation(UUID(receipt.request_id), Kind.PURCHASE, True, amount))
        return receipt.request_id

    def top_up(self, card: str, amount: int) -> None:
        receipt = self.stub.TopUp(top_up(card, amount)).receipt
        self.operations.append(DayOperation(UUID(receipt.request_id), Kind.TOP_UP, True, amount))

    def decline(self, card: str) -> None:
        request = purchase(card, 90_000_000)
        with pytest.raises(grpc.RpcError):
            self.stub.Purchase(request)
        self.operations.append(DayOperation(UUID(request.request_id), Kind.PURCHASE, False, 0))

    def counted(self) -> dict[Kind, Total]:
        totals: dict[Kind, Total] = {}
        for each in self.operations:
            totals[each.kind] = Total(*map(sum, zip(totals.get(each.kind, Total()), each.total, strict=True)))
        return totals

    def request(
        self, counted: dict[Kind, Total], listed: list[DayOperation] | None, *, signer: str = "", **changes: Any
    ) -> CloseDayRequest:
        _, *place = self.path.split("/")
        close = DayClose("/".join(place), date.fromisoformat(DAY), self.number, self.previous, counted, listed)
        key = self._house.certificate_files(signer or self.path).key
        request = CloseDayRequest(
            request_id=new_id(),
            business_date=DAY,
            number=self.number,
            previous_hash=self.previous,
            totals=[
                terminal_pb2.KindTotal(
                    kind=kind.value,  # type: ignore[arg-type]  # one enum on the wire
                    accepted_count=total.accepted_count,
                    accepted_minor=total.accepted_minor,
                    declined_count=total.declined_count,
                )
                for kind, total in sorted(counted.items())
            ],
            operations=[
                terminal_pb2.DayOperation(
                    request_id=str(each.request_id),
                    kind=each.kind.value,  # type: ignore[arg-type]  # the same
                    accepted=each.accepted,
                    amount_minor=each.amount_minor,
                )
                for each in listed or []
            ],
            signature=day_signer(key)(close.statement()),
        )
        request.MergeFrom(CloseDayRequest(**changes))
        return request

    def close(self, totals: dict[Kind, Total], operations: list[DayOperation] | None) -> CloseDayResponse:
        answer = self.stub.CloseDay(self.request(totals, operations))
        self.number, self.previous = self.number + 1, answer.statement_hash
        self.operations = []
        return answer


def stated(response: GetDayTotalsResponse) -> dict[Kind, Total]:
    return {
        Kind(each.kind): Total(each.accepted_count, each.accepted_minor, each.declined_count)
        for each in response.since_close
    }


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def test_a_day_that_agrees_is_closed_and_the_next_begins_with_nothing(house: House, till: Counting):
    card = house.new_card()
    till.top_up(card, 50_000)
    till.sell(card, 1_000)
    till.sell(card, 2_500)
    till.decline(card)
    answer = till.close(till.counted(), till.operations)
    after = till.journal()

    assert (True, 0, []) == (answer.agrees, answer.difference_count, list(answer.differences))
    assert answer.statement_hash == after.previous_hash
    assert [] == list(after.since_close)
    assert "CNY" == after.currency_code
    today = {each.kind: each.accepted_minor for each in after.totals}
    assert today[operations_pb2.ENTRY_KIND_PURCHASE] >= 3_500


def test_a_lost_an_invented_and_a_changed_sale_are_named(house: House, till: Counting):
    card = house.new_card()
    till.top_up(card, 50_000)
    lost = till.sell(card, 700)
    changed = till.sell(card, 800)
    top_up_done, _, sale = till.operations
    invented = DayOperation(UUID(new_id()), Kind.PURCHASE, True, 300)
    till.operations = [top_up_done, sale._replace(amount_minor=900), invented]
    answer = till.close(till.counted(), till.operations)
    told = {each.request_id or each.kind: (each.stated, each.recorded) for each in answer.differences}

    assert (False, 4) == (answer.agrees, answer.difference_count)
    stated, recorded = told[operations_pb2.ENTRY_KIND_PURCHASE]
    assert (2, 1_200) == (stated.accepted_count, stated.accepted_minor)
    assert (2, 1_500) == (recorded.accepted_count, recorded.accepted_minor)
    assert 700 == told[lost][1].accepted_minor
    assert 0 == told[lost][0].accepted_minor
    assert (900, 800) == (told[changed][0].accepted_minor, told[changed][1].accepted_minor)
    assert (300, 0) == (
        told[str(invented.request_id)][0].accepted_minor,
        told[str(invented.request_id)][1].accepted_minor,
    )
    assert [(4,)] == house.query(
        "SELECT difference_count FROM day_closes WHERE statement_hash = %s", answer.statement_hash
    )


def test_what_is_posted_after_a_close_belongs_to_the_next(house: House, till: Counting):
    """A late upload is not lost between two days, and not in both."""
    card = house.new_card()
    till.top_up(card, 10_000)
    till.close(till.counted(), till.operations)
    till.sell(card, 400)
    answer = till.close({}, None)

    assert [("", 400)] == [(each.request_id, each.recorded.accepted_minor) for each in answer.differences]


def test_a_close_that_is_sent_again_gets_the_same_answer(house: House, till: Counting):
    request = till.request({Kind.PURCHASE: Total(1, 5, 0)}, None)
    first = till.stub.CloseDay(request)
    again = till.stub.CloseDay(request)

    assert (False, True) == (first.receipt.replayed, again.receipt.replayed)
    assert list(first.differences) == list(again.differences)
    assert first.statement_hash == again.statement_hash == till.journal().previous_hash


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"signer": "t/store-a/main/till-1"}, Reason.SIGNATURE_INVALID),
        ({"business_date": "2026-11-25"}, Reason.SIGNATURE_INVALID),
        ({"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"}, Reason.SIGNATURE_INVALID),
        ({"totals": [terminal_pb2.KindTotal(kind=operations_pb2.ENTRY_KIND_MEMBER_ENROLLED)]}, Reason.FIELD_INVALID),
        ({"totals": [terminal_pb2.KindTotal(kind=operations_pb2.ENTRY_KIND_TOP_UP)] * 2}, Reason.FIELD_INVALID),
        ({"business_date": "2026-13-01"}, Reason.FIELD_INVALID),
    ],
    ids=["another till's key", "another day", "no signature", "an act", "a kind twice", "no date"],
)
def test_what_is_not_this_tills_statement_is_refused(till: Counting, change: dict[str, Any], reason: Reason):
    request = till.request({}, None, **change)

    assert reason.name == refused(lambda: till.stub.CloseDay(request)).reason
    assert till.number == till.journal().next_number


def test_the_chain_of_closes_has_no_gap_and_no_fork(till: Counting):
    till.number += 1
    skipped = till.request({}, None)
    till.number -= 1
    till.previous = b"\x07" * 32
    forked = till.request({}, None)

    assert Reason.DAY_CLOSE_OUT_OF_ORDER.name == refused(lambda: till.stub.CloseDay(skipped)).reason
    assert Reason.DAY_CLOSE_CHAIN_BROKEN.name == refused(lambda: till.stub.CloseDay(forked)).reason


def test_the_fold_of_days_is_made_again_to_the_same_bytes(house: House, till: Counting):
    card = house.new_card()
    till.top_up(card, 10_000)
    sale = till.sell(card, 900)
    till.stub.Refund(refund(sale, 100))
    till.journal()
    follower = Follower(DAY_TOTALS, lambda: connect(house.dsn()), utc_now, time.sleep)
    whole = follower.rebuild()
    with connect(house.dsn("owner")) as owner:
        owner.execute("UPDATE day_totals SET accepted_minor = accepted_minor + 1 WHERE kind = 2")
    broken = follower.rebuild()
    follower.forget()
    follower.catch_up()

    assert whole.equal
    assert not broken.equal
    assert whole.live == follower.digest()
