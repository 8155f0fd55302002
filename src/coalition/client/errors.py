"""What a call can end with, rebuilt from google.rpc.Status, without gRPC's own classes.

    ClientError
      CertificateMissing    this machine has no certificate for the identity
      ServerUnreachable     nobody answered in time; whether a write happened is unknown: send it again, same request_id
      CallRefused           the service answered no, and why
      Declined              a terminal's operation was refused for good: not paid, nothing to undo
      NotDone               a terminal's operation had no effect: not paid, nothing to undo
        Offline               no connection in time, so nothing was sent
        ServiceBusy           the service had no place for it until time was up
        UndoneFirst           what an earlier run of the terminal left open is not undone yet
        CloseFirst            the close of the day that was begun is not recorded yet
        DayNotSettled         the day cannot be closed while operations wait to be undone or uploaded
        FieldRefused          an argument that must be neither sent nor kept
        OfflineRefused        a sale the terminal may not approve while there is no line
        TerminalClosed        the terminal was closed, or never opened
        OutboxFull            too many operations wait to be undone
        OutboxFailed          the outbox cannot be written: what is not stored is not sent
          OutboxInUse           another process keeps the outbox open
      OutcomeUnknown        the answer was lost: treat it as not done, it is being undone
      CloseWaits            the close of the day is stored and has no answer yet: it is sent until it has

Never holds the request: a message may carry a card number or a name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DETAILS_KEY: Final = "grpc-status-details-bin"
CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}
# Codes that gRPC itself answers when the service could not: without an ErrorInfo nobody has said no.
TRANSPORT_CODES: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
ENTRY_KEY: Final = "entry_id"
"""A refusal that the journal stored names its entry; the others say that nothing was stored."""


class ClientError(Exception):
    """Any way a call can end without its answer."""


class CertificateMissing(ClientError):
    """The files of an identity are not where they should be."""

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(f"no certificate in {folder}: {detail}")
        self.folder = folder
        self.detail = detail


class ServerUnreachable(ClientError):
    """Nobody answered in time. If the call was a write, send it again with the same request_id."""

    def __init__(self, server: str, code: str, detail: str) -> None:
        super().__init__(f"{server} does not answer: {detail or code}")
        self.server = server
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field that the service does not accept, and what it expects."""

    field: str
    description: str


class CallRefused(ClientError):
    """The service said no. `reason` is stable (CARD_FROZEN), `code` the gRPC status name, `message` a sentence."""

    def __init__(
        self,
        reason: str,
        code: str,
        message: str,
        metadata: Mapping[str, str],
        fields: tuple[FieldViolation, ...] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.code = code
        self.message = message
        self.metadata = dict(metadata)
        self.fields = fields
        self.retry_after = retry_after

    @property
    def entry_id(self) -> int:
        """Journal entry of this refusal; 0: nothing was stored."""
        return int(self.metadata.get(ENTRY_KEY, 0))

    @classmethod
    def from_status(cls, status: Status) -> Self:
        """Read a google.rpc.Status: of a call, or of one result of a batch or stream."""
        code = CODE_NAMES.get(status.code, "UNKNOWN")
        reason, metadata, retry_after = code, dict[str, str](), None
        fields: list[FieldViolation] = []
        info, bad_request, retry_info = ErrorInfo(), BadRequest(), RetryInfo()
        for detail in status.details:
            if detail.Unpack(info):
                reason, metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(bad_request):
                fields += [FieldViolation(row.field, row.description) for row in bad_request.field_violations]
            elif detail.Unpack(retry_info):
                retry_after = retry_info.retry_delay.ToTimedelta()
        return cls(reason, code, status.message, metadata, tuple(fields), retry_after)


class Declined(ClientError):
    """The operation was refused, had no effect and never will.

    `reason` is stable (INSUFFICIENT_FUNDS), `cure` a sentence that says what to do, `metadata` the facts
    (`balance_minor`). A new attempt is a new operation.
    """

    def __init__(self, refusal: CallRefused) -> None:
        super().__init__(str(refusal))
        self.reason = refusal.reason
        self.code = refusal.code
        self.cure = refusal.message
        self.metadata = refusal.metadata
        self.fields = refusal.fields
        self.entry_id = refusal.entry_id

    @property
    def is_stored(self) -> bool:
        """Whether the journal keeps this decline under the operation's request_id."""
        return ENTRY_KEY in self.metadata


class NotDone(ClientError):
    """The operation had no effect: not paid, nothing to undo. `cure` says what to do."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}: {cure}")
        self.what = what
        self.cure = cure


class Offline(NotDone):
    """There was no connection in time, so nothing was sent."""

    def __init__(self, server: str) -> None:
        super().__init__(f"no connection to {server}", "nothing was sent; try again when the line is back")


class ServiceBusy(NotDone):
    """The service answered that it has no place, until time was up."""

    def __init__(self, refusal: CallRefused) -> None:
        super().__init__(f"{refusal.reason}: {refusal.message}", "nothing was posted; try again in a minute")
        self.reason = refusal.reason


class UndoneFirst(NotDone):
    """`waiting` operations of an earlier run are not undone yet; they go before new ones."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting} operations of an earlier run wait to be undone", "nothing was sent; wait for the line"
        )
        self.waiting = waiting


