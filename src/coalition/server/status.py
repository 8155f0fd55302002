"""How an error travels: google.rpc.Status with ErrorInfo, BadRequest and RetryInfo. Tells reasons, never bodies."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from coalition.domain.errors import Contention, NoOpenWindow, Refused, StoreUnavailable
from coalition.domain.journal import Outcome
from coalition.domain.reasons import ADVICE, Reason

ERROR_DOMAIN: Final = "coalition.example"
"""ErrorInfo.domain: reasons are unique in it. A constant of the API, not the deployment's trust domain."""

# A batch takes about 10 ms, so a full queue has room soon; a window is replaced in one commit; servers
# restart; a caller above its share is to wait longer than one whom others keep waiting.
RETRY_MILLISECONDS: Final[Mapping[Reason, int]] = {
    Reason.QUEUE_FULL: 100,
    Reason.NO_OPEN_WINDOW: 200,
    Reason.SERVER_DRAINING: 1_000,
    Reason.DATABASE_UNAVAILABLE: 1_000,
    Reason.RATE_EXCEEDED: 1_000,
    Reason.CALLS_EXCEEDED: 500,
}
CODES: Final[Mapping[Reason, StatusCode]] = {reason: StatusCode[advice.status] for reason, advice in ADVICE.items()}


class FieldsInvalid(Refused):
    """A request with malformed fields: `violations` holds (field, sentence) for each; the first gives the reason."""

    def __init__(self, reason: Reason, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__(reason, violations[0][0])
        self.violations = tuple(violations)


def reason_of(error: BaseException) -> Reason:
    """The reason an error is answered with; INTERNAL for what nobody foresaw."""
    match error:
        case Refused():
            return error.reason
        case NoOpenWindow():
            return Reason.NO_OPEN_WINDOW
        case StoreUnavailable() | Contention():
            return Reason.DATABASE_UNAVAILABLE
    return Reason.INTERNAL


def code_of(reason: Reason) -> StatusCode:
    """The gRPC code of a reason."""
    return CODES[reason]


def status_of(error: BaseException) -> Status:
    """The rich status of an error. An error that nobody foresaw is INTERNAL with nothing inside."""
    reason = reason_of(error)
    if not isinstance(error, Refused):
        return status(reason)
    violations = error.violations if isinstance(error, FieldsInvalid) else ()
    if not violations and error.field:
        violations = ((error.field, ADVICE[reason].sentence),)
    return status(reason, error.metadata, violations)


def declined(outcome: Outcome) -> Refused:
    """A stored decline as an error: the same for ever under its request_id, but for `replayed`."""
    facts = {"entry_id": str(outcome.entry_id), "replayed": "true" if outcome.replayed else "false"}
    return Refused(outcome.reason, metadata={**outcome.facts, **facts})


def status(
    reason: Reason, metadata: Mapping[str, str] | None = None, violations: Sequence[tuple[str, str]] = ()
) -> Status:
    """Build a status. `violations` are (field, sentence)."""
    advice = ADVICE[reason]
    code: int = CODES[reason].value[0]
    built = Status(code=code, message=advice.sentence)
    built.details.add().Pack(ErrorInfo(reason=reason.name, domain=ERROR_DOMAIN, metadata=metadata or {}))
    if violations:
        built.details.add().Pack(
            BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(field=field, description=sentence) for field, sentence in violations
                ]
            )
        )
    delay = RETRY_MILLISECONDS.get(reason)
    if delay is not None:
        built.details.add().Pack(RetryInfo(retry_delay=Duration(nanos=delay % 1000 * 1_000_000, seconds=delay // 1000)))
    return built
