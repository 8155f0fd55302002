"""Putting a gRPC server together: mTLS, the gate, services with their rules, health, reflection, bounds, drain.

Knows no database and no settings: everything is handed in.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from coalition.domain.errors import CoalitionError
from coalition.server.identity import Identities
from coalition.server.interceptor import Gate, Observe
from coalition.server.limits import Limits, Shares
from coalition.server.permissions import ALL_SERVICES, check_complete
from coalition.server.revocations import Revocations
from coalition.server.tracing import Tracer, Tracing
from coalition.server.validation import BATCH_BYTES_MAX
from coalition.v1 import (
    audit_pb2_grpc,
    events_pb2_grpc,
    member_pb2_grpc,
    portal_pb2_grpc,
    programme_pb2_grpc,
    settlement_pb2_grpc,
    terminal_pb2_grpc,
)

DRAIN_SECONDS: Final = 10.0
WORKERS_MAX: Final = 16
"""Threads for what blocks (reads, acts). The desk has its own."""

# gRPC knows one message bound a server: the batch's; the gate holds single requests to 64 KiB.
OPTIONS: Final[Sequence[tuple[str, int]]] = (
    ("grpc.max_receive_message_length", BATCH_BYTES_MAX),
    ("grpc.max_send_message_length", 4 * BATCH_BYTES_MAX),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 8 * 1024),
    # Of one connection: a client that wants more waits by itself. A till has one call at a time, a till server a few.
    ("grpc.max_concurrent_streams", 128),
    # A handshake takes milliseconds; gRPC would give a stranger two minutes, and hold memory for him.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 600_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 60_000),
    ("grpc.http2.max_ping_strikes", 2),
    # A certificate is checked when a connection begins: an hour bounds how long an expired one goes on.
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.so_reuseport", 0),
)

SERVICES: Final[dict[str, tuple[type[Any], Callable[[Any, Any], None]]]] = {
    "coalition.v1.TerminalService": (
        terminal_pb2_grpc.TerminalServiceServicer,
        terminal_pb2_grpc.add_TerminalServiceServicer_to_server,
    ),
    "coalition.v1.ProgrammeService": (
        programme_pb2_grpc.ProgrammeServiceServicer,
        programme_pb2_grpc.add_ProgrammeServiceServicer_to_server,
    ),
    "coalition.v1.MemberService": (
        member_pb2_grpc.MemberServiceServicer,
        member_pb2_grpc.add_MemberServiceServicer_to_server,
    ),
    "coalition.v1.SettlementService": (
        settlement_pb2_grpc.SettlementServiceServicer,
        settlement_pb2_grpc.add_SettlementServiceServicer_to_server,
    ),
    "coalition.v1.AuditService": (
        audit_pb2_grpc.AuditServiceServicer,
        audit_pb2_grpc.add_AuditServiceServicer_to_server,
    ),
    "coalition.v1.PortalService": (
        portal_pb2_grpc.PortalServiceServicer,
        portal_pb2_grpc.add_PortalServiceServicer_to_server,
    ),
    "coalition.v1.EventService": (
        events_pb2_grpc.EventServiceServicer,
        events_pb2_grpc.add_EventServiceServicer_to_server,
    ),
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM files of the server's certificate, its private key, and the authority that clients' certificates are from."""

    certificate: Path
    private_key: Path
    authority: Path


class AddressTaken(CoalitionError):
    """The address could not be bound."""


@dataclass(slots=True)
class Server:
    """A built server. `port` is the one bound (of use when port 0 was asked for)."""

    grpc_server: grpc.aio.Server
    gate: Gate
    port: int
    _health: health_aio.HealthServicer
    _names: Sequence[str] = field(default_factory=tuple)

    async def start(self) -> None:
        """Take calls and say so to health checkers."""
        await self.grpc_server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Say NOT_SERVING, take no new calls, let those in the house end (at most `seconds`), stop."""
        await self._health.enter_graceful_shutdown()
        await self.grpc_server.stop(seconds)


def build(
    servicers: Sequence[object],
    credentials: Credentials,
    identities: Identities,
    *,
    listen: str,
    options: Sequence[tuple[str, int]] = (),
    limits: Limits | None = None,
    revocations: Revocations | None = None,
    observe: Observe | None = None,
    tracer: Tracer | None = None,
) -> Server:
    """Build a server on the running loop. `servicers` derive from the generated ...ServiceServicer classes.

    `listen` is host:port. Raises RulesIncomplete when an RPC has no permission rule, AddressTaken.
    """
    services = [_service(servicer) for servicer in servicers]
    check_complete(services)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_news)  # the same function twice is one filter
    # asyncio.to_thread runs here, so what may block at once is bounded.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(WORKERS_MAX, thread_name_prefix="work"))
    limits = limits or Limits()
    gate = Gate(identities, shares=Shares(limits, time.monotonic), revocations=revocations, observe=observe)
    server = grpc.aio.server(
        interceptors=[gate if tracer is None else Tracing(tracer, gate)],
        options=[*OPTIONS, ("grpc.max_allowed_incoming_connections", limits.connections_max), *options],
        maximum_concurrent_rpcs=2 * limits.house_calls_max,  # the gate answers the first half of what is too much
    )
    unregistered = _Unregistered(server)
    for servicer, service in zip(servicers, services, strict=True):
        SERVICES[service.full_name][1](servicer, unregistered)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, cast("grpc.aio.Server", unregistered))
    names = [service.full_name for service in services]
    reflection.enable_server_reflection([*names, "grpc.health.v1.Health", reflection.SERVICE_NAME], server)
    try:
        port = server.add_secure_port(listen, tls(credentials))
    except RuntimeError as error:
        raise AddressTaken(
            f"{listen} cannot be bound; is another server running there? Choose other addresses by COALITION_LISTEN "
            "and COALITION_SETTLEMENT_LISTEN"
        ) from error
    return Server(server, gate, port, health, names)


class _Unregistered:
    """A server as generated code sees it, whose methods are found by name and not registered one by one.

    grpc.aio 1.85 keeps a task for each registered method and waits on all of them before every call: our 37 methods
    cost 70 us a call on the loop, a fifth of everything it does.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """Leave them to the generic handlers that generated code adds besides."""


def tls(credentials: Credentials) -> grpc.ServerCredentials:
    """Mutual TLS: without a certificate of the authority the handshake fails and no call is ever seen."""
    return grpc.ssl_server_credentials(
        [(credentials.private_key.read_bytes(), credentials.certificate.read_bytes())],
        root_certificates=credentials.authority.read_bytes(),
        require_client_auth=True,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Not that an answer could not be sent because its caller had gone: gRPC writes a traceback for each of them."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ != "ExecuteBatchError" and "ExecuteBatchError" not in str(record.msg)


def _service(servicer: object) -> ServiceDescriptor:
    for name, (base, _) in SERVICES.items():
        if isinstance(servicer, base):
            return ALL_SERVICES[name]
    raise TypeError(f"{type(servicer).__name__} derives from no servicer of coalition.v1")
