"""The hands of the conformance cases: makes requests, sends each once, remembers what has to be reversed afterwards.

Not for tills: it forgets nothing on disk.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from coalition.client.arguments import place_of
from coalition.client.connection import Connection
from coalition.client.day_statement import DaySigner, sign_request
from coalition.client.errors import CallRefused
from coalition.client.pins import PinSealer
from coalition.client.request_ids import new_request_id
from coalition.v1.operations_pb2 import (
    AuthorizeRequest,
    CaptureRequest,
    Operation,
    OperationResult,
    PurchaseRequest,
    Receipt,
    ReverseRequest,
    TerminalRef,
    UploadRequest,
    VoidRequest,
)
from coalition.v1.terminal_pb2 import (
    CloseDayRequest,
    CloseDayResponse,
    DayOperation,
    GetBalanceRequest,
    GetDayTotalsRequest,
    GetDayTotalsResponse,
    GetPinKeyRequest,
    KindTotal,
    ResolveRequest,
    SubmitBatchRequest,
)

MINOR: Final = 100
"""The unit of the cases' amounts: one yuan."""

Answer = Receipt | CallRefused
AnyMessage = TypeVar("AnyMessage", bound=Message)


class Surprise(Exception):
    """The server did not answer as the contract says."""


@dataclass(frozen=True, slots=True)
class Member:
    """What the card's member shows and types, for the cases that need it; `pin` needs a `pin_sealer` (docs/pins.md)."""

    payment_code: str = field(default="", repr=False)
    pin: str = field(default="", repr=False)
    pin_sealer: PinSealer | None = None


NOBODY: Final = Member()


