"""A whole house behind its real doors: both servers over mTLS on one real ledger, and visitors with certificates."""

import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from coalition.bootstrap import house as rooms
from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.identities import certificate, server_credentials
from coalition.bootstrap.strongroom import key_ring, notary
from coalition.config import Settings, load_settings
from coalition.followers.follower import Follower
from coalition.storage.connect import connect
from coalition.storage.positions import POSITIONS
from coalition.v1 import (
    audit_pb2_grpc,
    events_pb2_grpc,
    member_pb2_grpc,
    operations_pb2,
    portal_pb2_grpc,
    programme_pb2,
    programme_pb2_grpc,
    settlement_pb2,
    settlement_pb2_grpc,
    terminal_pb2_grpc,
)
from settlement.serve import settlement_server
from tests.offices import House, empty_house
from tests.postgres import SharedPostgres

OPERATOR = "/op/admin"
PATIENCE_SECONDS = 20
_places = itertools.count(1)


class Refusal(NamedTuple):
    """How a call was refused."""

    code: grpc.StatusCode
    reason: str
    fields: tuple[str, ...]
    metadata: dict[str, str]


class Visitor:
    """Somebody with a certificate, and the services they may knock at."""

    def __init__(self, main: grpc.Channel, settlement: grpc.Channel) -> None:
        self.programme = programme_pb2_grpc.ProgrammeServiceStub(main)
        self.member = member_pb2_grpc.MemberServiceStub(main)
        self.audit = audit_pb2_grpc.AuditServiceStub(main)
        self.events = events_pb2_grpc.EventServiceStub(main)
        self.portal = portal_pb2_grpc.PortalServiceStub(main)
        self.terminal = terminal_pb2_grpc.TerminalServiceStub(main)
        self.settlement = settlement_pb2_grpc.SettlementServiceStub(settlement)


@dataclass
class Doors:
    """Both servers' addresses, the ledger behind them, and the visitors seen so far."""

    settings: Settings
    house: House
    address: str
    settlement_address: str
    _visitors: dict[str, Visitor] = field(default_factory=dict)
    _closing: ExitStack = field(default_factory=ExitStack)

    def visitor(self, path: str = OPERATOR) -> Visitor:
        if path not in self._visitors:
            files = certificate(self.settings, path)
            credentials = grpc.ssl_channel_credentials(
                files.chain.read_bytes(), files.key.read_bytes(), files.cert.read_bytes()
            )
            channels = [grpc.secure_channel(each, credentials) for each in (self.address, self.settlement_address)]
            for channel in channels:
                self._closing.callback(channel.close)
            self._visitors[path] = Visitor(*channels)
        return self._visitors[path]

    def known(self, code: str) -> None:
        """Wait until the settlement server, which looks every second, knows the participant too."""
        stub = self.visitor(f"/hq/{code}").settlement
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(grpc.RpcError):
                stub.ListWindows(settlement_pb2.ListWindowsRequest())
                return
            time.sleep(0.05)
        raise AssertionError(f"the settlement server does not know {code}")

    def fold(self) -> None:
        """Let the positions follow the journal to its present end."""
        dsn = self.house.postgres.dsn("coalition_settlement", self.house.ledger)
        Follower(POSITIONS, lambda: connect(dsn), utc_now, time.sleep).catch_up()

    def close(self) -> None:
        self._closing.close()


@contextmanager
def open_doors(postgres: SharedPostgres, directory: Path) -> Iterator[Doors]:
    """Both servers on a fresh ledger."""
    with ExitStack() as closing:
        house = empty_house(postgres)
        app, keydb = (house.postgres.dsn("coalition_app", name) for name in (house.ledger, house.keydb))
        settings = load_settings(
            var=directory / f"var-{next(_places)}",
            listen="127.0.0.1:0",
            settlement_listen="127.0.0.1:0",
            database_url=app,
            keydb_url=keydb,
        )
        ring = key_ring(settings)
        main = rooms.house(settings, ring, app, keydb)
        address = main.open()
        closing.callback(main.close)
        credentials, seal = server_credentials(settings), notary(ring)
        dsn = house.postgres.dsn("coalition_settlement", house.ledger)
        settlement = closing.enter_context(settlement_server(settings, dsn, credentials, seal))
        doors = Doors(settings, house, address, settlement.open())
        closing.callback(doors.close)
        yield doors


