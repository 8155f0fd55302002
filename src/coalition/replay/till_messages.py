"""Planned operations as the messages of TerminalService, and receipts held against what was planned. Sends nothing."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from coalition.replay.founding import STORE, TERMINAL
from coalition.replay.plan import OperationKind, Planned
from coalition.v1 import operations_pb2 as pb

# What each kind that gives back gives back.
SOLD_BY: Final[Mapping[OperationKind, OperationKind]] = {
    "REFUND": "PURCHASE",
    "VISIT_RETURN": "PASS_VISIT",
    "PASS_RETURN": "PASS_SALE",
    "POINTS_RETURN": "POINTS_SPEND",
}
OF_POINTS: Final = ("POINTS_SPEND", "POINTS_RETURN")


def selling(planned: Planned, request_id: str, card_number: str, currency_code: str) -> pb.Operation:
    """What a card is shown for."""
    common = _common(planned, request_id) | {"card_number": card_number, "sale_reference": planned.reference}
    money = _money(planned, currency_code)
    operation = pb.Operation()
    match planned.kind:
        case "TOP_UP":
            operation.top_up.CopyFrom(pb.TopUpRequest(**common, **money))
        case "PASS_SALE":
            operation.sell_pass.CopyFrom(pb.SellPassRequest(**common, **money, issuer=planned.issuer))
        case "PASS_VISIT":
            operation.visit_pass.CopyFrom(pb.VisitPassRequest(**common))
        case "POINTS_SPEND":
            operation.spend_points.CopyFrom(pb.SpendPointsRequest(**common, points=-planned.points))
        case _:
            operation.purchase.CopyFrom(pb.PurchaseRequest(**common, **money))
    return _timed(operation, planned)


def giving_back(planned: Planned, request_id: str, original: str, currency_code: str) -> pb.Operation:
    """What refers to an earlier operation, by its request_id."""
    common = _common(planned, request_id) | {"original_request_id": original}
    operation = pb.Operation()
    match planned.kind:
        case "VISIT_RETURN":
            operation.return_visit.CopyFrom(pb.ReturnVisitRequest(**common))
        case "PASS_RETURN":
            operation.return_pass.CopyFrom(pb.ReturnPassRequest(**common))
        case "POINTS_RETURN":
            operation.return_points.CopyFrom(pb.ReturnPointsRequest(**common, points=planned.points))
        case _:
            operation.refund.CopyFrom(pb.RefundRequest(**common, **_money(planned, currency_code)))
    return _timed(operation, planned)


def differences(planned: Planned, receipt: pb.Receipt, minor_apart: int, points_apart: int) -> Iterator[str]:
    """What a receipt says otherwise than planned, given what declines have changed for the member since."""
    is_of_points = planned.kind in OF_POINTS
    for name, told, expected in (
        ("balance", receipt.balance_minor, planned.balance_minor + minor_apart),
        ("amount", receipt.points_worth_minor if is_of_points else receipt.amount_minor, planned.amount_minor),
        ("points", receipt.points, planned.points),
        ("points' balance", receipt.points_balance, planned.points_balance + points_apart if planned.points else 0),
        ("visits left", receipt.visits_left, planned.visits_left),
    ):
        if told != expected:
            yield f"{name} {told}, planned {expected}"


def _common(planned: Planned, request_id: str) -> dict[str, Any]:
    terminal = pb.TerminalRef(participant=planned.merchant, store=STORE, terminal=TERMINAL)
    return {"request_id": request_id, "terminal": terminal}


def _money(planned: Planned, currency_code: str) -> dict[str, Any]:
    return {"amount_minor": planned.amount_minor, "currency_code": currency_code}


def _timed(operation: pb.Operation, planned: Planned) -> pb.Operation:
    body = getattr(operation, str(operation.WhichOneof("operation")))
    body.occurred_time.FromDatetime(planned.time)
    return operation
