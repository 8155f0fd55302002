"""The terminal's side of the wire: connects by mTLS, stores what it begins before it sends, retries without doubling.

Knows the protos only. Never imports a room of the server. Two levels:
- `Terminal` and `AioTerminal` run a till: operations that are never paid twice and never left half paid. Start here.
- `Connection` and `AioConnection` reach every service, one call at a time, for tools that keep their own request ids.
All raise the errors of `errors.py` and nothing of gRPC's.
"""

from coalition.client.aio import AioConnection
from coalition.client.aio_terminal import AioTerminal
from coalition.client.certificate import ClientCertificate, certificate_folder
from coalition.client.connection import Connection
from coalition.client.credentials import Credential, PaymentCode, Phone
from coalition.client.day_end import ClosedDay, DayTotals
from coalition.client.day_statement import DaySigner, signed_bytes
from coalition.client.errors import (
    CallRefused,
    CertificateMissing,
    ClientError,
    CloseFirst,
    CloseWaits,
    DayNotSettled,
    Declined,
    FieldRefused,
    FieldViolation,
    NotDone,
    Offline,
    OfflineRefused,
    OutboxFailed,
    OutboxFull,
    OutboxInUse,
    OutcomeUnknown,
    ServerUnreachable,
    ServiceBusy,
    TerminalClosed,
    UndoneFirst,
)
from coalition.client.line import LineState
from coalition.client.offline_queue import OfflineLimits
from coalition.client.outbox_file import OutboxFile
from coalition.client.outbox_rows import Kind, OutboxRow, State
from coalition.client.pins import PinSealer
from coalition.client.receipts import KeptReceipts
from coalition.client.request_ids import new_request_id
from coalition.client.retry import RetryPolicy
from coalition.client.surroundings import Surroundings
from coalition.client.terminal import Terminal
from coalition.client.tries import TryRules

__all__ = [
    "AioConnection",
    "AioTerminal",
    "CallRefused",
    "CertificateMissing",
    "ClientCertificate",
    "ClientError",
    "CloseFirst",
    "CloseWaits",
    "ClosedDay",
    "Connection",
    "Credential",
    "DayNotSettled",
    "DaySigner",
    "DayTotals",
    "Declined",
    "FieldRefused",
    "FieldViolation",
    "KeptReceipts",
    "Kind",
    "LineState",
    "NotDone",
    "Offline",
    "OfflineLimits",
    "OfflineRefused",
    "OutboxFailed",
    "OutboxFile",
    "OutboxFull",
    "OutboxInUse",
    "OutboxRow",
    "OutcomeUnknown",
    "PaymentCode",
    "Phone",
    "PinSealer",
    "RetryPolicy",
    "ServerUnreachable",
    "ServiceBusy",
    "State",
    "Surroundings",
    "Terminal",
    "TerminalClosed",
    "TryRules",
    "UndoneFirst",
    "certificate_folder",
    "new_request_id",
    "signed_bytes",
]
