"""A ledger of one wallet in memory that keeps the contract of TerminalService, and loses answers when it is told to.

Written from the protos, for what a real server cannot be made to do on cue. What matters to money is tried against the
real one besides (test_kills.py).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from coalition.client.day_statement import totals_of
from coalition.v1 import terminal_pb2
from coalition.v1.operations_pb2 import EntryKind, OperationResult, Receipt

POSTING = {
    *("TopUp", "Purchase", "Refund", "Authorize", "Capture", "Void", "ReturnTopUp", "Upload"),
    *("ReverseTopUp", "CashOut", "SellPass", "VisitPass", "ReturnVisit", "ReturnPass"),
    *("SpendPoints", "ReturnPoints", "ConvertPoints", "RepayPoints"),
    *("Reverse", "Resolve"),
}
KINDS = {
    "TopUp": EntryKind.ENTRY_KIND_TOP_UP,
    "Purchase": EntryKind.ENTRY_KIND_PURCHASE,
    "Refund": EntryKind.ENTRY_KIND_REFUND,
    "Authorize": EntryKind.ENTRY_KIND_HOLD,
    "Capture": EntryKind.ENTRY_KIND_CAPTURE,
    "Void": EntryKind.ENTRY_KIND_VOID,
    "ReturnTopUp": EntryKind.ENTRY_KIND_TOP_UP_RETURN,
    "ReverseTopUp": EntryKind.ENTRY_KIND_TOP_UP_REVERSAL,
    "CashOut": EntryKind.ENTRY_KIND_CASH_OUT,
    "Upload": EntryKind.ENTRY_KIND_UPLOAD,
    "SellPass": EntryKind.ENTRY_KIND_PASS_SALE,
    "VisitPass": EntryKind.ENTRY_KIND_PASS_VISIT,
    "ReturnVisit": EntryKind.ENTRY_KIND_VISIT_RETURN,
    "ReturnPass": EntryKind.ENTRY_KIND_PASS_RETURN,
    "SpendPoints": EntryKind.ENTRY_KIND_POINTS_SPEND,
    "ReturnPoints": EntryKind.ENTRY_KIND_POINTS_RETURN,
    "ConvertPoints": EntryKind.ENTRY_KIND_POINTS_CONVERSION,
    "RepayPoints": EntryKind.ENTRY_KIND_POINTS_REPAYMENT,
}


class LedgerStub:
    """`balance_minor` in the wallet; `calls` tells (method, request_id, original) of all that arrived, in order.

    `fault` is asked before a call is posted and after: a status it answers is what the client gets instead.
    """

    def __init__(self) -> None:
        self.balance_minor = 100_000
        self.calls: list[tuple[str, str, str]] = []
        self.uploads: list[Any] = []
        self.answers: dict[str, OperationResult] = {}
        self.fault: Callable[[str, str, Any], Status | grpc.StatusCode | None] = lambda *_: None
        self.closes: list[Any] = []
        self._changes: dict[str, int] = {}
        self._entries: list[terminal_pb2.DayOperation] = []
        self._closed: dict[str, Any] = {}
        self._counted = 0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name in POSTING:
            return lambda request, context: self._serve(name, request, context)
        if name in {"ListEntries", "SubmitBatch", "Stream", "GetPinKey", "GetDayTotals", "CloseDay"}:
            return None  # A terminal never calls it, or only with a PIN (tests/server/test_pins.py).
        raise AttributeError(name)

    def GetBalance(self, request: Any, context: Any) -> Any:
        self._serve_fault("before", "GetBalance", request, context)
        return terminal_pb2.GetBalanceResponse(
            balance=terminal_pb2.Balance(
                balance_minor=self.balance_minor,
                balance_here_minor=self.balance_minor,
                card_last_four=request.card_number[-4:],
            )
        )

    def GetDayTotals(self, request: Any, context: Any) -> Any:
        self._serve_fault("before", "GetDayTotals", request, context)
        return terminal_pb2.GetDayTotalsResponse(
            business_date="2026-11-26",
            since_close=totals_of(self._entries[self._counted :]),
            next_number=len(self._closed) + 1,
            previous_hash=b"\x07" * 32 if self._closed else b"",
            currency_code="CNY",
        )

    def CloseDay(self, request: Any, context: Any) -> Any:
        """Compares totals only; signatures and the chain are the real service's (tests/server/test_day_end.py)."""
        self.closes.append(request)
        self._serve_fault("before", "CloseDay", request, context)
        if request.request_id not in self._closed:
            recorded = totals_of(self._entries[self._counted :])
            agrees = list(request.totals) == recorded
            self._closed[request.request_id] = terminal_pb2.CloseDayResponse(
                agrees=agrees, difference_count=0 if agrees else 1, statement_hash=b"\x07" * 32
            )
            self._counted = len(self._entries)
        self._serve_fault("after", "CloseDay", request, context)
        return self._closed[request.request_id]

    def methods(self) -> list[str]:
        """The methods that were called, in order."""
        return [method for method, _, _ in self.calls]

    def _serve(self, name: str, request: Any, context: Any) -> Any:
        self.calls.append((name, request.request_id, getattr(request, "original_request_id", "")))
        if name == "Upload":
            self.uploads.append(request)
        self._serve_fault("before", name, request, context)
        with self._lock:
            result = self._post(name, request)
        self._serve_fault("after", name, request, context)
        if name == "Resolve":
            return terminal_pb2.ResolveResponse(result=result)
        if result.HasField("error"):
            abort(context, result.error)
        return getattr(terminal_pb2, f"{name}Response")(receipt=result.receipt)

    def _serve_fault(self, when: str, name: str, request: Any, context: Any) -> None:
        fault = self.fault(when, name, request)
        if isinstance(fault, Status):
            abort(context, fault)
        elif fault is not None:
            context.abort(fault, "")

    def _post(self, name: str, request: Any) -> OperationResult:
        known = self.answers.get(request.request_id)
        if name == "Resolve":
            return known or self._declined(request.request_id, "KILLED")
        if known is not None:
            return known
        if name == "Reverse":
            original = request.original_request_id
            change = self._changes.pop(original, 0)
            if original not in self.answers:
                self._declined(original, "KILLED")
            return self._accepted(request.request_id, EntryKind.ENTRY_KIND_REVERSAL, abs(change), -change)
        amount = getattr(request, "amount_minor", 0)
        change = amount if name in {"TopUp", "Refund"} else 0 if name in {"Void", "ReturnTopUp"} else -amount
        if self.balance_minor + change < 0:
            return self._declined(request.request_id, "INSUFFICIENT_FUNDS", KINDS[name])
        self._changes[request.request_id] = change
        return self._accepted(request.request_id, KINDS[name], amount, change)

    def _accepted(self, request_id: str, kind: Any, amount: int, change: int) -> OperationResult:
        self.balance_minor += change
        self._entries.append(
            terminal_pb2.DayOperation(request_id=request_id, kind=kind, accepted=True, amount_minor=amount)
        )
        receipt = Receipt(
            request_id=request_id,
            entry_id=len(self.answers) + 1,
            kind=kind,
            amount_minor=amount,
            balance_minor=self.balance_minor,
        )
        self.answers[request_id] = OperationResult(request_id=request_id, receipt=receipt)
        return self.answers[request_id]

    def _declined(self, request_id: str, reason: str, kind: Any = EntryKind.ENTRY_KIND_TOMBSTONE) -> OperationResult:
        self._entries.append(terminal_pb2.DayOperation(request_id=request_id, kind=kind))
        error = refusal(grpc.StatusCode.FAILED_PRECONDITION, reason, entry_id=str(len(self.answers) + 1))
        self.answers[request_id] = OperationResult(request_id=request_id, error=error)
        return self.answers[request_id]


def refusal(code: grpc.StatusCode, reason: str, *, retry_ms: int | None = None, **facts: str) -> Status:
    """A refusal as the service sends it; one with an entry_id is stored."""
    status = Status(code=code.value[0], message=f"The cure of {reason}.")
    status.details.add().Pack(ErrorInfo(reason=reason, domain="coalition.example", metadata=facts))
    if retry_ms is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_ms)
        status.details.add().Pack(retry)
    return status


def abort(context: Any, status: Status) -> None:
    """End a call with a rich status."""
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(next(code for code in grpc.StatusCode if code.value[0] == status.code), status.message)


@contextmanager
def faults(stub: LedgerStub, *planned: tuple[str, str, Any]) -> Iterator[None]:
    """The next calls fail as planned, each (when, method, status); calls of other methods pass."""
    left = list(planned)

    def fault(when: str, name: str, request: Any) -> Any:
        if left and left[0][:2] == (when, name):
            return left.pop(0)[2]
        return None

    stub.fault = fault
    try:
        yield
    finally:
        stub.fault = lambda *_: None
        assert not left, f"faults that were never met: {left}"
