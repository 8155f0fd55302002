"""Messages about points to commands, and what the facts of an outcome say of points to its receipt."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from coalition.domain.commands import Command, ConvertPoints, RepayPoints, ReturnPoints, SpendPoints
from coalition.server.asking import Asking, named
from coalition.v1 import operations_pb2

Taking: TypeAlias = (
    operations_pb2.SpendPointsRequest | operations_pb2.ConvertPointsRequest | operations_pb2.RepayPointsRequest
)
"""What takes points of a wallet that is presented."""
OfPoints: TypeAlias = Taking | operations_pb2.ReturnPointsRequest


def spend_of_points(request: operations_pb2.SpendPointsRequest, asking: Asking) -> Command:
    """The command that pays with points."""
    return SpendPoints(**_taken(request, asking), sale_reference=request.sale_reference or None)


def conversion_of(request: operations_pb2.ConvertPointsRequest, asking: Asking) -> Command:
    """The command that turns points into value."""
    return ConvertPoints(**_taken(request, asking))


def repayment_of(request: operations_pb2.RepayPointsRequest, asking: Asking) -> Command:
    """The command that repays points that are owed with others."""
    return RepayPoints(**_taken(request, asking), owed_code=request.owed_programme)


def return_of_points(request: operations_pb2.ReturnPointsRequest, asking: Asking) -> Command:
    """The command that gives spent points back."""
    return ReturnPoints(
        **asking.fields(),
        **named(request.original_request_id, request.original_entry_id),
        points=request.points,
    )


def _taken(request: Taking, asking: Asking) -> dict[str, Any]:
    return {
        **asking.fields(),
        "token": asking.token(request),
        "points": request.points,
        "programme_code": request.programme or None,
        "pin": asking.pin(request),
    }


def write_points(receipt: operations_pb2.Receipt, facts: Mapping[str, str]) -> None:
    """Write what an outcome says of points; it says something."""
    receipt.points = int(facts["points"])
    receipt.points_balance = int(facts["points_balance"])
    receipt.points_programme = facts["points_programme"]
    receipt.points_worth_minor = int(facts.get("points_worth_minor", 0))
    receipt.points_last_day = facts.get("points_last_day", "")
    if "repaid_points" in facts:
        receipt.repaid_points = int(facts["repaid_points"])
        receipt.repaid_points_balance = int(facts["repaid_points_balance"])
        receipt.repaid_points_programme = facts["repaid_points_programme"]