class Player:
    """One card at one terminal. `expect_spent` compares with the balance when the case began."""

    def __init__(
        self,
        connection: Connection,
        card_number: str,
        at: TerminalRef | None,
        currency_code: str,
        member: Member = NOBODY,
        sign: DaySigner | None = None,
    ) -> None:
        self._connection = connection
        self._member = member
        self._terminal = connection.terminal
        self._card = card_number
        self._at = at
        self._currency = currency_code
        self._sign = sign
        self._begun: list[str] = []
        self._start = 0

    def balance(self) -> int:
        """What the wallet holds; the case is measured from the last call of this."""
        self._start = self._held().balance_minor
        return self._start

    def balance_here(self) -> int:
        """What of it this merchant accepts."""
        return int(self._held().balance_here_minor)

    def purchase(self, amount_minor: int) -> PurchaseRequest:
        """A purchase under a new request_id, reversed when the case is over."""
        return PurchaseRequest(
            request_id=self._begin(),
            terminal=self._at,
            card_number=self._card,
            amount_minor=amount_minor,
            currency_code=self._currency,
        )

    def upload(self, amount_minor: int) -> UploadRequest:
        """A sale that was approved offline, told now under a new request_id; reversed when the case is over."""
        request = UploadRequest(
            request_id=self._begin(),
            terminal=self._at,
            card_number=self._card,
            amount_minor=amount_minor,
            currency_code=self._currency,
            sequence_number=1,
        )
        request.occurred_time.GetCurrentTime()
        return request

    @property
    def payment_code(self) -> str:
        """What the member's phone shows; empty where nobody was asked for it."""
        return self._member.payment_code

    @property
    def has_pin(self) -> bool:
        """Whether `with_pin` can be asked for."""
        return bool(self._member.pin and self._member.pin_sealer)

    def with_pin(self, request: PurchaseRequest) -> PurchaseRequest:
        """The same purchase with the member's PIN, sealed for it."""
        sealer, key = self._member.pin_sealer, self._connection.call(self._terminal.GetPinKey, GetPinKeyRequest())
        if sealer is None:
            raise Surprise("there is no pin_sealer")
        at = self._at
        place = key.place if at is None else f"{at.participant}/{at.store}/{at.terminal}"
        sealed = self.copy(request)
        sealed.sealed_pin = sealer(key.public_key, self._member.pin, request.request_id, place)
        return sealed

    def authorization(self, amount_minor: int) -> AuthorizeRequest:
        """An authorization under a new request_id; its case captures or voids it."""
        return AuthorizeRequest(
            request_id=new_request_id(),
            terminal=self._at,
            card_number=self._card,
            amount_minor=amount_minor,
            currency_code=self._currency,
        )

    def capture(self, hold: str, amount_minor: int) -> CaptureRequest:
        """A capture of the authorization with this request_id, reversed when the case is over."""
        return CaptureRequest(
            request_id=self._begin(),
            terminal=self._at,
            hold_request_id=hold,
            amount_minor=amount_minor,
            currency_code=self._currency,
        )

    def void(self, hold: str) -> VoidRequest:
        """A void of the authorization with this request_id."""
        return VoidRequest(request_id=new_request_id(), terminal=self._at, hold_request_id=hold)

    def reversal(self, original: str) -> ReverseRequest:
        """A reversal of the operation with this request_id."""
        return ReverseRequest(request_id=new_request_id(), terminal=self._at, original_request_id=original)

    def day_totals(self) -> GetDayTotalsResponse:
        """What the journal counts for the terminal. Raises CallRefused, ServerUnreachable."""
        return self._connection.call(self._terminal.GetDayTotals, GetDayTotalsRequest(terminal=self._at))

    def day_close(
        self, counted: GetDayTotalsResponse, totals: Sequence[KindTotal], operations: Sequence[DayOperation] = ()
    ) -> CloseDayRequest:
        """The close that is next after `counted`, signed, stating these totals. Raises Surprise without a signer."""
        if self._sign is None:
            raise Surprise("there is nothing to sign a close with")
        request = CloseDayRequest(
            request_id=new_request_id(),
            terminal=self._at,
            business_date=counted.business_date,
            number=counted.next_number,
            previous_hash=counted.previous_hash,
            totals=totals,
            operations=operations,
        )
        sign_request(self._place(), request, self._sign)
        return request

    def close_day(self, request: CloseDayRequest) -> CloseDayResponse:
        """Send a close once and answer how it was recorded. Raises Surprise for a refusal."""
        try:
            return self._connection.call(self._terminal.CloseDay, request)
        except CallRefused as refusal:
            raise Surprise(f"refused: {refusal.reason}") from refusal

    def copy(self, request: AnyMessage) -> AnyMessage:
        """The same request once more, to be changed."""
        other = type(request)()
        other.CopyFrom(request)
        return other

    def send(self, method: str, request: Message) -> Answer:
        """Send once. Raises ServerUnreachable."""
        try:
            answer: Any = self._connection.call(getattr(self._terminal, method), request)
        except CallRefused as refusal:
            return refusal
        receipt: Receipt = answer.receipt
        return receipt

    def resolve(self, request_id: str) -> Answer:
        """What became of an operation."""
        request = ResolveRequest(request_id=request_id, terminal=self._at)
        return _answer(self._connection.call(self._terminal.Resolve, request).result)

    def close_unsigned(self, number: int) -> Answer:
        """Close the day without having the key that signs it."""
        day = self.day_totals()
        request = CloseDayRequest(
            request_id=new_request_id(),
            terminal=self._at,
            business_date=day.business_date,
            number=number,
            previous_hash=day.previous_hash,
            totals=day.since_close,
            signature=b"not signed",
        )
        return self.send("CloseDay", request)

    def batch(self, operations: Sequence[Operation]) -> list[Answer]:
        """Send operations in one batch."""
        response = self._connection.call(self._terminal.SubmitBatch, SubmitBatchRequest(operations=operations))
        return [_answer(result) for result in response.results]

    def abandon(self, method: str, request: Message, deadline_s: float) -> None:
        """Send and stop waiting after `deadline_s`, whatever becomes of it."""
        with suppress(grpc.RpcError):
            getattr(self._terminal, method)(request, timeout=deadline_s)

    def receipt(self, answer: Answer) -> Receipt:
        """The receipt that was promised. Raises Surprise for a refusal."""
        if isinstance(answer, CallRefused):
            raise Surprise(f"refused: {answer.reason}")
        return answer

    def expect_refused(self, answer: Answer, *reasons: str) -> CallRefused:
        """The refusal that was promised, for one of `reasons`. Raises Surprise for a receipt, or another reason."""
        promised = " or ".join(reasons)
        if not isinstance(answer, CallRefused):
            raise Surprise(f"accepted, {promised} was promised")
        if answer.reason not in reasons:
            raise Surprise(f"refused for {answer.reason}, {promised} was promised")
        return answer

    def expect(self, holds: bool, surprise: str) -> None:  # noqa: FBT001  reads as a sentence
        """Raise Surprise unless it holds."""
        if not holds:
            raise Surprise(surprise)

    def expect_spent(self, amount_minor: int) -> None:
        """The wallet holds so much less than when the case began. Raises Surprise."""
        spent = self._start - self._held().balance_minor
        self.expect(spent == amount_minor, f"the balance fell by {spent}, {amount_minor} was due")

    def clean_up(self) -> None:
        """Reverse whatever the case may have spent."""
        begun, self._begun = self._begun, []
        for request_id in begun:
            self.receipt(self.send("Reverse", self.reversal(request_id)))

    def _place(self) -> str:
        """Which terminal it is: a terminal that does not say so is told by the service."""
        if self._at is not None:
            return place_of(self._at)
        return self._connection.call(self._terminal.GetPinKey, GetPinKeyRequest()).place

    def _begin(self) -> str:
        self._begun.append(new_request_id())
        return self._begun[-1]

    def _held(self) -> Any:
        request = GetBalanceRequest(terminal=self._at, card_number=self._card)
        return self._connection.call(self._terminal.GetBalance, request).balance


def _answer(result: OperationResult) -> Answer:
    return result.receipt if result.HasField("receipt") else CallRefused.from_status(result.error)
