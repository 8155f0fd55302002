"""A small coalition for tests that need the whole house: PostgreSQL, a laid scheme, agreements, members and cards.

A (`store-a`, of chain alpha) sells stored value with a fifth on top; B (`store-b`) is of the same chain; C (`cafe`) is
an alliance merchant that takes A's value; D (`garage`) takes nobody's; H (`hq`) is the operator. All but H have a store
`main` with tills `till-1` and `till-2`.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from coalition.bootstrap import house as rooms_of
from coalition.bootstrap import identities
from coalition.bootstrap.clock import business_date_in, utc_now
from coalition.bootstrap.pins import RingPins
from coalition.bootstrap.strongroom import key_ring
from coalition.bootstrap.strongroom import notary as notary_of
from coalition.client import ClientCertificate
from coalition.config import Settings, load_settings
from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.kinds import Kind
from coalition.membership.profile import Profile
from coalition.membership.reception import Reception
from coalition.programme.office import Office
from coalition.storage.acts import Acts
from coalition.storage.connect import connect
from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres
from coalition.storage.keydb import KeyDatabase
from coalition.storage.membership import MemberStore
from coalition.storage.pool import open_pool
from coalition.storage.programme_store import ProgrammeStore
from keys import CertificateFiles, KeyRing, WrappedKey
from tests.postgres import MIGRATED_KEYDB, MIGRATED_LEDGER, SharedPostgres

FIRST_DAY = date(2000, 1, 1)
LANES = 8
PARTICIPANTS = (
    ("store-a", "STORE", "alpha"),
    ("store-b", "STORE", "alpha"),
    ("cafe", "ALLIANCE", None),
    ("garage", "ALLIANCE", None),
)
TILLS = ("till-1", "till-2")
AGREEMENTS: tuple[tuple[str, str, Any], ...] = (
    (
        "terms-a",
        "TERMS",
        {
            "issuer": "store-a",
            "custody": "ISSUER_HELD",
            "sellers": ["store-a", "store-b"],
            "tiers": [{"from_minor": 10_000, "bonus": "1/5"}],
            "minimum_minor": 1_000,
            "bonus_months": None,
            "sponsor": None,
            "sponsor_share": "0",
            "seller_commission": "0",
            "balance_limit_minor": 500_000,
            "calendar": "monthly",
        },
    ),
    (
        "a-at-cafe",
        "ACCEPTANCE",
        {
            "issuer": "store-a",
            "acquirer": "cafe",
            "accepted": True,
            "issuer_bonus_share": "1",
            "interchange": "0",
            "interchange_base": "GROSS",
            "fees_return": True,
            "offline_limit_minor": 50_000,
            "shortfall_bearer": "ISSUER",
            "calendar": "monthly",
        },
    ),
    *[
        (
            f"acquiring-{code}",
            "ACQUIRING",
            {
                "acquirer": code,
                "operator_fee": "6/1000",
                "commission": "1/100",
                "commission_to": "RECRUITER",
                "fee_base": "GROSS",
                "fees_return": True,
                "calendar": "monthly",
            },
        )
        for code, _, _ in PARTICIPANTS
    ],
)
_numbers = itertools.count(1)
_phones = itertools.count(13_800_000_000)


@dataclass
class House:
    """A ledger and a key database of their own, keys and certificates, and the rooms to write into them."""

    postgres: EmbeddedPostgres
    settings: Settings
    ring: KeyRing
    ledger: str
    keydb: str
    operator_id: int = 0
    office: Office = field(init=False)
    reception: Reception[WrappedKey] = field(init=False)
    _closing: ExitStack = field(default_factory=ExitStack)

    def dsn(self, role: str = "app") -> str:
        """How to reach the ledger as app, settlement, auditor or owner."""
        return self.postgres.dsn(SUPERUSER if role == "owner" else f"coalition_{role}", self.ledger)

    def keydb_dsn(self) -> str:
        return self.postgres.dsn("coalition_app", self.keydb)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read as the owner."""
        with connect(self.dsn("owner")) as connection:
            return connection.execute(statement, parameters).fetchall()

    def entry_count(self) -> int:
        """How many operations were stored, declines included."""
        return int(self.query("SELECT count(*) FROM entries WHERE kind < 100")[0][0])

    def act(self, kind: Kind, **body: JSON) -> Act:
        return Act(kind, self.operator_id, UUID(new_id()), body_hash(kind, body), "/op/admin")

    def certificate(self, path: str) -> ClientCertificate:
        """The certificate of an identity such as t/cafe/main/till-1."""
        return ClientCertificate.load_folder(self.certificate_files(path).cert.parent)

    def certificate_files(self, path: str) -> CertificateFiles:
        """Where they are."""
        return identities.certificate(self.settings, path)

    def new_card(self, *, linked: bool = True) -> str:
        """The number of a new card, of a new member unless it is not to be linked."""
        number = self.reception.issue_card(self.act(Kind.CARD_ISSUED, at=next(_numbers)), "store-a").number
        assert number is not None
        if linked:
            self.reception.link_card(self.act(Kind.CARD_LINKED, at=next(_numbers)), number, self.new_member()[0])
        return number

    def new_member(self) -> tuple[UUID, str]:
        """A new member without any card, and its phone number."""
        phone = f"+86{next(_phones)}"
        profile = Profile("Wang Fang", phone)
        member = self.reception.enrol(self.act(Kind.MEMBER_ENROLLED, at=next(_numbers)), profile, "store-a")
        return member.member_id, phone

    def serve(self, **changes: Any) -> rooms_of.House:
        """A server process's rooms on this house; open() and close() are the caller's."""
        said = {"database_url": self.dsn(), "keydb_url": self.keydb_dsn(), **changes}  # for the desk's workers
        settings = self.settings.model_copy(update=said)
        return rooms_of.house(settings, self.ring, self.dsn(), self.keydb_dsn())

    @contextmanager
    def server(self, **changes: Any) -> Iterator[tuple[rooms_of.House, str]]:
        """A running server and its address."""
        rooms = self.serve(**changes)
        try:
            yield rooms, rooms.open()
        finally:
            rooms.close()

    def furnish(self) -> None:
        """Open the rooms, lay the scheme and everything the module's docstring tells."""
        rooms_of.lay(self.settings, self.ring, self.dsn())
        self.operator_id = int(self.query("SELECT operator_id FROM scheme")[0][0])
        pool = self._closing.enter_context(open_pool(self.dsn(), size=4, application="test rooms"))
        keydb = self._closing.enter_context(open_pool(self.keydb_dsn(), size=2, application="test rooms"))
        notary = notary_of(self.ring)
        acts = Acts(LANES, business_date_in(self.settings.zone), notary)
        self.office = Office(ProgrammeStore(pool.connection, acts), utc_now)
        self.reception = Reception(
            MemberStore(pool.connection, acts, LANES),
            self.ring,
            KeyDatabase(keydb.connection, WrappedKey),
            utc_now,
            os.urandom,
            RingPins(self.ring),
        )
        for code, role, chain in PARTICIPANTS:
            self.office.create_participant(self.act(Kind.PARTICIPANT_CREATED, code=code), code, code, role, chain)
            self.office.create_store(self.act(Kind.STORE_CREATED, code=code), code, "main", f"{code} main")
            for till in TILLS:
                self.office.create_terminal(self.act(Kind.TERMINAL_CREATED, code=till), code, "main", till)
        for code, kind, content in AGREEMENTS:
            self.office.create_agreement(self.act(Kind.AGREEMENT_CREATED, code=code), code, kind, content, FIRST_DAY)

    def close(self) -> None:
        self._closing.close()