def new_id() -> str:
    """A version 7 UUID of now."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return str(UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def refused(call: Callable[..., Any], *arguments: Any) -> Refusal:
    """How the call was refused; an AssertionError when it was not."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    error: Any = caught.value
    status = rpc_status.from_call(error)
    assert status is not None, error
    info, bad = ErrorInfo(), BadRequest()
    for detail in status.details:
        if detail.Is(ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(BadRequest.DESCRIPTOR):
            detail.Unpack(bad)
    fields = tuple(violation.field for violation in bad.field_violations)
    return Refusal(error.code(), info.reason, fields, dict(info.metadata))


def walk(method: Callable[..., Any], request: Any, rows: str, page_size: int = 2) -> list[Any]:
    """Every row of a list, page by page; no page is longer than asked and none but the last is empty."""
    found: list[Any] = []
    request.page_size = page_size
    while True:
        page = method(request, timeout=PATIENCE_SECONDS)
        part = list(getattr(page, rows))
        assert len(part) <= page_size
        found += part
        if not page.next_page_token:
            return found
        assert part
        request.page_token = page.next_page_token


def told_again(method: Callable[..., Any], request: Any, **change: Any) -> Any:
    """Send a write, send it again, send it with another body: one answer, `replayed` apart, then REQUEST_ID_REUSED."""
    first = method(request, timeout=PATIENCE_SECONDS)
    assert not first.receipt.replayed
    second = method(request, timeout=PATIENCE_SECONDS)
    assert second.receipt.replayed
    second.receipt.replayed = False
    assert second == first
    changed = type(request)()
    changed.CopyFrom(request)
    for name, value in change.items():
        setattr(changed, name, value)
    assert refused(lambda: method(changed)).reason == "REQUEST_ID_REUSED"
    return first


def founded(doors: Doors, *codes: str, chain_code: str = "") -> None:
    """Participants that sell their own value and take everybody's, each with a store `main` and a till `till-1`."""
    hq = doors.visitor().programme
    for code in codes:
        hq.CreateParticipant(
            programme_pb2.CreateParticipantRequest(
                request_id=new_id(),
                code=code,
                display_name=code.title(),
                role=programme_pb2.PARTICIPANT_ROLE_STORE,
                chain_code=chain_code,
            )
        )
        hq.CreateStore(
            programme_pb2.CreateStoreRequest(request_id=new_id(), participant=code, code="main", display_name="Main")
        )
        hq.CreateTerminal(
            programme_pb2.CreateTerminalRequest(request_id=new_id(), participant=code, store="main", code="till-1")
        )


def trading(doors: Doors, *codes: str) -> None:
    """`founded`, and the agreements to trade: a fifth on top, everyone takes everyone's, HQ gets 6 in 1000."""
    founded(doors, *codes)
    hq = doors.visitor().programme
    rate = programme_pb2.Rate
    for code in codes:
        tiers = [programme_pb2.Tier(from_minor=1, bonus=rate(numerator=1, denominator=5))]
        agree(hq, f"{code}-terms", terms=programme_pb2.Terms(issuer=code, tiers=tiers))
        fee = rate(numerator=6, denominator=1000)
        agree(hq, f"{code}-acquiring", acquiring=programme_pb2.Acquiring(acquirer=code, operator_fee=fee))
    for issuer, acquirer in itertools.permutations(codes, 2):
        acceptance = programme_pb2.Acceptance(issuer=issuer, acquirer=acquirer)
        agree(hq, f"{issuer}-at-{acquirer}", acceptance=acceptance)


def agree(hq: Any, code: str, **content: Any) -> Any:
    """A new agreement, in force for long."""
    return hq.CreateAgreement(
        programme_pb2.CreateAgreementRequest(request_id=new_id(), code=code, effective_from="2017-01-01", **content)
    )


def top_up(doors: Doors, participant: str, card_number: str, amount_minor: int) -> operations_pb2.Receipt:
    """Sell value at the participant's till."""
    till = doors.visitor(f"/t/{participant}/main/till-1").terminal
    request = operations_pb2.TopUpRequest(
        request_id=new_id(), card_number=card_number, amount_minor=amount_minor, currency_code="CNY"
    )
    return till.TopUp(request).receipt


def pay(doors: Doors, participant: str, card_number: str, amount_minor: int) -> operations_pb2.Receipt:
    """Spend value at the participant's till."""
    till = doors.visitor(f"/t/{participant}/main/till-1").terminal
    request = operations_pb2.PurchaseRequest(
        request_id=new_id(), card_number=card_number, amount_minor=amount_minor, currency_code="CNY"
    )
    return till.Purchase(request).receipt
