"""The terminal's side of the wire: connects by mTLS, makes request ids before it sends, retries without doubling.

Knows the protos only. Never imports a room of the server. `Connection` serves scripts and threads, `AioConnection`
serves event loops; both raise the errors of `errors.py` and nothing of gRPC's.
"""

from coalition.client.aio import AioConnection
from coalition.client.certificate import ClientCertificate, certificate_folder
from coalition.client.connection import Connection
from coalition.client.errors import CallRefused, CertificateMissing, ClientError, FieldViolation, ServerUnreachable
from coalition.client.request_ids import new_request_id
from coalition.client.retry import RetryPolicy

__all__ = [
    "AioConnection",
    "CallRefused",
    "CertificateMissing",
    "ClientCertificate",
    "ClientError",
    "Connection",
    "FieldViolation",
    "RetryPolicy",
    "ServerUnreachable",
    "certificate_folder",
    "new_request_id",
]
