"""A day of trade that an auditor can look at: every kind of operation the tills have, declines, acts, a closed month.

What it leaves behind is small (under a hundred entries) and touches every rule that can be checked from the log.
"""

import time
from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from coalition.audit.log_signer import LogSigner
from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.following import audit_tree_follower
from coalition.bootstrap.strongroom import log_signer
from coalition.bootstrap.strongroom import notary as notary_of
from coalition.client import CallRefused, Connection
from coalition.domain.audit_records import CheckpointRecord
from coalition.domain.kinds import Kind
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from coalition.storage.positions import POSITIONS
from coalition.v1 import operations_pb2, terminal_pb2
from settlement import closing, netting
from tests.house import FIRST_DAY, House, new_id

NOON = Timestamp(seconds=1_790_000_000)


@dataclass(frozen=True)
class Day:
    """The house after trade; `purchase` is a receipt of the cafe's, `declined` a request of its that was refused."""

    house: House
    card: str
    purchase: operations_pb2.Receipt
    declined: str


def signer_of(house: House) -> LogSigner:
    return log_signer(house.settings, house.ring)


def sign_log(house: House) -> CheckpointRecord:
    """Fold the journal to its present end and sign it."""
    row = audit_tree_follower(house.dsn(), signer_of(house)).catch_up()
    assert row is not None
    return row


class Till:
    """One till of a participant's, at its server."""

    def __init__(self, house: House, address: str, participant: str) -> None:
        self._connection = Connection(address, house.certificate(f"t/{participant}/main/till-1"))
        self.stub = self._connection.terminal

    def send(self, method: Any, kind: Any, **fields: Any) -> operations_pb2.Receipt:
        request = kind(request_id=fields.pop("request_id", None) or new_id(), **fields)
        receipt: operations_pb2.Receipt = self._connection.call(method, request).receipt
        return receipt

    def top_up(self, card: str, amount: int, **more: Any) -> operations_pb2.Receipt:
        fields = {"card_number": card, "amount_minor": amount, "currency_code": "CNY", **more}
        return self.send(self.stub.TopUp, operations_pb2.TopUpRequest, **fields)

    def pay(self, card: str, amount: int, **more: Any) -> operations_pb2.Receipt:
        fields = {"card_number": card, "amount_minor": amount, "currency_code": "CNY", **more}
        return self.send(self.stub.Purchase, operations_pb2.PurchaseRequest, **fields)

    def refund(self, entry: int, amount: int) -> operations_pb2.Receipt:
        fields = {"original_entry_id": entry, "amount_minor": amount, "currency_code": "CNY"}
        return self.send(self.stub.Refund, operations_pb2.RefundRequest, **fields)

    def hold(self, card: str, amount: int) -> operations_pb2.Receipt:
        fields = {"card_number": card, "amount_minor": amount, "currency_code": "CNY"}
        return self.send(self.stub.Authorize, operations_pb2.AuthorizeRequest, **fields)

    def capture(self, entry: int, amount: int) -> operations_pb2.Receipt:
        fields = {"hold_entry_id": entry, "amount_minor": amount, "currency_code": "CNY"}
        return self.send(self.stub.Capture, operations_pb2.CaptureRequest, **fields)

    def void(self, entry: int) -> operations_pb2.Receipt:
        return self.send(self.stub.Void, operations_pb2.VoidRequest, hold_entry_id=entry)

    def upload(self, card: str, amount: int) -> operations_pb2.Receipt:
        fields = {"card_number": card, "amount_minor": amount, "currency_code": "CNY", "sequence_number": 1}
        return self.send(self.stub.Upload, operations_pb2.UploadRequest, occurred_time=NOON, **fields)

    def return_top_up(self, entry: int) -> operations_pb2.Receipt:
        return self.send(self.stub.ReturnTopUp, operations_pb2.ReturnTopUpRequest, original_entry_id=entry)

    def reverse(self, request_id: str) -> operations_pb2.Receipt:
        return self.send(self.stub.Reverse, operations_pb2.ReverseRequest, original_request_id=request_id)

    def resolve(self, request_id: str) -> operations_pb2.OperationResult:
        request = terminal_pb2.ResolveRequest(request_id=request_id)
        return self._connection.call(self.stub.Resolve, request).result

    def close(self) -> None:
        self._connection.close()


def trade(house: House, address: str) -> Day:
    """Two lots, spends over both, refunds, holds that end in each way, reversals, declines, a sale told late."""
    card, other = house.new_card(), house.new_card()
    shop, cafe = Till(house, address, "store-a"), Till(house, address, "cafe")
    shop.top_up(card, 10_000)
    shop.top_up(card, 20_000, sale_reference="订单 7")
    shop.top_up(other, 20_000)
    purchase = cafe.pay(card, 15_000, sale_reference="S-1")  # over both lots
    cafe.refund(purchase.entry_id, 3_333)
    cafe.refund(purchase.entry_id, 11_667)
    again = cafe.pay(card, 2_000)
    cafe.reverse(again.request_id)
    captured, voided = cafe.hold(card, 4_000), cafe.hold(card, 1_000)
    cafe.capture(captured.entry_id, 3_500)
    cafe.void(voided.entry_id)
    declined = new_id()
    for call in (lambda: cafe.pay(card, 9_999_999, request_id=declined), lambda: cafe.pay("6299999999999999", 1)):
        try:
            call()
        except CallRefused:
            continue
        raise AssertionError("this should have been declined")
    cafe.reverse(new_id())  # before its original: a tombstone
    cafe.resolve(new_id())
    purchase = cafe.pay(other, 1_200, sale_reference="S-2")
    cafe.hold(other, 300)
    offline = cafe.upload(other, 30_000)  # more than the wallet holds: a shortfall, which a refund gives back first
    cafe.refund(offline.entry_id, 15_000)
    shop.return_top_up(shop.top_up(card, 7_000).entry_id)
    baths(house, shop, cafe, card)
    stars(house, shop, cafe)
    shop.close()
    cafe.close()
    return Day(house, card, purchase, declined)


