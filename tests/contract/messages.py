"""The messages of the contract tests: well formed, each under a request_id made before it is sent."""

from typing import Any

from coalition.client import new_request_id
from coalition.v1 import operations_pb2 as v1
from tests.contract.history import History, Intent
from tests.contract.scheme import CURRENCY, STORE, TILL


def seat(participant: str) -> v1.TerminalRef:
    """The participant's till."""
    return v1.TerminalRef(participant=participant, store=STORE, terminal=TILL)


def _said(participant: str, request_id: str, **fields: Any) -> dict[str, Any]:
    return {"request_id": request_id, "terminal": seat(participant), **fields}


class Orders:
    """Makes operations and notes them in a history."""

    def __init__(self, history: History) -> None:
        self._history = history

    def top_up(self, at: str, card: str, amount: int, issuer: str = "", request_id: str = "") -> Intent:
        said = _said(at, request_id or new_request_id(), card_number=card, amount_minor=amount)
        request = v1.TopUpRequest(**said, currency_code=CURRENCY, issuer=issuer)
        return self._intend(at, v1.Operation(top_up=request))

    def purchase(self, at: str, card: str, amount: int, request_id: str = "") -> Intent:
        said = _said(at, request_id or new_request_id(), card_number=card, amount_minor=amount)
        return self._intend(at, v1.Operation(purchase=v1.PurchaseRequest(**said, currency_code=CURRENCY)))

    def authorize(self, at: str, card: str, amount: int, seconds: int = 0, request_id: str = "") -> Intent:
        said = _said(at, request_id or new_request_id(), card_number=card, amount_minor=amount, hold_seconds=seconds)
        return self._intend(at, v1.Operation(authorize=v1.AuthorizeRequest(**said, currency_code=CURRENCY)))

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
            request.occurred_time.FromSeconds(1_700_000_000)
        return self._history.intend(intent.participant, intent.request_id, operation)

    def _intend(self, at: str, operation: v1.Operation) -> Intent:
        which = operation.WhichOneof("operation")
        assert which is not None
        return self._history.intend(at, getattr(operation, which).request_id, operation)
