"""Reconciliation as messages: a participant's own lines in, what is not the same out."""

from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from coalition.domain.reconciliation import Finding, KeyKind, Result, TheirLine
from coalition.v1 import settlement_pb2

DIFFERENCES_MAX: Final = 1_000


def their_line(number: int, line: settlement_pb2.ReconcileLine) -> TheirLine:
    """A line of the list, its place counted from 1; ids as the journal writes them."""
    match line.WhichOneof("key"):
        case "entry_id":
            return TheirLine(number, KeyKind.ENTRY_ID, str(line.entry_id), line.amount_minor)
        case "request_id":
            return TheirLine(number, KeyKind.REQUEST_ID, str(UUID(line.request_id)), line.amount_minor)
        case _:
            return TheirLine(number, KeyKind.SALE_REFERENCE, line.sale_reference, line.amount_minor)


def reconciled_message(
    window: settlement_pb2.Window, results: Sequence[Result]
) -> settlement_pb2.FindDifferencesResponse:
    """The counts of all lines, and the first of those that are not the same."""
    counts = Counter(result.finding for result in results)
    differing = [result for result in results if result.finding is not Finding.MATCHED]
    return settlement_pb2.FindDifferencesResponse(
        window=window,
        matched_count=counts[Finding.MATCHED],
        different_count=counts[Finding.DIFFERENT],
        missing_here_count=counts[Finding.MISSING_HERE],
        missing_there_count=counts[Finding.MISSING_THERE],
        differences=[difference_message(result) for result in differing[:DIFFERENCES_MAX]],
    )


def difference_message(result: Result) -> settlement_pb2.ReconcileDifference:
    """One of them."""
    theirs, ours = result.theirs, result.ours
    return settlement_pb2.ReconcileDifference(
        finding=result.finding.value,
        why=result.why.value if result.why else "",
        note=result.note,
        line=theirs.number if theirs else 0,
        entry_id=ours.entry_id if ours else 0,
        their_amount_minor=theirs.amount_minor if theirs else 0,
        our_amount_minor=ours.amount_minor if ours else 0,
    )
