"""What a terminal tells of a sale, between its messages and the canonical bytes that are kept."""

from typing import TypeAlias

from coalition.domain.sale_details import SaleDetails, SaleItem, Tender
from coalition.v1 import operations_pb2

Detailed: TypeAlias = operations_pb2.PurchaseRequest | operations_pb2.AuthorizeRequest | operations_pb2.UploadRequest

PREFIX = "TENDER_KIND_"


def details_of(request: Detailed, sequence_number: int = 0) -> bytes:
    """The canonical bytes; empty where nothing was told. Raises Refused(FIELD_INVALID) for sums that do not agree."""
    if not (request.items or request.tenders or sequence_number):
        return b""
    details = SaleDetails(
        [
            SaleItem(item.sku, item.category, item.brand, item.quantity_thousandths, item.unit, item.amount_minor)
            for item in request.items
        ],
        [
            Tender(operations_pb2.TenderKind.Name(tender.kind).removeprefix(PREFIX), tender.amount_minor)
            for tender in request.tenders
        ],
        sequence_number,
    )
    details.check_sums(request.amount_minor)
    return details.canonical()


def item_messages(details: SaleDetails) -> list[operations_pb2.SaleItem]:
    """The lines as they were told."""
    return [operations_pb2.SaleItem(**item._asdict()) for item in details.items]


def tender_messages(details: SaleDetails) -> list[operations_pb2.Tender]:
    """The tenders as they were told."""
    return [
        operations_pb2.Tender(
            kind=operations_pb2.TenderKind.Value(PREFIX + tender.kind), amount_minor=tender.amount_minor
        )
        for tender in details.tenders
    ]