@contextmanager
def new_house(postgres: SharedPostgres, directory: Path, **said: Any) -> Iterator[House]:
    """A furnished house on databases of its own; keys and certificates below `directory`."""
    settings = load_settings(var=directory, listen="127.0.0.1:0", lane_count=LANES, **said)
    with postgres.copy(MIGRATED_LEDGER) as ledger, postgres.copy(MIGRATED_KEYDB) as keydb:
        house = House(postgres, settings, key_ring(settings), ledger, keydb)
        try:
            house.furnish()
            yield house
        finally:
            house.close()


def new_id(age_seconds: float = 0) -> str:
    """A version 7 UUID made `age_seconds` ago."""
    milliseconds = int((time.time() - age_seconds) * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 7 << 76 | (random >> 68 & 0xFFF) << 64 | 2 << 62 | random & ((1 << 62) - 1)
    return str(UUID(int=value))


@dataclass(frozen=True)
class Refusal:
    """A rich error as a client sees it."""

    code: str
    reason: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    retry_seconds: float | None

    @classmethod
    def of_status(cls, status: Status) -> "Refusal":
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        wait = None
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(bad)
            if detail.Unpack(retry):
                wait = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        code = next(each.name for each in grpc.StatusCode if each.value[0] == status.code)
        fields = tuple(violation.field for violation in bad.field_violations)
        return cls(code, info.reason, dict(info.metadata), fields, wait)


def refusal_of(error: grpc.RpcError) -> Refusal:
    """The rich error of a failed call."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, f"no rich status: {error.code()} {error.details()}"
    refusal = Refusal.of_status(status)
    assert refusal.code == error.code().name
    return refusal
