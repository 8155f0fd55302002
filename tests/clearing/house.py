"""A small coalition on a real ledger for the desk's tests: chain stores a and b, a cafe, members with cards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from coalition import client
from coalition.audit.notary import BatchNotary
from coalition.clearing.batch import Answer, run_batch
from coalition.domain.commands import (
    Capture,
    Command,
    ConvertPoints,
    Hold,
    HoldExpiry,
    Purchase,
    Refund,
    RepayPoints,
    Resolve,
    ReturnPass,
    ReturnPoints,
    ReturnVisit,
    Reverse,
    SellPass,
    SpendPoints,
    TopUp,
    Upload,
    VisitPass,
    Void,
)
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason
from coalition.domain.sale_details import SaleDetails
from coalition.storage.connect import Connection, connect
from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres
from coalition.storage.ledger import LedgerStore
from coalition.storage.programme import lay_scheme, load
from tests.postgres import MIGRATED_LEDGER, SharedPostgres, Template

DAY = date(2017, 1, 15)
AGREEMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chain-terms": (
        "TERMS",
        {"issuer": "chain:shop", "sellers": ["chain:shop"], "tiers": [{"from_minor": 10_000, "bonus": "1/5"}]},
    ),
    "chain-acceptance": ("ACCEPTANCE", {"issuer": "chain:shop", "acquirer": "chain:shop"}),
    "cafe-acceptance": (
        "ACCEPTANCE",
        {
            "issuer": "chain:shop",
            "acquirer": "cafe",
            "interchange": "1/200",
            "offline_limit_minor": 50_000,
            "shortfall_bearer": "ISSUER",
        },
    ),
    "chain-acquiring": ("ACQUIRING", {"acquirer": "chain:shop", "operator_fee": "6/1000"}),
    "cafe-acquiring": ("ACQUIRING", {"acquirer": "cafe", "operator_fee": "6/1000", "commission": "1/100"}),
    "bar-acquiring": ("ACQUIRING", {"acquirer": "bar"}),
    "bath": ("PASSES", {"issuer": "chain:shop", "price_minor": 10_000, "visits": 3, "months": 3}),
}


def new_request_id() -> UUID:
    """A version 7 UUID of now."""
    return UUID(client.new_request_id())


@dataclass
class House:
    """One ledger database; `terminals` maps a participant's code to (participant_id, store_id, terminal_id)."""

    server: EmbeddedPostgres
    database: str
    terminals: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    cards: int = 0

    def dsn(self, role: str = "coalition_app") -> str:
        return self.server.dsn(role, self.database)

    def store(self) -> LedgerStore:
        return LedgerStore(self.dsn(), load, lambda _: DAY, BatchNotary(lambda message: message[:8]))

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with connect(self.dsn(SUPERUSER)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def execute(self, statement: str, *parameters: object) -> None:
        with connect(self.dsn(SUPERUSER)) as connection:
            connection.execute(statement, parameters)

    def new_card(self, recruiter: str = "a", state: str = "ACTIVE") -> bytes:
        """A member's wallet and its card; the card's token."""
        self.cards += 1
        wallet = 1_000 + self.cards * 7
        token = self.cards.to_bytes(32, "big")
        lane = wallet % 64
        self.execute(
            "INSERT INTO wallets (lane, wallet_id, recruiter_id) VALUES (%s, %s, %s)",
            lane, wallet, self.terminals[recruiter][0],
        )  # fmt: skip
        self.execute(
            "INSERT INTO cards (lane, card_id, wallet_id, last_four, state, issuer_id)"
            " VALUES (%s, %s, %s, '0001', %s, %s)",
            lane, self.cards, wallet, state, self.terminals[recruiter][0],
        )  # fmt: skip
        self.execute(
            "INSERT INTO credentials (token, lane, wallet_id, card_id, create_time) VALUES (%s, %s, %s, %s, now())",
            token, lane, wallet, self.cards,
        )  # fmt: skip
        return token

    def purchase(self, at: str, token: bytes, amount: int, request_id: UUID | None = None) -> Purchase:
        return Purchase(**self._common(at, amount, request_id), token=token)

    def upload(self, at: str, token: bytes, amount: int, sequence_number: int = 1) -> Upload:
        details = SaleDetails(sequence_number=sequence_number).canonical()
        sold_at = datetime(2017, 1, 14, tzinfo=UTC)
        return Upload(**self._common(at, amount, None), token=token, occurred_time=sold_at, details=details)

    def top_up(self, at: str, token: bytes, amount: int, request_id: UUID | None = None) -> TopUp:
        return TopUp(**self._common(at, amount, request_id), token=token, issuer_id=self.terminals[at][0])

    def refund(self, at: str, original: UUID, amount: int, request_id: UUID | None = None) -> Refund:
        return Refund(**self._common(at, amount, request_id), original_request_id=original)

    def hold(self, at: str, token: bytes, amount: int, request_id: UUID | None = None, seconds: int = 604_800) -> Hold:
        return Hold(**self._common(at, amount, request_id), token=token, hold_seconds=seconds)

    def capture(self, at: str, hold: UUID, amount: int, request_id: UUID | None = None) -> Capture:
        return Capture(**self._common(at, amount, request_id), original_request_id=hold)

    def void(self, at: str, hold: UUID, request_id: UUID | None = None) -> Void:
        return Void(**self._common(at, 0, request_id), original_request_id=hold)

    def reverse(self, at: str, original: UUID, request_id: UUID | None = None) -> Reverse:
        return Reverse(**self._common(at, 0, request_id), original_request_id=original)

    def sell_pass(self, at: str, token: bytes, request_id: UUID | None = None) -> SellPass:
        return SellPass(**self._common(at, 10_000, request_id), token=token, issuer_id=self.terminals[at][0])

    def visit(self, at: str, token: bytes, count: int = 1, request_id: UUID | None = None) -> VisitPass:
        return VisitPass(**self._common(at, 0, request_id), token=token, visit_count=count)

    def return_visit(self, at: str, original: UUID, request_id: UUID | None = None) -> ReturnVisit:
        return ReturnVisit(**self._common(at, 0, request_id), original_request_id=original)

    def return_pass(self, at: str, original: UUID, request_id: UUID | None = None) -> ReturnPass:
        return ReturnPass(**self._common(at, 0, request_id), original_request_id=original)

    def spend_points(
        self, at: str, token: bytes, points: int, request_id: UUID | None = None, programme: str | None = None
    ) -> SpendPoints:
        return SpendPoints(**self._common(at, 0, request_id), token=token, points=points, programme_code=programme)

    def return_points(self, at: str, original: UUID, points: int = 0) -> ReturnPoints:
        return ReturnPoints(**self._common(at, 0, None), original_request_id=original, points=points)

    def convert_points(self, at: str, token: bytes, points: int, request_id: UUID | None = None) -> ConvertPoints:
        return ConvertPoints(**self._common(at, 0, request_id), token=token, points=points)

    def repay_points(self, at: str, token: bytes, owed: str, points: int = 0) -> RepayPoints:
        return RepayPoints(**self._common(at, 0, None), token=token, owed_code=owed, points=points)

    def add_points_programme(self, **more: Any) -> None:
        """Participant b owes a point a yuan for what cafe and a sell; half a fen each, borne by who sold."""
        content = {
            "debtor": "b",
            "earned_at": ["cafe", "a"],
            "steps": [{"from_minor": 100, "rate": "1/100"}],
            "value": "1/2",
            "borne_by": "ACQUIRER",
            **more,
        }
        self.execute(
            "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES ('points', 'POINTS', now())"
            " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from,"
            " content, create_time, unit) SELECT agreement_id, 1, '2017-01-01', %s, now(), 100 FROM agreement",
            json.dumps(content),
        )
        self.execute("UPDATE config_epoch SET epoch = epoch + 1")

    def resolve(self, at: str, request_id: UUID) -> Resolve:
        return Resolve(**self._common(at, 0, request_id))

    def hold_expiry(self, hold_entry_id: int, request_id: UUID | None = None) -> HoldExpiry:
        nowhere = {"participant_id": 1, "store_id": None, "terminal_id": None, "actor": "/op/holds"}
        return HoldExpiry(**{**self._common("a", 0, request_id), **nowhere}, original_entry_id=hold_entry_id)

    def pass_time(self, hold_entry_id: int) -> None:
        """The time of a hold is over."""
        self.execute("UPDATE holds SET expire_time = now() - interval '1 s' WHERE entry_id = %s", hold_entry_id)

    def _common(self, at: str, amount: int, request_id: UUID | None) -> dict[str, Any]:
        participant, store, terminal = self.terminals[at]
        return {
            "participant_id": participant,
            "store_id": store,
            "terminal_id": terminal,
            "actor": f"/t/{at}/main/till",
            "request_id": request_id or new_request_id(),
            "amount_minor": amount,
        }

    def funded_card(self, principal: int = 100_000) -> bytes:
        """A card with one lot of `principal` plus a fifth as bonus, sold by a."""
        token = self.new_card()
        accepted(self.run(self.top_up("a", token, principal))[0])
        return token

    def run(self, *commands: Command) -> list[Answer]:
        """Run one batch on a connection of its own."""
        store = self.store()
        try:
            return run_batch(store, commands)
        finally:
            store.close()

    def check_books(self) -> None:
        """Promises 3 and 4: every unit sums to zero per entry, wallets are their lots and the fold of the journal.

        Holds too are a fold of the journal, and what lots have reserved is what open holds keep; every claim has its
        one entry.
        """
        assert [] == self.query("SELECT entry_id FROM transfers WHERE amount_minor <= 0 OR debit = credit")
        folds = self.query(
            """
            SELECT w.wallet_id, w.balance_minor, coalesce(l.face, 0)::bigint, coalesce(t.amount, 0)::bigint
            FROM wallets w
            LEFT JOIN (SELECT wallet_id, sum(face) AS face FROM lots GROUP BY wallet_id) l USING (wallet_id)
            LEFT JOIN (SELECT e.wallet_id, sum(CASE WHEN t.credit = 1::bigint << 48 THEN t.amount_minor
                                                    WHEN t.debit = 1::bigint << 48 THEN -t.amount_minor ELSE 0 END)
                              AS amount
                       FROM transfers t JOIN entries e USING (lane, entry_id) GROUP BY e.wallet_id) t USING (wallet_id)
            """
        )
        assert [] == [row for row in folds if len(set(row[1:])) != 1]
        owed = self.query(
            """
            SELECT (SELECT coalesce(sum(principal), 0)::bigint FROM lots)
                   + (SELECT coalesce(sum(principal), 0)::bigint FROM passes),
                   (SELECT coalesce(sum(face - principal), 0)::bigint FROM lots),
                   (SELECT coalesce(sum(CASE WHEN debit >> 48 = 2 THEN amount_minor ELSE 0 END)
                                  - sum(CASE WHEN credit >> 48 = 2 THEN amount_minor ELSE 0 END), 0)::bigint
                    FROM transfers),
                   (SELECT coalesce(sum(CASE WHEN debit >> 48 = 3 THEN amount_minor ELSE 0 END)
                                  - sum(CASE WHEN credit >> 48 = 3 THEN amount_minor ELSE 0 END), 0)::bigint
                    FROM transfers)
            """
        )[0]
        assert owed[0] == owed[2]
        assert owed[1] == owed[3]
        # Account kind 9 without a party is what members hold: money (unit 1) and visits (unit 2).
        passes = self.query(
            """
            SELECT wallet_id, unit, sum(moved)::bigint FROM (
                SELECT wallet_id, 1 AS unit, -principal AS moved FROM passes
                UNION ALL SELECT wallet_id, 2, -visits FROM passes
                UNION ALL SELECT e.wallet_id, t.unit,
                                 CASE WHEN t.credit = 9::bigint << 48 THEN t.amount_minor
                                      WHEN t.debit = 9::bigint << 48 THEN -t.amount_minor ELSE 0 END
                          FROM transfers t JOIN entries e USING (lane, entry_id)) AS side
            GROUP BY 1, 2 HAVING sum(moved) <> 0
            """
        )
        assert [] == passes
        assert [] == self.query(
            "SELECT entry_id FROM pass_visits FULL JOIN (SELECT * FROM entries WHERE kind = 34 AND reason = 0) e"
            " USING (lane, entry_id) WHERE pass_id IS NULL OR kind IS NULL"
        )
        # Account kind 10 without a party is what members hold of points; what a programme's debtor owes is as much.
        points = self.query(
            """
            SELECT wallet_id, sum(moved)::bigint FROM (
                SELECT wallet_id, -balance AS moved FROM points
                UNION ALL SELECT e.wallet_id, CASE WHEN t.credit = 10::bigint << 48 THEN t.amount_minor
                                                   WHEN t.debit = 10::bigint << 48 THEN -t.amount_minor ELSE 0 END
                          FROM transfers t JOIN entries e USING (lane, entry_id)) AS side
            GROUP BY 1 HAVING sum(moved) <> 0
            """
        )
        assert [] == points
        reserved = self.query(
            """
            SELECT l.lot_id, l.reserved, coalesce(h.face, 0)::bigint FROM lots l
            LEFT JOIN (SELECT lot_id, sum(face) AS face FROM allocations JOIN holds USING (lane, entry_id)
                       WHERE is_open GROUP BY lot_id) h USING (lot_id)
            WHERE l.reserved <> coalesce(h.face, 0)
            """
        )
        assert [] == reserved
        held = self.query(
            """
            SELECT e.entry_id, h.entry_id, h.resolved_kind, r.kinds FROM (SELECT * FROM entries WHERE kind = 7) e
            FULL JOIN holds h USING (lane, entry_id)
            LEFT JOIN (SELECT original_entry_id AS entry_id, array_agg(kind) AS kinds FROM entries
                       WHERE kind IN (8, 9, 10, 11) AND reason = 0 AND amount_minor > 0 GROUP BY 1) r USING (entry_id)
            LEFT JOIN (SELECT entry_id, sum(face) AS face FROM allocations GROUP BY 1) a USING (entry_id)
            WHERE (e.reason = 0) IS DISTINCT FROM (h.entry_id IS NOT NULL)
               OR h.amount_minor IS DISTINCT FROM a.face OR h.amount_minor IS DISTINCT FROM
                  CASE WHEN h.entry_id IS NOT NULL THEN e.amount_minor END
               OR array_remove(ARRAY[h.resolved_kind], NULL) IS DISTINCT FROM coalesce(r.kinds, '{}')
            """
        )
        assert [] == held
        claimed = self.query(
            """
            SELECT request_id FROM requests
            FULL JOIN (SELECT request_id, participant_id, count(*) AS entries FROM entries GROUP BY 1, 2) e
                USING (request_id, participant_id)
            WHERE body_hash IS NULL OR entries IS DISTINCT FROM 1
            """
        )
        assert [] == claimed


def new_house(server: SharedPostgres) -> House:
    """A fresh database with the scheme, participants a and b (chain shop), cafe and bar, and their agreements."""
    house = House(server, server.new(FURNISHED))
    house.terminals = {
        code: (participant, store, terminal)
        for code, participant, store, terminal in house.query(
            "SELECT p.code, participant_id, store_id, terminal_id"
            " FROM participants p JOIN stores USING (participant_id) JOIN terminals USING (store_id)"
        )
    }
    return house


def _furnish(server: EmbeddedPostgres, database: str) -> None:
    with connect(server.dsn(SUPERUSER, database)) as connection:
        lay_scheme(
            connection,
            deployment_id=UUID(int=1),
            display_name="Test",
            trust_domain="coalition.example",
            zone="Asia/Shanghai",
            currency_code="CNY",
            lane_count=64,
            time=datetime(2017, 1, 1, tzinfo=UTC),
            business_date=DAY,
        )
        for code, chain in (("a", "shop"), ("b", "shop"), ("cafe", None), ("bar", None)):
            _add_participant(connection, code, chain)
        for code, (kind, content) in AGREEMENTS.items():
            connection.execute(
                "WITH agreement AS (INSERT INTO agreements (code, kind, create_time) VALUES (%s, %s, now())"
                " RETURNING agreement_id) INSERT INTO agreement_versions (agreement_id, version, effective_from,"
                " content, create_time) SELECT agreement_id, 1, '2017-01-01', %s, now() FROM agreement",
                (code, kind, json.dumps(content)),
            )
        connection.execute("UPDATE config_epoch SET epoch = epoch + 1")


FURNISHED = Template("desk", _furnish, MIGRATED_LEDGER)


def _add_participant(connection: Connection, code: str, chain: str | None) -> None:
    connection.execute(
        """
        WITH participant AS (INSERT INTO participants (code, display_name, role, chain_code, create_time)
                             VALUES (%s, %s, 'STORE', %s, now()) RETURNING participant_id),
             store AS (INSERT INTO stores (participant_id, code, display_name, create_time)
                       SELECT participant_id, 'main', 'Main', now() FROM participant
                       RETURNING participant_id, store_id)
        INSERT INTO terminals (store_id, code, create_time) SELECT store_id, 'till', now() FROM store
        """,
        (code, code, chain),
    )


def accepted(answer: Outcome | Exception) -> Outcome:
    assert isinstance(answer, Outcome)
    assert Reason.ACCEPTED == answer.reason
    return answer


def reasons(answers: Sequence[Answer]) -> list[Reason]:
    return [answer.reason for answer in answers]
