"""Where the contract tests trade: a site of the fault tests with the scheme of `scheme.py` laid, and new cards."""

import random
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import grpc

from coalition.bootstrap.pins import RingPins
from coalition.bootstrap.strongroom import key_ring
from coalition.client import new_request_id
from coalition.storage.connect import connect
from coalition.v1 import programme_pb2 as programme
from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.operations_pb2 import Operation
from coalition.v1.programme_pb2_grpc import ProgrammeServiceStub
from coalition.v1.terminal_pb2 import GetBalanceRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.contract.credentials import NOTHING_SHOWN
from tests.contract.history import Intent
from tests.contract.phones import PIN, Phone, enrolled, phone_of, with_shown
from tests.contract.scheme import (
    CARD_ISSUER,
    CHAIN_OF,
    OFFLINE_LIMITS,
    PARTICIPANTS,
    RULES,
    STORE,
    TAKES,
    TERMS,
    TILL,
    TILL_OF_NOISE,
    is_taken,
    till,
)
from tests.faults.site import Site, new_site, wait_until

CARDS_AT_ONCE = 1_000
PHONES_AT_ONCE = 16
ANSWER_SECONDS = 30.0


@dataclass
class Market:
    """The site, and cards nobody has used. `address` is where its own server answers.

    `phones` are members' by the names the model gives them, `guesses` the wrong codes that each till has sent.
    """

    site: Site
    _cards: list[str] = field(default_factory=list)
    phones: dict[str, Phone] = field(default_factory=dict)
    guesses: Counter[str] = field(default_factory=Counter)
    _phoned: list[str] = field(default_factory=list)
    _pin_key: bytes = b""
    _credentials: dict[str, grpc.ChannelCredentials] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return self.site.owner.address

    def fresh_cards(self, count: int) -> list[str]:
        """Numbers of linked cards, each with an empty wallet of its own."""
        while len(self._cards) < count:
            self._cards += self._lay_cards(CARDS_AT_ONCE)
        taken, self._cards = self._cards[:count], self._cards[count:]
        return taken

    def fresh_phone(self) -> str:
        """The number of a linked card whose member has a phone, too: it is in `phones` by `phone_of`."""
        if not self._phoned:
            self._phoned = self._lay_phones(PHONES_AT_ONCE)
        return self._phoned.pop()

    def operation(self, intent: Intent) -> Operation:
        """What is to be sent of an intent now."""
        if intent.shown == NOTHING_SHOWN:
            assert intent.operation is not None
            return intent.operation
        return with_shown(intent, self.phones, self._pin_key)

    def channel(self, address: str, path: str) -> grpc.Channel:
        """A channel as an identity such as t/cafe/main/till-1, with a transport of its own."""
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        with self._lock:  # a certificate is made when it is first asked for
            if path not in self._credentials:
                self._credentials[path] = self.site.certificate(path).credentials()
        return grpc.secure_channel(address, self._credentials[path], options)

    def _lay_cards(self, count: int) -> list[str]:
        """By SQL: members are nobody's business here."""
        draw = random.Random(secrets.randbits(64))
        rows = [(_with_check_digit(f"9{draw.randrange(10**14):014d}"), draw.getrandbits(61)) for _ in range(count)]
        with connect(self.site.dsn(), "test") as connection, connection.cursor() as cursor:
            ((lanes, recruiter),) = cursor.execute(
                "SELECT lane_count, participant_id FROM scheme, participants WHERE code = %s", (CARD_ISSUER,)
            ).fetchall()
            cursor.executemany(
                "INSERT INTO wallets (lane, wallet_id, recruiter_id) VALUES (%s, %s, %s)",
                [(wallet % lanes, wallet, recruiter) for _, wallet in rows],
            )
            self._lay(cursor, [(number, wallet % lanes, wallet, recruiter) for number, wallet in rows])
        return [number for number, _ in rows]

    def _lay(self, cursor: Any, rows: list[tuple[str, int, int, int]]) -> None:
        """A card with this number, and a PIN, for each wallet: (number, lane, wallet, issuer)."""
        ring = key_ring(self.site.settings)
        pins = RingPins(ring)
        _, self._pin_key = pins.public_key()
        cursor.executemany(
            "INSERT INTO cards (lane, card_id, wallet_id, last_four, state, issuer_id)"
            " VALUES (%s, %s, %s, %s, 'ACTIVE', %s)",
            [(lane, wallet, wallet, number[-4:], issuer) for number, lane, wallet, issuer in rows],
        )
        cursor.executemany(
            "INSERT INTO credentials (token, lane, wallet_id, card_id, create_time) VALUES (%s, %s, %s, %s, now())",
            [(ring.card_token(number), lane, wallet, wallet) for number, lane, wallet, _ in rows],
        )
        salted = [(lane, wallet, secrets.token_bytes(16)) for _, lane, wallet, _ in rows]
        cursor.executemany(
            "INSERT INTO pins (lane, wallet_id, revision, salt, tag, key_version) VALUES (%s, %s, 1, %s, %s, %s)",
            [(lane, wallet, salt, *pins.tagged(wallet, PIN, salt)) for lane, wallet, salt in salted],
        )

    def _lay_phones(self, count: int) -> list[str]:
        """Members with phones are made at the counter; their plastic cards by SQL again."""
        with self.channel(self.address, "op/admin") as channel, ThreadPoolExecutor(4) as pool:
            members = MemberServiceStub(channel)
            made = dict(pool.map(lambda _: enrolled(members, ANSWER_SECONDS), range(count)))
        draw = random.Random(secrets.randbits(64))
        numbers = []
        with connect(self.site.dsn(), "test") as connection, connection.cursor() as cursor:
            rows = cursor.execute(
                "SELECT member_id::text, lane, wallet_id, recruiter_id FROM members WHERE member_id = ANY(%s::uuid[])",
                (list(made),),
            ).fetchall()
            named = [(_with_check_digit(f"9{draw.randrange(10**14):014d}"), *row) for row in rows]
            self._lay(cursor, [(number, *row) for number, _, *row in named])
        for number, member_id, *_ in named:
            self.phones[phone_of(number)] = made[member_id]
            numbers.append(number)
        return numbers


