"""What the clients noted down: every operation before it is sent, and the answer when it was heard.

An answer nobody heard is unknown, never "no". A decline that the service stores is an answer as good as a receipt.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from coalition.client import CallRefused
from coalition.domain.reasons import Reason, is_stored
from coalition.v1 import operations_pb2


class Answer(NamedTuple):
    """A receipt or a stored decline, but for `replayed`, so that two tellings can be compared."""

    reason: str
    told: bytes
    entry_id: int
    replayed: bool

    def same_as(self, other: "Answer") -> bool:
        return self[:3] == other[:3]


@dataclass(slots=True, eq=False)
class Note:
    """One operation; `answer` is None as long as nobody knows. Times are monotonic seconds."""

    operation: operations_pb2.Operation
    answer: Answer | None = None
    refusal: CallRefused | None = None
    receipt: operations_pb2.Receipt | None = None
    sent: float = 0.0
    heard: float = 0.0

    @property
    def request(self) -> operations_pb2.TopUpRequest | operations_pb2.PurchaseRequest | operations_pb2.RefundRequest:
        which = self.operation.WhichOneof("operation")
        assert which is not None
        return getattr(self.operation, which)  # type: ignore[no-any-return]

    @property
    def is_accepted(self) -> bool:
        return self.answer is not None and self.answer.reason == "ACCEPTED"

    def hear_receipt(self, receipt: operations_pb2.Receipt) -> None:
        self.receipt, self.answer = receipt, answer_of(receipt)

    def hear_refusal(self, refusal: CallRefused) -> None:
        """A decline is an answer; that the house was full, draining or in trouble is none."""
        self.refusal, self.answer = refusal, decline_of(refusal)


@dataclass
class Counts:
    """What became of the operations of a round."""

    acknowledged: int = 0
    committed_unheard: int = 0
    absent: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        self.acknowledged += other.acknowledged
        self.committed_unheard += other.committed_unheard
        self.absent += other.absent
        self.seconds += other.seconds

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.committed_unheard} unacknowledged but committed, "
            f"{self.absent} absent; back within {max(self.seconds, default=0):.1f} s"
        )


def answer_of(receipt: operations_pb2.Receipt) -> Answer:
    told = operations_pb2.Receipt()
    told.CopyFrom(receipt)
    told.replayed = False
    return Answer("ACCEPTED", told.SerializeToString(deterministic=True), receipt.entry_id, receipt.replayed)


def decline_of(refusal: CallRefused) -> Answer | None:
    """The stored decline, None for a refusal that leaves the operation open."""
    if refusal.reason not in Reason.__members__ or not is_stored(Reason[refusal.reason]):
        return None
    told = {name: value for name, value in refusal.metadata.items() if name != "replayed"}
    return Answer(
        refusal.reason,
        f"{refusal.code}|{refusal.message}|{sorted(told.items())}".encode(),
        int(refusal.metadata["entry_id"]),
        refusal.metadata["replayed"] == "true",
    )


def answer_of_result(result: operations_pb2.OperationResult) -> Answer | None:
    if result.HasField("receipt"):
        return answer_of(result.receipt)
    return decline_of(CallRefused.from_status(result.error))
