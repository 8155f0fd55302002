"""Messages of tills, well formed unless a test says otherwise."""

from typing import Any

from coalition.v1.operations_pb2 import Operation, PurchaseRequest, RefundRequest, TerminalRef, TopUpRequest
from tests.house import new_id

STORE_TILL = "t/store-a/main/till-1"
CAFE_TILL = "t/cafe/main/till-1"
CAFE_REF = TerminalRef(participant="cafe", store="main", terminal="till-2")


def top_up(card: str, amount_minor: int = 100_000, **fields: Any) -> TopUpRequest:
    return TopUpRequest(
        **{
            "request_id": new_id(),
            "card_number": card,
            "amount_minor": amount_minor,
            "currency_code": "CNY",
            **fields,
        }
    )


def purchase(card: str, amount_minor: int = 30_000, **fields: Any) -> PurchaseRequest:
    return PurchaseRequest(
        **{
            "request_id": new_id(),
            "card_number": card,
            "amount_minor": amount_minor,
            "currency_code": "CNY",
            **fields,
        }
    )


def refund(original: str, amount_minor: int = 10_000, **fields: Any) -> RefundRequest:
    return RefundRequest(
        **{
            "request_id": new_id(),
            "original_request_id": original,
            "amount_minor": amount_minor,
            "currency_code": "CNY",
            **fields,
        }
    )


def operation(request: TopUpRequest | PurchaseRequest | RefundRequest) -> Operation:
    if isinstance(request, TopUpRequest):
        return Operation(top_up=request)
    if isinstance(request, PurchaseRequest):
        return Operation(purchase=request)
    return Operation(refund=request)