def _with_check_digit(body: str) -> str:
    """The last digit of ISO/IEC 7812: every second digit from the right counts double, by its digit sum."""
    doubled = [sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(body))]
    return body + str(-sum(doubled) % 10)


def _rate(rate: Fraction) -> programme.Rate:
    return programme.Rate(numerator=rate.numerator, denominator=rate.denominator)


def lay_scheme(market: Market) -> None:
    """Headquarters writes down what `scheme.py` says; returns when the server knows it."""
    with market.channel(market.address, "op/admin") as channel:
        hq: Any = ProgrammeServiceStub(channel)

        def write(method: Any, request: Any) -> None:
            request.request_id = new_request_id()
            method(request, timeout=ANSWER_SECONDS, wait_for_ready=True)

        for code in PARTICIPANTS:
            chain = CHAIN_OF.get(code, "")
            role = programme.PARTICIPANT_ROLE_STORE if chain else programme.PARTICIPANT_ROLE_ALLIANCE
            write(
                hq.CreateParticipant,
                programme.CreateParticipantRequest(code=code, display_name=code, role=role, chain_code=chain),
            )
            write(hq.CreateStore, programme.CreateStoreRequest(participant=code, code=STORE, display_name=STORE))
            for terminal in (TILL, TILL_OF_NOISE):
                write(hq.CreateTerminal, programme.CreateTerminalRequest(participant=code, store=STORE, code=terminal))

        def agree(code: str, **content: Any) -> None:
            write(
                hq.CreateAgreement,
                programme.CreateAgreementRequest(code=code, effective_from="2017-01-01", **content),
            )

        for code, terms in TERMS.items():
            said = programme.Terms(
                issuer=terms.issuer,
                sellers=terms.sellers,
                tiers=[programme.Tier(from_minor=start, bonus=_rate(rate)) for start, rate in terms.tiers],
                minimum_minor=terms.minimum_minor,
                bonus_months=terms.bonus_months,
                balance_limit_minor=terms.limit_minor,
            )
            agree(f"terms-{code}", terms=said)
        for acquirer, issuers in TAKES.items():
            for issuer in issuers:
                acceptance = programme.Acceptance(issuer=issuer, acquirer=acquirer)
                if (limit := OFFLINE_LIMITS.get((issuer, acquirer))) is not None:
                    acceptance.offline_limit_minor = limit
                    acceptance.shortfall_bearer = programme.SHORTFALL_BEARER_ISSUER
                agree(f"{issuer}-at-{acquirer}", acceptance=acceptance)
            # Within a chain value is taken unless somebody says that it is not.
            for sister in (other for other in CHAIN_OF if CHAIN_OF[other] == CHAIN_OF.get(acquirer)):
                if not is_taken(sister, acquirer):
                    refused = programme.Acceptance(issuer=sister, acquirer=acquirer, accepted=False)
                    agree(f"{sister}-not-at-{acquirer}", acceptance=refused)
            fees = programme.Acquiring(
                acquirer=acquirer, operator_fee=_rate(Fraction(6, 1000)), commission=_rate(Fraction(1, 100))
            )
            agree(f"fees-{acquirer}", acquiring=fees)
        agree("card-rules", card_rules=programme.CardRules(**asdict(RULES)))
    with market.channel(market.address, till(PARTICIPANTS[-1])) as channel:
        wait_until(lambda: _is_known(TerminalServiceStub(channel)), 20, "the server knows the tills")


def _is_known(stub: Any) -> bool:
    try:
        stub.GetBalance(GetBalanceRequest(card_number="9" * 16), timeout=ANSWER_SECONDS, wait_for_ready=True)
    except grpc.RpcError as error:
        return bool(error.code() is grpc.StatusCode.NOT_FOUND)
    return True


@contextmanager
def new_market() -> Iterator[Market]:
    """A site of its own, furnished."""
    with new_site() as site:
        market = Market(site)
        lay_scheme(market)
        yield market
