"""The trade the bench runs on: a chain of shops and a cafe, a lot on every member's card, agreements with every fee.

Participants, wallets and cards are copied in; the lots are sold by the desk itself, so that the books are real.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg

SHOPS: Final = 20
CHAIN: Final = "chain:bench"
AGREEMENTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "terms": ("TERMS", {"issuer": CHAIN, "sellers": [CHAIN], "tiers": [{"from_minor": 1_000, "bonus": "1/5"}]}),
    "acceptance": ("ACCEPTANCE", {"issuer": CHAIN, "acquirer": CHAIN, "interchange": "1/200"}),
    "acquiring": ("ACQUIRING", {"acquirer": CHAIN, "operator_fee": "6/1000", "commission": "1/100"}),
}
PRINCIPAL_MINOR: Final = 5_000_000
"""Sold to every card, so that no purchase of the bench is declined for want of funds."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A till: its numbers in the ledger and its identity's path below the trust domain."""

    participant_id: int
    store_id: int
    terminal_id: int
    path: str


def card_number(index: int) -> str:
    """Sixteen digits, one card a member."""
    return f"9{index:015d}"


def add_trade(connection: "psycopg.Connection[Any]", members: int, token: Callable[[str], bytes]) -> list[Seat]:
    """Copy shops, members and cards into an empty ledger whose scheme is laid."""
    seats = [_add_shop(connection, number) for number in range(SHOPS)]
    for code, (kind, content) in AGREEMENTS.items():
        connection.execute(
            "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES (%s, %s, now())"
            " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from, content,"
            " create_time) SELECT agreement_id, 1, '2017-01-01', %s, now() FROM agreement",
            (code, kind, json.dumps(content)),
        )
    connection.execute("UPDATE config_epoch SET epoch = epoch + 1")
    row = connection.execute("SELECT lane_count FROM scheme").fetchone()
    lanes = row[0] if row else 1
    draw = random.Random(1)
    wallets = [draw.getrandbits(61) for _ in range(members)]
    with connection.cursor() as cursor:
        with cursor.copy("COPY wallets (lane, wallet_id, recruiter_id) FROM STDIN") as copy:
            for index, wallet in enumerate(wallets):
                copy.write_row((wallet % lanes, wallet, seats[index % SHOPS].participant_id))
        with cursor.copy("COPY cards (lane, card_id, wallet_id, last_four, state, issuer_id) FROM STDIN") as copy:
            for index, wallet in enumerate(wallets):
                shop = seats[index % SHOPS].participant_id
                copy.write_row((wallet % lanes, index, wallet, card_number(index)[-4:], "ACTIVE", shop))
        with cursor.copy("COPY credentials (token, lane, wallet_id, card_id, create_time) FROM STDIN") as copy:
            for index, wallet in enumerate(wallets):
                copy.write_row((token(card_number(index)), wallet % lanes, wallet, index, "2017-01-01"))
    connection.execute("ANALYZE wallets, cards, credentials")
    return seats


def _add_shop(connection: "psycopg.Connection[Any]", number: int) -> Seat:
    row = connection.execute(
        """
        WITH participant AS (INSERT INTO participants (code, display_name, role, chain_code, create_time)
                             VALUES (%s, %s, 'STORE', 'bench', now()) RETURNING participant_id),
             store AS (INSERT INTO stores (participant_id, code, display_name, create_time)
                       SELECT participant_id, 'main', 'Main', now() FROM participant
                       RETURNING participant_id, store_id),
             terminal AS (INSERT INTO terminals (store_id, code, create_time)
                          SELECT store_id, 'till', now() FROM store RETURNING store_id, terminal_id)
        SELECT participant_id, store_id, terminal_id FROM store JOIN terminal USING (store_id)
        """,
        (f"shop-{number}", f"Shop {number}"),
    ).fetchone()
    if row is None:
        raise RuntimeError("a shop was not inserted")
    participant, store, terminal = row
    return Seat(participant, store, terminal, f"t/shop-{number}/main/till")