class CloseFirst(NotDone):
    """The close of the terminal's day is not recorded yet; what is sold now belongs behind it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"close {number} of the day waits to be recorded", "nothing was sent; wait for the line")
        self.number = number


class DayNotSettled(NotDone):
    """`waiting` operations wait to be undone or uploaded: the journal does not hold yet what the till would count."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting} operations of the day wait to be undone or uploaded",
            "nothing was closed; wait for the line, or leave them to the next close",
        )
        self.waiting = waiting


class FieldRefused(NotDone):
    """An argument must be neither sent nor kept. `field` names it; its value is never repeated."""

    def __init__(self, field: str, cure: str) -> None:
        super().__init__(f"{field} cannot be used", cure)
        self.field = field


class OfflineRefused(NotDone):
    """The terminal may not approve this sale by itself; nothing was stored."""


class TerminalClosed(NotDone):
    """The terminal is not open."""

    def __init__(self) -> None:
        super().__init__("the terminal is not open", "use it inside its with block")


class OutboxFull(NotDone):
    """As many operations wait to be undone as the outbox may hold."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} operations wait to be undone", "nothing was sent; get the line back first")
        self.waiting = waiting


class OutboxFailed(NotDone):
    """The outbox cannot be written, and what is not stored must not be sent."""

    def __init__(self, path: Path, detail: str, cure: str = "nothing was sent; see to the disk") -> None:
        super().__init__(f"outbox {path}: {detail}", cure)
        self.path = path


class OutboxInUse(OutboxFailed):
    """The outbox is open already, in another process or for this terminal; two would undo each other's sales."""

    def __init__(self, path: Path, detail: str = "in use by another process") -> None:
        super().__init__(path, detail, "end that one, or give each terminal an outbox of its own")


class OutcomeUnknown(ClientError):
    """The answer was lost for good. Treat the operation as not done; the undoing is stored and on its way.

    `will_be` is REVERSED (top-up, purchase, authorization, capture: the member gets it back whatever became of it) or
    RESOLVED (refund, void: it is killed unless it was posted; `recent()` tells which, do not repeat it before).
    """

    def __init__(self, request_id: str, kind: str, will_be: str) -> None:
        told = {
            "REVERSED": "treat it as not paid, the reversal is on its way",
            "RESOLVED": "do not repeat it before the line is back and recent() tells what became of it",
        }
        super().__init__(f"the answer to {kind} {request_id} was lost: {told[will_be]}")
        self.request_id = request_id
        self.kind = kind
        self.will_be = will_be


class CloseWaits(ClientError):
    """The close of a day is stored and has no answer yet. It is sent again, the same, until it has one.

    Operations wait for it meanwhile. Closing the day again does not begin another: it waits for this one's answer.
    """

    def __init__(self, number: int, request_id: str) -> None:
        super().__init__(f"close {number} of the day has no answer yet: it is stored and sent until it has; ask again")
        self.number = number
        self.request_id = request_id


def failure_of(error: grpc.RpcError, server: str) -> CallRefused | ServerUnreachable:
    """What a gRPC error, of a call or a stream, threaded or aio, means."""
    code = error.code().name
    sentence = error.details() or ""
    # Pairs in both kinds of channel; the type file knows an object with two fields.
    trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return CallRefused.from_status(Status.FromString(value))
            except DecodeError:
                break  # Not our service; what gRPC itself says will do.
    if code in TRANSPORT_CODES:
        return ServerUnreachable(server, code, sentence)
    return CallRefused(code, code, sentence, {})
