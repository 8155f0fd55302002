"""The trade of the fault tests: four shops of a chain and a cafe, members with cards, all laid in by SQL.

Cards are funded through the service by the chain's till server, so that every lot is real.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from coalition.bootstrap.strongroom import key_ring
from coalition.client import CallRefused, Connection, new_request_id
from coalition.domain.cards import check_digit
from coalition.storage.connect import connect
from coalition.v1 import operations_pb2, terminal_pb2
from tests.faults.site import Site, wait_until

SHOPS = ("shop-1", "shop-2", "shop-3", "shop-4")
CHAIN = "chain:shop"
TILL_SERVER = "ts/shop/pos"
CARDS = 400
PRINCIPAL_MINOR = 2_000_000
AGREEMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "terms": ("TERMS", {"issuer": CHAIN, "sellers": [CHAIN], "tiers": [{"from_minor": 1_000, "bonus": "1/5"}]}),
    "chain-acceptance": ("ACCEPTANCE", {"issuer": CHAIN, "acquirer": CHAIN, "interchange": "1/200"}),
    "cafe-acceptance": ("ACCEPTANCE", {"issuer": CHAIN, "acquirer": "cafe", "interchange": "1/200"}),
    "chain-acquiring": ("ACQUIRING", {"acquirer": CHAIN, "operator_fee": "6/1000", "commission": "1/100"}),
    "cafe-acquiring": ("ACQUIRING", {"acquirer": "cafe", "operator_fee": "6/1000", "commission": "1/100"}),
}
BATCH = 500


@dataclass
class Trade:
    """What is laid: `cards` for the load, `new_card` for a test's own."""

    site: Site
    cards: list[str] = field(default_factory=list)
    _made: int = 0

    def new_cards(self, count: int) -> list[str]:
        """Members' cards with an empty wallet each."""
        token = key_ring(self.site.settings).card_token
        bodies = [f"9{self._made + index:014d}" for index in range(count)]
        numbers = [body + check_digit(body) for body in bodies]
        draw = random.Random(self._made)
        with connect(self.site.dsn(), "test") as connection, connection.cursor() as cursor:
            lanes = _one(connection.execute("SELECT lane_count FROM scheme"))
            recruiter = _one(connection.execute("SELECT participant_id FROM participants WHERE code = 'shop-1'"))
            rows = [(number, draw.getrandbits(61), self._made + index) for index, number in enumerate(numbers)]
            cursor.executemany(
                "INSERT INTO wallets (lane, wallet_id, recruiter_id) VALUES (%s, %s, %s)",
                [(wallet % lanes, wallet, recruiter) for _, wallet, _ in rows],
            )
            cursor.executemany(
                "INSERT INTO cards (lane, card_id, wallet_id, last_four, state, issuer_id)"
                " VALUES (%s, %s, %s, %s, 'ACTIVE', %s)",
                [(wallet % lanes, card, wallet, number[-4:], recruiter) for number, wallet, card in rows],
            )
            cursor.executemany(
                "INSERT INTO credentials (token, lane, wallet_id, card_id, create_time) VALUES (%s, %s, %s, %s, now())",
                [(token(number), wallet % lanes, wallet, card) for number, wallet, card in rows],
            )
        self._made += count
        return numbers

    def funded_cards(self, address: str, count: int, principal_minor: int = PRINCIPAL_MINOR) -> list[str]:
        """Cards with one lot each, sold by the shops in turn; below 10 yuan there is no bonus."""
        numbers = self.new_cards(count)
        operations = [
            top_up(number, principal_minor, SHOPS[index % len(SHOPS)]) for index, number in enumerate(numbers)
        ]
        with self.site.connection(address, TILL_SERVER) as tills:
            for start in range(0, count, BATCH):
                results = submit(tills, operations[start : start + BATCH])
                assert all(result.HasField("receipt") for result in results), results[0]
        return numbers


def lay_trade(site: Site) -> Trade:
    """Lay shops, cafe, agreements, and cards for the load; returns when the server knows them."""
    with connect(site.dsn(), "test") as connection:
        for code in SHOPS:
            _add_participant(connection, code, "STORE", "shop")
        _add_participant(connection, "cafe", "ALLIANCE", None)
        for code, (kind, content) in AGREEMENTS.items():
            connection.execute(
                "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES (%s, %s, now())"
                " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from,"
                " content, create_time) SELECT agreement_id, 1, '2017-01-01', %s, now() FROM agreement",
                (code, kind, json.dumps(content)),
            )
        connection.execute("UPDATE config_epoch SET epoch = epoch + 1")
    trade = Trade(site)
    with site.connection(site.owner.address, "t/cafe/main/till-1") as cafe:
        wait_until(lambda: _is_known(cafe), 10, "the server reads the programme again")
    trade.cards = trade.funded_cards(site.owner.address, CARDS)
    return trade


def seat(participant: str) -> operations_pb2.TerminalRef:
    return operations_pb2.TerminalRef(participant=participant, store="main", terminal="till-1")


def purchase(card: str, amount_minor: int, at: str = "cafe", request_id: str = "") -> operations_pb2.Operation:
    """A purchase under a new request_id, made before it is sent."""
    return operations_pb2.Operation(
        purchase=operations_pb2.PurchaseRequest(
            request_id=request_id or new_request_id(),
            terminal=seat(at),
            card_number=card,
            amount_minor=amount_minor,
            currency_code="CNY",
        )
    )


def top_up(card: str, amount_minor: int, at: str) -> operations_pb2.Operation:
    return operations_pb2.Operation(
        top_up=operations_pb2.TopUpRequest(
            request_id=new_request_id(),
            terminal=seat(at),
            card_number=card,
            amount_minor=amount_minor,
            currency_code="CNY",
        )
    )


def refund(original: operations_pb2.PurchaseRequest, amount_minor: int) -> operations_pb2.Operation:
    """A refund of an earlier purchase, at the till where it was made."""
    return operations_pb2.Operation(
        refund=operations_pb2.RefundRequest(
            request_id=new_request_id(),
            terminal=original.terminal,
            original_request_id=original.request_id,
            amount_minor=amount_minor,
            currency_code="CNY",
        )
    )


def submit(
    tills: Connection, operations: Sequence[operations_pb2.Operation]
) -> Sequence[operations_pb2.OperationResult]:
    """Send operations as the chain's till server does; every one has its own result, in their order."""
    response = tills.call(tills.terminal.SubmitBatch, terminal_pb2.SubmitBatchRequest(operations=operations))
    return response.results


def _is_known(cafe: Connection) -> bool:
    try:
        cafe.call(cafe.terminal.GetBalance, terminal_pb2.GetBalanceRequest(card_number="9" * 16))
    except CallRefused as refusal:
        return refusal.reason == "CARD_UNKNOWN"
    return True


def _add_participant(connection: Any, code: str, role: str, chain: str | None) -> None:
    connection.execute(
        """
        WITH participant AS (INSERT INTO participants (code, display_name, role, chain_code, create_time)
                             VALUES (%s, %s, %s, %s, now()) RETURNING participant_id),
             store AS (INSERT INTO stores (participant_id, code, display_name, create_time)
                       SELECT participant_id, 'main', 'Main', now() FROM participant RETURNING store_id)
        INSERT INTO terminals (store_id, code, create_time) SELECT store_id, 'till-1', now() FROM store
        """,
        (code, code, role, chain),
    )


def _one(cursor: Any) -> Any:
    return cursor.fetchone()[0]
