"""Terminal messages to commands. Checks what the programme knows; the desk decides the rest.

A card number, or what was presented instead, ends here: what goes on is its keyed hash.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from coalition.domain.commands import (
    HOLD_SECONDS_DEFAULT,
    Capture,
    CashOut,
    Command,
    Goods,
    Hold,
    Purchase,
    Refund,
    Resolve,
    Reverse,
    TopUp,
    TopUpReturn,
    TopUpReversal,
    Upload,
    Void,
)
from coalition.domain.errors import Refused
from coalition.domain.programme import Programme, Scheme
from coalition.domain.reasons import Reason
from coalition.server.asking import Asking, Token, named
from coalition.server.convert_details import details_of
from coalition.server.convert_passes import FUNDINGS, OfPasses, return_of_pass, return_of_visit, sale_of_pass, visit_of
from coalition.server.convert_points import OfPoints, conversion_of, repayment_of, return_of_points, spend_of_points
from coalition.server.identity import Caller
from coalition.server.request_ids import parse_request_id
from coalition.server.seats import place_of, seat_of
from coalition.v1 import operations_pb2, terminal_pb2

OperationRequest: TypeAlias = (
    operations_pb2.TopUpRequest
    | operations_pb2.PurchaseRequest
    | operations_pb2.RefundRequest
    | operations_pb2.AuthorizeRequest
    | operations_pb2.CaptureRequest
    | operations_pb2.VoidRequest
    | operations_pb2.ReverseRequest
    | operations_pb2.UploadRequest
    | operations_pb2.ReturnTopUpRequest
    | operations_pb2.ReverseTopUpRequest
    | operations_pb2.CashOutRequest
    | OfPasses
    | OfPoints
)
GOODS: Final = {
    operations_pb2.RETURNED_GOODS_UNSPECIFIED: Goods.OWN,
    operations_pb2.RETURNED_GOODS_KEPT: Goods.KEPT,
    operations_pb2.RETURNED_GOODS_PASSED_ON: Goods.PASSED_ON,
}
NANOS: Final = 1_000_000_000


def command_of(request: OperationRequest, caller: Caller, programme: Programme, token: Token) -> Command:
    """The command of a well-formed request (`check_message` has passed).

    Raises Refused: see `place_of`, and AMOUNT_TOO_LARGE, CURRENCY_UNKNOWN, REQUEST_ID_MALFORMED, PARTICIPANT_UNKNOWN;
    FIELD_INVALID for a reversal of itself, a payment code that is none, and tenders whose sums do not agree.
    """
    kind = type(request)
    place = place_of(caller, request.terminal if request.HasField("terminal") else None, programme)
    occurred_time = _moment(request.occurred_time, "occurred_time") if request.HasField("occurred_time") else None
    if kind in WITH_AMOUNT:
        _check_money(request, programme.scheme)
    asking = Asking(place, caller, programme, token, parse_request_id(request.request_id), occurred_time)
    return MAKERS[kind](request, asking)


def resolve_of(request: terminal_pb2.ResolveRequest, caller: Caller, programme: Programme) -> Resolve:
    """The question what became of a request id. Raises Refused: see `seat_of`, and REQUEST_ID_MALFORMED."""
    seat = seat_of(caller, request.terminal if request.HasField("terminal") else None, programme)
    return Resolve(**seat._asdict(), actor=caller.actor, request_id=parse_request_id(request.request_id))


def _top_up(request: operations_pb2.TopUpRequest, asking: Asking) -> Command:
    return TopUp(
        **asking.fields(),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
        token=asking.token(request),
        issuer_id=asking.issuer_id(request.issuer),
        terms_code=request.terms or None,
        funding=FUNDINGS[request.funding],
    )


def _purchase(request: operations_pb2.PurchaseRequest, asking: Asking) -> Command:
    return Purchase(
        **asking.fields(),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
        token=asking.token(request),
        pin=asking.pin(request),
        details=details_of(request),
    )


def _upload(request: operations_pb2.UploadRequest, asking: Asking) -> Command:
    return Upload(
        **asking.fields(),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
        token=asking.token(request),
        details=details_of(request, request.sequence_number),
    )


def _hold(request: operations_pb2.AuthorizeRequest, asking: Asking) -> Command:
    return Hold(
        **asking.fields(),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
        token=asking.token(request),
        hold_seconds=request.hold_seconds or HOLD_SECONDS_DEFAULT,
        pin=asking.pin(request),
        details=details_of(request),
    )


def _capture(request: operations_pb2.CaptureRequest, asking: Asking) -> Command:
    return Capture(
        **asking.fields(),
        **named(request.hold_request_id, request.hold_entry_id, "hold_request_id"),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
    )


def _void(request: operations_pb2.VoidRequest, asking: Asking) -> Command:
    return Void(
        **asking.fields(),
        **named(request.hold_request_id, request.hold_entry_id, "hold_request_id"),
    )


def _refund(request: operations_pb2.RefundRequest, asking: Asking) -> Command:
    return Refund(
        **asking.fields(),
        **named(request.original_request_id, request.original_entry_id),
        amount_minor=request.amount_minor,
        goods=GOODS[request.returned_goods],
    )


def _reverse(request: operations_pb2.ReverseRequest, asking: Asking) -> Command:
    original_request_id = parse_request_id(request.original_request_id, "original_request_id")
    if original_request_id == asking.request_id:
        wish = {"expected": "the request_id of another operation"}
        raise Refused(Reason.FIELD_INVALID, "original_request_id", wish)
    return Reverse(**asking.fields(), original_request_id=original_request_id)


def _return_top_up(request: operations_pb2.ReturnTopUpRequest, asking: Asking) -> Command:
    return TopUpReturn(**asking.fields(), **named(request.original_request_id, request.original_entry_id))


def _reverse_top_up(request: operations_pb2.ReverseTopUpRequest, asking: Asking) -> Command:
    return TopUpReversal(**asking.fields(), **named(request.original_request_id, request.original_entry_id))


def _cash_out(request: operations_pb2.CashOutRequest, asking: Asking) -> Command:
    return CashOut(**asking.fields(), token=asking.token(request), closes=request.close_wallet, pin=asking.pin(request))


MAKERS: Final[Mapping[type, Callable[[Any, Asking], Command]]] = {
    operations_pb2.TopUpRequest: _top_up,
    operations_pb2.PurchaseRequest: _purchase,
    operations_pb2.UploadRequest: _upload,
    operations_pb2.AuthorizeRequest: _hold,
    operations_pb2.CaptureRequest: _capture,
    operations_pb2.VoidRequest: _void,
    operations_pb2.RefundRequest: _refund,
    operations_pb2.ReverseRequest: _reverse,
    operations_pb2.ReturnTopUpRequest: _return_top_up,
    operations_pb2.ReverseTopUpRequest: _reverse_top_up,
    operations_pb2.CashOutRequest: _cash_out,
    operations_pb2.SellPassRequest: sale_of_pass,
    operations_pb2.VisitPassRequest: visit_of,
    operations_pb2.ReturnVisitRequest: return_of_visit,
    operations_pb2.ReturnPassRequest: return_of_pass,
    operations_pb2.SpendPointsRequest: spend_of_points,
    operations_pb2.ReturnPointsRequest: return_of_points,
    operations_pb2.ConvertPointsRequest: conversion_of,
    operations_pb2.RepayPointsRequest: repayment_of,
}
WITH_AMOUNT: Final = frozenset(kind for kind in MAKERS if "amount_minor" in kind.DESCRIPTOR.fields_by_name)  # type: ignore[attr-defined]
"""The others name no amount: the books know it, or they move no money."""


def _check_money(request: Any, scheme: Scheme) -> None:
    """Raise Refused unless the amount is within the scheme's bound and in its currency."""
    if request.amount_minor > scheme.amount_max:
        raise Refused(Reason.AMOUNT_TOO_LARGE, "amount_minor", {"amount_max": str(scheme.amount_max)})
    if request.currency_code != scheme.currency_code:
        raise Refused(Reason.CURRENCY_UNKNOWN, "currency_code", {"currency_code": request.currency_code})


def _moment(told: Timestamp, field: str) -> datetime:
    """A moment that a request tells. The rules of the proto look at the seconds and at the order, not at `nanos` alone.

    Raises Refused(FIELD_INVALID).
    """
    if not 0 <= told.nanos < NANOS:
        raise Refused(Reason.FIELD_INVALID, field, {"expected": f"nanos from 0 to {NANOS - 1}"})
    return told.ToDatetime(UTC)
