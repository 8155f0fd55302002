"""Messages about passes to commands, and what the facts of an outcome say of a pass to its receipt."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from coalition.domain.commands import Command, Funding, ReturnPass, ReturnVisit, SellPass, VisitPass
from coalition.domain.pins import SealedPin
from coalition.v1 import operations_pb2

Undone: TypeAlias = (
    operations_pb2.VisitPassRequest | operations_pb2.ReturnVisitRequest | operations_pb2.ReturnPassRequest
)
WITHOUT_AMOUNT: Final = (
    operations_pb2.VisitPassRequest,
    operations_pb2.ReturnVisitRequest,
    operations_pb2.ReturnPassRequest,
)
"""What names no amount: the books know it."""


class Asking(NamedTuple):
    """Who asks, and what every command has of it; `token` and `pin` where something is presented."""

    participant_id: int
    store_id: int | None
    terminal_id: int | None
    actor: str
    request_id: UUID
    occurred_time: datetime | None

    def fields(self) -> dict[str, Any]:
        """As a command's own."""
        return self._asdict()


def sale_of_pass(
    request: operations_pb2.SellPassRequest, asking: Asking, token: bytes, issuer_id: int, funding: Funding
) -> Command:
    """The command of a sale; its amount was checked as money."""
    return SellPass(
        **asking.fields(),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
        token=token,
        issuer_id=issuer_id,
        terms_code=request.pass_code or None,
        funding=funding,
    )


def visit_of(request: operations_pb2.VisitPassRequest, asking: Asking, token: bytes, pin: SealedPin | None) -> Command:
    """The command that takes visits."""
    return VisitPass(
        **asking.fields(),
        sale_reference=request.sale_reference or None,
        token=token,
        visit_count=request.visit_count or 1,
        terms_code=request.pass_code or None,
        pin=pin,
    )


def return_of(
    request: operations_pb2.ReturnVisitRequest | operations_pb2.ReturnPassRequest,
    asking: Asking,
    original_request_id: UUID | None,
) -> Command:
    """The command that gives visits back, or pays a pass out."""
    is_visit = isinstance(request, operations_pb2.ReturnVisitRequest)
    return (ReturnVisit if is_visit else ReturnPass)(
        **asking.fields(),
        original_request_id=original_request_id,
        original_entry_id=request.original_entry_id or None,
    )


def write_pass(receipt: operations_pb2.Receipt, facts: Mapping[str, str]) -> None:
    """Write what an outcome says of a pass; it says something."""
    receipt.pass_entry_id = int(facts["pass"])
    receipt.visit_count = int(facts["visits"])
    receipt.visits_left = int(facts["visits_left"])
    receipt.pass_last_day = facts.get("pass_last_day", "")
