"""Bytes that no honest client sends, to the server's methods: mutated messages, extremes, noise.

Every operation in them names a card without value or a card nobody has, so nothing can be accepted: what the journal
takes of all this are declines, and reversals that found nothing. Drawn from a seed: a failure can be sent again.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from coalition.client import new_request_id
from coalition.v1 import operations_pb2 as v1
from coalition.v1 import terminal_pb2
from tests.contract.messages import seat
from tests.contract.scheme import CURRENCY

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
        message = self._message(name if dice < 0.95 else draw.choice(self._methods).name)
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
        said: dict[str, Any] = {"terminal": seat("cafe")}
        keyed: dict[str, Any] = {**said, "request_id": new_request_id()}
        money: dict[str, Any] = {"amount_minor": draw.randint(1, 10_000), "currency_code": CURRENCY}
        makers: dict[str, Callable[[], Message]] = {
            "TopUp": lambda: v1.TopUpRequest(**keyed, **money, card_number="9" * 16),
            "Purchase": lambda: v1.PurchaseRequest(**keyed, **money, card_number=card),
            "Refund": lambda: v1.RefundRequest(**keyed, **money, original_request_id=new_request_id()),
            "Authorize": lambda: v1.AuthorizeRequest(**keyed, **money, card_number=card, hold_seconds=60),
            "Capture": lambda: v1.CaptureRequest(**keyed, **money, hold_request_id=new_request_id()),
            "Void": lambda: v1.VoidRequest(**keyed, hold_entry_id=draw.getrandbits(40) + 1),
            "ReturnTopUp": lambda: v1.ReturnTopUpRequest(**keyed, original_entry_id=draw.getrandbits(40) + 1),
            "Reverse": lambda: v1.ReverseRequest(**keyed, original_request_id=new_request_id()),
            "Resolve": lambda: terminal_pb2.ResolveRequest(**keyed),
            "GetBalance": lambda: terminal_pb2.GetBalanceRequest(**said, card_number=card),
            "ListEntries": lambda: terminal_pb2.ListEntriesRequest(**said, card_number=card, page_size=3),
            "SubmitBatch": self._batch,
        }
        return makers[name]()

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
            setattr(message, field.name, draw.choice(TEXTS))
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
