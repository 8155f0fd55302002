"""What a call can end with, rebuilt from google.rpc.Status, without gRPC's own classes.

    ClientError
      CertificateMissing    this machine has no certificate for the identity
      ServerUnreachable     nobody answered in time; whether a write happened is unknown: send it again, same request_id
      CallRefused           the service answered no, and why

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
