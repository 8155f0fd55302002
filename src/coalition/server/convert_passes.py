"""Messages about passes to commands, and what the facts of an outcome say of a pass to its receipt."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from coalition.domain.commands import Command, Funding, ReturnPass, ReturnVisit, SellPass, VisitPass
from coalition.server.asking import Asking, named
from coalition.v1 import operations_pb2

OfPasses: TypeAlias = (
    operations_pb2.SellPassRequest
    | operations_pb2.VisitPassRequest
    | operations_pb2.ReturnVisitRequest
    | operations_pb2.ReturnPassRequest
)
FUNDINGS: Final = {
    operations_pb2.FUNDING_UNSPECIFIED: Funding.CASH,
    operations_pb2.FUNDING_CASH: Funding.CASH,
    operations_pb2.FUNDING_BANK_TRANSFER: Funding.BANK_TRANSFER,
    operations_pb2.FUNDING_DEBIT_CARD: Funding.DEBIT_CARD,
    operations_pb2.FUNDING_CREDIT_CARD: Funding.CREDIT_CARD,
}
"""How a top-up or a pass was paid."""


def sale_of_pass(request: operations_pb2.SellPassRequest, asking: Asking) -> Command:
    """The command of a sale."""
    return SellPass(
        **asking.fields(),
        amount_minor=request.amount_minor,
        sale_reference=request.sale_reference or None,
        token=asking.token(request),
        issuer_id=asking.issuer_id(request.issuer),
        terms_code=request.pass_code or None,
        funding=FUNDINGS[request.funding],
    )


def visit_of(request: operations_pb2.VisitPassRequest, asking: Asking) -> Command:
    """The command that takes visits."""
    return VisitPass(
        **asking.fields(),
        sale_reference=request.sale_reference or None,
        token=asking.token(request),
        visit_count=request.visit_count or 1,
        terms_code=request.pass_code or None,
        pin=asking.pin(request),
    )


def return_of_visit(request: operations_pb2.ReturnVisitRequest, asking: Asking) -> Command:
    """The command that gives visits back."""
    return ReturnVisit(**asking.fields(), **named(request.original_request_id, request.original_entry_id))


def return_of_pass(request: operations_pb2.ReturnPassRequest, asking: Asking) -> Command:
    """The command that pays a pass out."""
    return ReturnPass(**asking.fields(), **named(request.original_request_id, request.original_entry_id))


def write_pass(receipt: operations_pb2.Receipt, facts: Mapping[str, str]) -> None:
    """Write what an outcome says of a pass; it says something."""
    receipt.pass_entry_id = int(facts["pass"])
    receipt.visit_count = int(facts["visits"])
    receipt.visits_left = int(facts["visits_left"])
    receipt.pass_last_day = facts.get("pass_last_day", "")
