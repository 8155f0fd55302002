"""Messages about points to commands, and what the facts of an outcome say of points to its receipt."""

from collections.abc import Mapping
from typing import Final, TypeAlias
from uuid import UUID

from coalition.domain.commands import Command, ConvertPoints, RepayPoints, ReturnPoints, SpendPoints
from coalition.domain.pins import SealedPin
from coalition.server.convert_passes import Asking
from coalition.v1 import operations_pb2

WithPoints: TypeAlias = (
    operations_pb2.SpendPointsRequest | operations_pb2.ConvertPointsRequest | operations_pb2.RepayPointsRequest
)
OfPoints: TypeAlias = WithPoints | operations_pb2.ReturnPointsRequest
WITH_POINTS: Final = (
    operations_pb2.SpendPointsRequest,
    operations_pb2.ConvertPointsRequest,
    operations_pb2.RepayPointsRequest,
)
"""What takes points of a wallet that is presented."""
OF_POINTS: Final = (*WITH_POINTS, operations_pb2.ReturnPointsRequest)
"""What names points and no amount of money."""


def points_taken(request: WithPoints, asking: Asking, token: bytes, pin: SealedPin | None) -> Command:
    """The command that spends points, turns them into value, or repays others with them."""
    told = {
        **asking.fields(),
        "token": token,
        "points": request.points,
        "programme_code": request.programme or None,
        "pin": pin,
    }
    if isinstance(request, operations_pb2.SpendPointsRequest):
        return SpendPoints(**told, sale_reference=request.sale_reference or None)
    if isinstance(request, operations_pb2.RepayPointsRequest):
        return RepayPoints(**told, owed_code=request.owed_programme)
    return ConvertPoints(**told)


def return_of_points(
    request: operations_pb2.ReturnPointsRequest, asking: Asking, original_request_id: UUID | None
) -> Command:
    """The command that gives spent points back."""
    return ReturnPoints(
        **asking.fields(),
        points=request.points,
        original_request_id=original_request_id,
        original_entry_id=request.original_entry_id or None,
    )


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
