"""The messages of the contract tests: well formed, each under a request_id made before it is sent."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from coalition.client import new_request_id
from coalition.v1 import operations_pb2 as v1
from tests.contract.credentials import NOTHING_SHOWN, Shown
from tests.contract.history import History, Intent
from tests.contract.phones import Phone
from tests.contract.scheme import CURRENCY, STORE, TILL

NO_PHONES: Mapping[str, Phone] = MappingProxyType({})
OFFLINE_SECONDS = 1_700_000_000
"""When a till without a line sold, by its own clock."""


def seat(participant: str, terminal: str = TILL) -> v1.TerminalRef:
    """A till of the participant."""
    return v1.TerminalRef(participant=participant, store=STORE, terminal=terminal)


def _said(participant: str, request_id: str, **fields: Any) -> dict[str, Any]:
    return {"request_id": request_id, "terminal": seat(participant), **fields}


class Orders:
    """Makes operations and notes them in a history."""

    def __init__(self, history: History, phones: Mapping[str, Phone] = NO_PHONES) -> None:
        self._history, self._phones = history, phones

    def top_up(
        self, at: str, card: str, amount: int, issuer: str = "", *, sale: str = "", shown: Shown = NOTHING_SHOWN
    ) -> Intent:
        said = self._sold(at, card, amount, sale, shown)
        return self._intend(at, v1.Operation(top_up=v1.TopUpRequest(**said, issuer=issuer)), shown)

    def purchase(
        self,
        at: str,
        card: str,
        amount: int,
        *,
        sale: str = "",
        shown: Shown = NOTHING_SHOWN,
        request_id: str = "",
    ) -> Intent:
        said = self._sold(at, card, amount, sale, shown, request_id)
        return self._intend(at, v1.Operation(purchase=v1.PurchaseRequest(**said)), shown)

    def authorize(
        self, at: str, card: str, amount: int, seconds: int = 0, *, sale: str = "", shown: Shown = NOTHING_SHOWN
    ) -> Intent:
        said = self._sold(at, card, amount, sale, shown)
        return self._intend(at, v1.Operation(authorize=v1.AuthorizeRequest(**said, hold_seconds=seconds)), shown)

    def upload(self, at: str, card: str, amount: int, *, sale: str = "", number: int = 1) -> Intent:
        said = self._sold(at, card, amount, sale, NOTHING_SHOWN)
        request = v1.UploadRequest(**said, sequence_number=number)
        request.occurred_time.FromSeconds(OFFLINE_SECONDS)
        return self._intend(at, v1.Operation(upload=request))

    def return_top_up(self, at: str, *, entry_id: int = 0, original: str = "") -> Intent:
        named = {"original_entry_id": entry_id} if entry_id else {"original_request_id": original}
        request = v1.ReturnTopUpRequest(**_said(at, new_request_id(), **named))
        return self._intend(at, v1.Operation(return_top_up=request))

    def refund(self, at: str, amount: int, *, entry_id: int = 0, original: str = "", request_id: str = "") -> Intent:
        named = {"original_entry_id": entry_id} if entry_id else {"original_request_id": original}
        said = _said(at, request_id or new_request_id(), amount_minor=amount, **named)
        return self._intend(at, v1.Operation(refund=v1.RefundRequest(**said, currency_code=CURRENCY)))

    def capture(self, at: str, amount: int, *, entry_id: int = 0, hold: str = "", request_id: str = "") -> Intent:
        named = {"hold_entry_id": entry_id} if entry_id else {"hold_request_id": hold}
        said = _said(at, request_id or new_request_id(), amount_minor=amount, **named)
        return self._intend(at, v1.Operation(capture=v1.CaptureRequest(**said, currency_code=CURRENCY)))

    def void(self, at: str, *, entry_id: int = 0, hold: str = "") -> Intent:
        named = {"hold_entry_id": entry_id} if entry_id else {"hold_request_id": hold}
        return self._intend(at, v1.Operation(void=v1.VoidRequest(**_said(at, new_request_id(), **named))))

    def reverse(self, at: str, original: str, request_id: str = "") -> Intent:
        said = _said(at, request_id or new_request_id(), original_request_id=original)
        return self._intend(at, v1.Operation(reverse=v1.ReverseRequest(**said)))

    def _sold(self, at: str, card: str, amount: int, sale: str, shown: Shown, request_id: str = "") -> dict[str, Any]:
        """What every sale says. A phone shows a code: which, is part of the request; its password is not."""
        presented = {"payment_code": self._phones[shown.phone].ticket(shown.counter)} if shown.phone else {}
        said = _said(at, request_id or new_request_id(), amount_minor=amount, currency_code=CURRENCY)
        return {**said, "sale_reference": sale, **(presented or {"card_number": card})}

    def resolve(self, at: str, request_id: str) -> Intent:
        return self._history.intend(at, request_id)

    def other_body(self, intent: Intent) -> Intent:
        """The same request_id, with another amount or another original."""
        operation = v1.Operation()
        assert intent.operation is not None
        operation.CopyFrom(intent.operation)
        request: Any = getattr(operation, intent.which)
        if "amount_minor" in request.DESCRIPTOR.fields_by_name:
            request.amount_minor += 1
        else:
            request.occurred_time.FromSeconds(OFFLINE_SECONDS + 60)
        return self._history.intend(intent.participant, intent.request_id, operation, intent.shown)

    def _intend(self, at: str, operation: v1.Operation, shown: Shown = NOTHING_SHOWN) -> Intent:
        which = operation.WhichOneof("operation")
        assert which is not None
        return self._history.intend(at, getattr(operation, which).request_id, operation, shown)
