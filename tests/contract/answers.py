"""What a client hears: a receipt, a stored decline, a refusal that stored nothing, or nothing at all."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from coalition.v1.operations_pb2 import EntryKind, OperationResult, Receipt

SEND_AGAIN = frozenset(
    {
        "QUEUE_FULL",
        "SERVER_DRAINING",
        "DATABASE_UNAVAILABLE",
        "DEADLINE_PASSED",
        "NO_OPEN_WINDOW",
        "RATE_EXCEEDED",
        "CALLS_EXCEEDED",
    }
)
"""Reasons that leave an operation open: it may have been posted or not."""
NEVER_STORED = frozenset({"REQUEST_ID_REUSED", "FIELD_INVALID"})
NO_FACTS: Mapping[str, str] = MappingProxyType({})
UNHEARD = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED})


class Unexpected(AssertionError):
    """An answer that the contract does not know, such as INTERNAL."""


class Answer(NamedTuple):
    """An answer as it is for ever, and whether this telling of it was marked as a repetition. `facts` of a decline."""

    reason: str
    entry_id: int
    told: bytes
    receipt: Receipt | None
    replayed: bool
    facts: Mapping[str, str] = NO_FACTS

    @property
    def is_stored(self) -> bool:
        return self.entry_id > 0

    def __str__(self) -> str:
        if self.receipt is None:
            return f"{self.reason} {dict(self.facts)} (entry {self.entry_id})"
        told = self.receipt
        return (
            f"{EntryKind.Name(told.kind)} of {told.amount_minor} = {told.principal_minor} + {told.bonus_minor}, "
            f"short {told.shortfall_minor}, balance {told.balance_minor}, here {told.balance_here_minor} "
            f"(entry {self.entry_id})"
        )


def of_receipt(receipt: Receipt) -> Answer:
    """An accepted operation."""
    told = Receipt()
    told.CopyFrom(receipt)
    told.replayed = False
    return Answer(
        "ACCEPTED", receipt.entry_id, told.SerializeToString(deterministic=True), told, replayed=receipt.replayed
    )


def of_status(status: Status) -> Answer | None:
    """A refused operation; None when it may yet be posted. Raises Unexpected."""
    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    if info.reason in SEND_AGAIN:
        return None
    facts = dict(info.metadata)
    entry_id = int(facts.pop("entry_id", 0))
    replayed = facts.pop("replayed", "false") == "true"
    if not entry_id and info.reason not in NEVER_STORED:
        raise Unexpected(f"refused with {info.reason or status.code}, which nothing here asked for: {status.message}")
    told = f"{status.code} {info.reason} {sorted(facts.items())}".encode()
    return Answer(info.reason, entry_id, told, None, replayed=replayed, facts=facts)


def of_result(result: OperationResult) -> Answer | None:
    """One answer of a batch, a stream or a Resolve."""
    return of_receipt(result.receipt) if result.HasField("receipt") else of_status(result.error)


def of_error(error: Any) -> Answer | None:
    """A failed call; None when nothing was heard of the operation. Raises Unexpected."""
    status = rpc_status.from_call(error)
    if status is not None:
        return of_status(status)
    if error.code() in UNHEARD:
        return None
    raise Unexpected(f"the call failed with {error.code()}: {error.details()}")