def baths(house: House, shop: Till, cafe: Till, card: str) -> None:
    """A pass is sold, used, given back to, undone and paid out."""
    content: dict[str, Any] = {"issuer": "store-a", "price_minor": 10_000, "visits": 3, "months": 12}
    house.office.create_agreement(house.act(Kind.AGREEMENT_CREATED, code="bath"), "bath", "PASSES", content, FIRST_DAY)
    told = {"card_number": card, "amount_minor": 10_000, "currency_code": "CNY"}
    sold = shop.send(shop.stub.SellPass, operations_pb2.SellPassRequest, **told)

    def visit() -> operations_pb2.Receipt:
        return cafe.send(cafe.stub.VisitPass, operations_pb2.VisitPassRequest, card_number=card)

    cafe.send(cafe.stub.ReturnVisit, operations_pb2.ReturnVisitRequest, original_entry_id=visit().entry_id)
    cafe.reverse(visit().request_id)
    visit()
    shop.send(shop.stub.ReturnPass, operations_pb2.ReturnPassRequest, original_entry_id=sold.entry_id)
    shop.send(shop.stub.SellPass, operations_pb2.SellPassRequest, **told)


MOONS: dict[str, Any] = {
    "debtor": "cafe",
    "earned_at": ["store-a"],
    "steps": [{"from_minor": 1_000, "rate": "1/100"}],
    "repaid_with": [{"programme": "stars", "rate": "1/2"}],
}


def stars(house: House, shop: Till, cafe: Till) -> None:
    """Points are earned, spent, given back, undone and made value of; a sale whose points are gone is returned."""
    content: dict[str, Any] = {"debtor": "store-a", "earned_at": ["cafe"], "spent_at": ["cafe", "store-a"]}
    rule = {"steps": [{"from_minor": 1_000, "rate": "1/100"}], "value": "1/2", "borne_by": "ACQUIRER", "months": 24}
    act = house.act(Kind.AGREEMENT_CREATED, code="stars")
    value = {
        "conversion": {"rate": "1/2", "minimum_points": 10},
        "repays": [{"programme": "moons", "rate": "1/2"}],
    }
    house.office.create_agreement(act, "stars", "POINTS", content | rule | value, FIRST_DAY)
    card = house.new_card()
    shop.top_up(card, 50_000)
    sold, undone = cafe.pay(card, 30_050), cafe.pay(card, 2_000)
    cafe.reverse(undone.request_id)
    cafe.refund(sold.entry_id, 5_000)

    def spend(till: Till, points: int) -> operations_pb2.Receipt:
        return till.send(till.stub.SpendPoints, operations_pb2.SpendPointsRequest, card_number=card, points=points)

    spent = spend(shop, 101)
    shop.send(shop.stub.ReturnPoints, operations_pb2.ReturnPointsRequest, original_entry_id=spent.entry_id, points=1)
    cafe.reverse(spend(cafe, 20).request_id)
    spend(cafe, 110)

    def convert(points: int) -> operations_pb2.Receipt:
        return cafe.send(cafe.stub.ConvertPoints, operations_pb2.ConvertPointsRequest, card_number=card, points=points)

    other = house.act(Kind.AGREEMENT_CREATED, code="moons")
    house.office.create_agreement(other, "moons", "POINTS", MOONS, FIRST_DAY)
    bought = shop.pay(card, 2_000)
    request = {"card_number": card, "points": 10, "programme": "moons"}
    shop.send(shop.stub.SpendPoints, operations_pb2.SpendPointsRequest, **request)
    shop.refund(bought.entry_id, 2_000)
    repaid = {"card_number": card, "owed_programme": "moons", "points": 6, "programme": "stars"}
    shop.send(shop.stub.RepayPoints, operations_pb2.RepayPointsRequest, **repaid)
    cafe.reverse(convert(11).request_id)
    convert(31)
    cafe.refund(sold.entry_id, 25_050)


def close_month(house: House, label: str) -> None:
    """Close and net a window as the job of the month does."""
    notary = notary_of(house.ring)
    follower = Follower(POSITIONS, lambda: connect(house.dsn("settlement")), utc_now, time.sleep)
    with connect(house.dsn("settlement")) as connection:
        closing.close(
            connection, "monthly", label=label, following=None, clock=utc_now, sleep=time.sleep, notary=notary
        )
        netting.net(connection, follower, "monthly", label, notary=notary)
