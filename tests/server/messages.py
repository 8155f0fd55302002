"""Messages of tills, well formed unless a test says otherwise."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from coalition.server.convert_commands import OperationRequest
from coalition.v1.operations_pb2 import (
    AuthorizeRequest,
    CaptureRequest,
    CashOutRequest,
    ConvertPointsRequest,
    Operation,
    PurchaseRequest,
    RefundRequest,
    RepayPointsRequest,
    ReturnPassRequest,
    ReturnPointsRequest,
    ReturnTopUpRequest,
    ReturnVisitRequest,
    ReverseRequest,
    ReverseTopUpRequest,
    SellPassRequest,
    SpendPointsRequest,
    TerminalRef,
    TopUpRequest,
    UploadRequest,
    VisitPassRequest,
    VoidRequest,
)
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


def authorize(card: str, amount_minor: int = 30_000, **fields: Any) -> AuthorizeRequest:
    return AuthorizeRequest(
        **{
            "request_id": new_id(),
            "card_number": card,
            "amount_minor": amount_minor,
            "currency_code": "CNY",
            **fields,
        }
    )


def capture(hold: str, amount_minor: int = 30_000, **fields: Any) -> CaptureRequest:
    return CaptureRequest(
        **{
            "request_id": new_id(),
            "hold_request_id": hold,
            "amount_minor": amount_minor,
            "currency_code": "CNY",
            **fields,
        }
    )


def upload(card: str, amount_minor: int = 30_000, sequence_number: int = 1, **fields: Any) -> UploadRequest:
    return UploadRequest(
        **{
            "request_id": new_id(),
            "card_number": card,
            "amount_minor": amount_minor,
            "currency_code": "CNY",
            "occurred_time": Timestamp(seconds=1_484_000_000),
            "sequence_number": sequence_number,
            **fields,
        }
    )


def void(hold: str, **fields: Any) -> VoidRequest:
    return VoidRequest(**{"request_id": new_id(), "hold_request_id": hold, **fields})


def reverse(original: str, **fields: Any) -> ReverseRequest:
    return ReverseRequest(**{"request_id": new_id(), "original_request_id": original, **fields})


def return_top_up(original: str, **fields: Any) -> ReturnTopUpRequest:
    return ReturnTopUpRequest(**{"request_id": new_id(), "original_request_id": original, **fields})


def reverse_top_up(original: str, **fields: Any) -> ReverseTopUpRequest:
    return ReverseTopUpRequest(**{"request_id": new_id(), "original_request_id": original, **fields})


def cash_out(card: str, **fields: Any) -> CashOutRequest:
    return CashOutRequest(**{"request_id": new_id(), "card_number": card, **fields})


def sell_pass(card: str, price_minor: int = 10_000, **fields: Any) -> SellPassRequest:
    told = {"request_id": new_id(), "card_number": card, "amount_minor": price_minor, "currency_code": "CNY"}
    return SellPassRequest(**{**told, **fields})


def visit_pass(card: str, visit_count: int = 1, **fields: Any) -> VisitPassRequest:
    return VisitPassRequest(**{"request_id": new_id(), "card_number": card, "visit_count": visit_count, **fields})


def return_visit(original: str, **fields: Any) -> ReturnVisitRequest:
    return ReturnVisitRequest(**{"request_id": new_id(), "original_request_id": original, **fields})


def return_pass(original: str, **fields: Any) -> ReturnPassRequest:
    return ReturnPassRequest(**{"request_id": new_id(), "original_request_id": original, **fields})


def spend_points(card: str, points: int = 1, **fields: Any) -> SpendPointsRequest:
    return SpendPointsRequest(**{"request_id": new_id(), "card_number": card, "points": points, **fields})


def convert_points(card: str, points: int = 100, **fields: Any) -> ConvertPointsRequest:
    return ConvertPointsRequest(**{"request_id": new_id(), "card_number": card, "points": points, **fields})


def repay_points(card: str, owed: str = "moons", points: int = 0, **fields: Any) -> RepayPointsRequest:
    told = {"request_id": new_id(), "card_number": card, "owed_programme": owed, "points": points}
    return RepayPointsRequest(**{**told, **fields})


def return_points(original: str, points: int = 0, **fields: Any) -> ReturnPointsRequest:
    told = {"request_id": new_id(), "original_request_id": original, "points": points}
    return ReturnPointsRequest(**{**told, **fields})


FIELD_OF = {
    TopUpRequest: "top_up",
    PurchaseRequest: "purchase",
    RefundRequest: "refund",
    AuthorizeRequest: "authorize",
    CaptureRequest: "capture",
    VoidRequest: "void",
    ReverseRequest: "reverse",
    UploadRequest: "upload",
    ReturnTopUpRequest: "return_top_up",
    ReverseTopUpRequest: "reverse_top_up",
    CashOutRequest: "cash_out",
    SellPassRequest: "sell_pass",
    VisitPassRequest: "visit_pass",
    ReturnVisitRequest: "return_visit",
    ReturnPassRequest: "return_pass",
    SpendPointsRequest: "spend_points",
    ReturnPointsRequest: "return_points",
    ConvertPointsRequest: "convert_points",
    RepayPointsRequest: "repay_points",
}


def operation(request: OperationRequest) -> Operation:
    return Operation(**{FIELD_OF[type(request)]: request})  # type: ignore[arg-type]  # one of many fields
