"""A real mTLS gRPC server whose answers the test scripts, and certificates from the development authority."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from google.rpc.status_pb2 import Status

from coalition.client import AioTerminal, ClientCertificate, Terminal, TryRules
from coalition.v1.operations_pb2 import PurchaseRequest, Receipt
from coalition.v1.terminal_pb2 import PurchaseResponse
from coalition.v1.terminal_pb2_grpc import TerminalServiceServicer, add_TerminalServiceServicer_to_server
from keys.authority import certificate_files, create_authority, issue
from tests.client.ledger_stub import LedgerStub
from tests.client.proxy import Proxy

# The type file wants every method of the service; a script answers one.
_Servicer: Any = TerminalServiceServicer
DOMAIN = "coalition.example"
TILL = "t/cafe/main/till-1"
QUICK = TryRules(deadline_s=0.5, total_s=1.0, pauses_s=(0.02, 0.04, 0.08))
"""Patience of a second instead of half a minute."""


class Script(_Servicer):  # type: ignore[misc]
    """Answers each purchase with the next of `failures`, then with receipts; remembers what it was asked."""

    def __init__(self) -> None:
        self.failures: list[Status | grpc.StatusCode] = []
        self.asked: list[PurchaseRequest] = []

    def Purchase(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, grpc.StatusCode):
                context.abort(failure, "")
                return None
            context.set_trailing_metadata((("grpc-status-details-bin", failure.SerializeToString()),))
            context.abort(next(code for code in grpc.StatusCode if code.value[0] == failure.code), failure.message)
        return PurchaseResponse(receipt=Receipt(request_id=request.request_id, entry_id=7))


@dataclass(frozen=True)
class Door:
    """Where the scripted server listens, and where its certificates are."""

    address: str
    certificates: Path
    script: Script
    till: ClientCertificate


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    directory: Path = tmp_path_factory.mktemp("client") / "certificates"
    create_authority(directory, DOMAIN)
    for path in ("server", TILL):
        issue(directory, f"spiffe://{DOMAIN}/{path}", days=1)
    return directory


@contextmanager
def serving(certificates: Path, servicer: Any, address: str = "127.0.0.1:0") -> Iterator[str]:
    """A server over mutual TLS, and where it listens."""
    files = certificate_files(certificates, ("server",))
    server = grpc.server(ThreadPoolExecutor(16))
    add_TerminalServiceServicer_to_server(servicer, server)
    port = server.add_secure_port(
        address,
        grpc.ssl_server_credentials(
            [(files.key.read_bytes(), files.cert.read_bytes())], files.chain.read_bytes(), require_client_auth=True
        ),
    )
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class ReadyTerminal(Terminal):
    """A terminal whose line stands before the test begins: a busy machine takes its time to connect."""

    def open(self) -> Self:
        super().open()
        end = time.monotonic() + 10
        while not self.state.is_online and time.monotonic() < end:
            time.sleep(0.01)
        return self


@dataclass(frozen=True)
class Counter:
    """A stub ledger behind a proxy, and a terminal's way to it."""

    stub: LedgerStub
    proxy: Proxy
    certificates: Path
    outbox: Path

    @property
    def till(self) -> ClientCertificate:
        return ClientCertificate.load(self.certificates, TILL)

    def terminal(self, **options: Any) -> Terminal:
        """A terminal whose pauses are short, on the counter's outbox."""
        return ReadyTerminal(self.proxy.address, self.till, **{"outbox": self.outbox, "rules": QUICK, **options})

    def aio(self, **options: Any) -> AioTerminal:
        """The same, awaited."""
        return AioTerminal(self.proxy.address, self.till, **{"outbox": self.outbox, "rules": TryRules(), **options})


def cut(counter: Counter, till: Terminal) -> None:
    """No line, and the till has noticed: what it sends before that may have arrived, for all it knows."""
    counter.proxy.cut()
    end = time.monotonic() + 10
    while till.state.is_online and time.monotonic() < end:
        time.sleep(0.01)


@pytest.fixture
def counter(certificates: Path, tmp_path: Path) -> Iterator[Counter]:
    stub = LedgerStub()
    with serving(certificates, stub) as address, Proxy(address) as proxy:
        yield Counter(stub, proxy, certificates, tmp_path / "till-1.outbox")


@pytest.fixture
def door(certificates: Path) -> Iterator[Door]:
    script = Script()
    with serving(certificates, script) as address:
        yield Door(address, certificates, script, ClientCertificate.load(certificates, TILL))
