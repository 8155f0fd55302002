"""Bytes that no honest client sends, to the server's methods: mutated messages, extremes, noise.

Every operation in them names a card without value or a card nobody has, so nothing can be accepted: what the journal
takes of all this are declines, and reversals that found nothing. Drawn from a seed: a failure can be sent again.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from coalition.client import new_request_id
from coalition.domain.cards import check_digit
from coalition.v1 import operations_pb2 as v1
from coalition.v1 import terminal_pb2
from tests.contract.messages import OFFLINE_SECONDS, seat
from tests.contract.scheme import CURRENCY, TILL_OF_NOISE

INTEGERS = (0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 10**12, 10**12 + 1, 59, 2_592_001)
TEXTS = (
    "",
    " ",
    "0",
    "\x00",
    "a\x00b",
    "9" * 22,
    "9" * 23,
    "x" * 5_000,
    "\u202e\U0001f4b3",
    "null",
    "'; --",
    "../..",
    "%s%n",
)
BATCH_MAX = 5

TERMINAL = terminal_pb2.DESCRIPTOR.services_by_name["TerminalService"]


def path_of(method: Any) -> str:
    """The path gRPC calls it by."""
    return f"/{method.containing_service.full_name}/{method.name}"


class Fuzz:
    """Draws calls for ever: a method's path and a body."""

    def __init__(self, seed: int, cards: list[str]) -> None:
        self._draw = random.Random(seed)
        self._cards = cards
        self._methods = [each for each in TERMINAL.methods if not each.client_streaming]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        while True:
            method = self._draw.choice(self._methods)
            yield path_of(method), self._body(method.name)

    def _body(self, name: str) -> bytes:
        draw = self._draw
        dice = draw.random()
        if dice < 0.1:
            return draw.randbytes(int(draw.expovariate(1 / 60)))
        other = draw.choice(self._methods).name
        # Read as a cash-out, another's body is one: it may close the empty wallet of a card that it names.
        message = self._message(name if dice < 0.95 or name == "CashOut" else other)
        if dice < 0.5:
            for _ in range(draw.choice((1, 1, 2))):
                self._change(message)
        body = message.SerializeToString()
        if 0.4 < dice < 0.8 and body:
            body = draw.choice((self._flipped, self._cut, self._doubled, self._flipped))(body)
        return body

    def _message(self, name: str) -> Message:
        """A well-formed message of the method."""
        draw, card = self._draw, self._draw.choice(self._cards)
        said: dict[str, Any] = {"terminal": seat("cafe", TILL_OF_NOISE)}
        keyed: dict[str, Any] = {**said, "request_id": new_request_id()}
        money: dict[str, Any] = {"amount_minor": draw.randint(1, 10_000), "currency_code": CURRENCY}
        presented = self._presented(card)
        sold: dict[str, Any] = {**keyed, **money, **self._details(money["amount_minor"])}
        makers: dict[str, Callable[[], Message]] = {
            "TopUp": lambda: v1.TopUpRequest(**keyed, **money, **self._presented("9" * 16)),
            "Purchase": lambda: v1.PurchaseRequest(**sold, **presented, sealed_pin=self._noise()),
            "Upload": lambda: self._upload(sold),
            "Refund": lambda: v1.RefundRequest(**keyed, **money, original_request_id=new_request_id()),
            "Authorize": lambda: v1.AuthorizeRequest(**sold, **presented, hold_seconds=60),
            "Capture": lambda: v1.CaptureRequest(**keyed, **money, hold_request_id=new_request_id()),
            "Void": lambda: v1.VoidRequest(**keyed, hold_entry_id=draw.getrandbits(40) + 1),
            "ReturnTopUp": lambda: v1.ReturnTopUpRequest(**keyed, original_entry_id=draw.getrandbits(40) + 1),
            "ReverseTopUp": lambda: v1.ReverseTopUpRequest(**keyed, original_entry_id=draw.getrandbits(40) + 1),
            "CashOut": lambda: v1.CashOutRequest(**keyed, **self._presented("9" * 16), sealed_pin=self._noise()),
            "SellPass": lambda: v1.SellPassRequest(**keyed, **money, **presented),
            "VisitPass": lambda: v1.VisitPassRequest(**keyed, **presented, visit_count=2, sealed_pin=self._noise()),
            "ReturnVisit": lambda: v1.ReturnVisitRequest(**keyed, original_entry_id=draw.getrandbits(40) + 1),
            "ReturnPass": lambda: v1.ReturnPassRequest(**keyed, original_entry_id=draw.getrandbits(40) + 1),
            "SpendPoints": lambda: v1.SpendPointsRequest(**keyed, **presented, points=3, sealed_pin=self._noise()),
            "ReturnPoints": lambda: v1.ReturnPointsRequest(
                **keyed, original_entry_id=draw.getrandbits(40) + 1, points=1
            ),
            "ConvertPoints": lambda: v1.ConvertPointsRequest(**keyed, **presented, points=3, sealed_pin=self._noise()),
            "RepayPoints": lambda: v1.RepayPointsRequest(**keyed, **presented, owed_programme="moons"),
            "Reverse": lambda: v1.ReverseRequest(**keyed, original_request_id=new_request_id()),
            "Resolve": lambda: terminal_pb2.ResolveRequest(**keyed),
            "GetBalance": lambda: terminal_pb2.GetBalanceRequest(**said, **presented),
            "ListEntries": lambda: terminal_pb2.ListEntriesRequest(**said, **presented, page_size=3),
            "GetPinKey": terminal_pb2.GetPinKeyRequest,
            "GetDayTotals": lambda: terminal_pb2.GetDayTotalsRequest(**said, business_date="2026-11-26"),
            "CloseDay": lambda: self._close(keyed),
            "SubmitBatch": self._batch,
        }
        return makers[name]()

    def _presented(self, card: str) -> dict[str, Any]:
        """The card, or something that nobody has: a code, an id, a phone."""
        draw = self._draw
        if draw.random() < 0.7:
            return {"card_number": card}
        digits = f"91{draw.randrange(10**19):019d}"
        others: tuple[dict[str, Any], ...] = (
            {"payment_code": digits + check_digit(digits)},
            {"virtual_id": v1.VirtualId(namespace="chat", subject=f"o-{draw.getrandbits(40):x}")},
            {"phone": f"+86199{draw.randrange(10**8):08d}"},
        )
        return draw.choice(others)

    def _details(self, amount: int) -> dict[str, Any]:
        """What was sold and paid with, now and then."""
        if self._draw.random() < 0.7:
            return {}
        item = v1.SaleItem(sku="6901", quantity_thousandths=1_000, amount_minor=amount)
        tender = v1.Tender(kind=v1.TENDER_KIND_CARD, amount_minor=amount)
        return {"items": [item], "tenders": [tender], "sale_reference": f"n-{self._draw.randrange(50)}"}

    def _noise(self) -> bytes:
        """Where a sealed PIN belongs; mostly none."""
        return self._draw.randbytes(121) if self._draw.random() < 0.2 else b""

    def _upload(self, sold: dict[str, Any]) -> Message:
        """With a card nobody has: an empty wallet's would be accepted, and its shortfall borne."""
        request = v1.UploadRequest(**sold, card_number="9" * 16, sequence_number=1)
        request.occurred_time.FromSeconds(OFFLINE_SECONDS)
        return request

    def _close(self, keyed: dict[str, Any]) -> Message:
        """A close of a day that nobody has signed."""
        total = terminal_pb2.KindTotal(kind=v1.ENTRY_KIND_PURCHASE, accepted_count=1, accepted_minor=1)
        return terminal_pb2.CloseDayRequest(
            **keyed, business_date="2026-11-26", number=1, totals=[total], signature=self._draw.randbytes(70)
        )

    def _batch(self) -> Message:
        fields: Any = v1.Operation.DESCRIPTOR.fields
        operations = []
        for field in self._draw.choices(fields, k=self._draw.randint(0, BATCH_MAX)):
            said: dict[str, Any] = {field.name: self._message(field.message_type.name.removesuffix("Request"))}
            operations.append(v1.Operation(**said))
        return terminal_pb2.SubmitBatchRequest(operations=operations)

    def _change(self, message: Any) -> None:
        """Drop a field, or fill it with something extreme; of a message in it, now and then."""
        draw = self._draw
        if not message.DESCRIPTOR.fields:
            return
        field = draw.choice(message.DESCRIPTOR.fields)
        if draw.random() < 0.3:
            message.ClearField(field.name)
        elif field.is_repeated:
            rows = getattr(message, field.name)
            if rows and draw.random() < 0.9:
                self._change(draw.choice(rows))
            else:
                rows.add()
        elif field.message_type is not None:
            self._change(getattr(message, field.name))
        elif field.cpp_type == field.CPPTYPE_STRING:
            text = draw.choice(TEXTS)
            setattr(message, field.name, text.encode() if field.type == field.TYPE_BYTES else text)
        elif field.cpp_type == field.CPPTYPE_BOOL:
            setattr(message, field.name, draw.random() < 0.5)
        else:
            value = draw.choice(INTEGERS)
            if field.cpp_type in {field.CPPTYPE_INT32, field.CPPTYPE_ENUM}:
                value = (value + 2**31) % 2**32 - 2**31
            setattr(message, field.name, value)

    def _flipped(self, body: bytes) -> bytes:
        bits = bytearray(body)
        for _ in range(self._draw.randint(1, 4)):
            bits[self._draw.randrange(len(bits))] ^= 1 << self._draw.randrange(8)
        return bytes(bits)

    def _cut(self, body: bytes) -> bytes:
        return body[: self._draw.randrange(len(body))]

    def _doubled(self, body: bytes) -> bytes:
        return body + body[self._draw.randrange(len(body)) :]
