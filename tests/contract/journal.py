"""The ledger as its owner reads it by SQL, compared with the model: what is stored of a history, to the row."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Self

from coalition.bootstrap.strongroom import key_ring
from coalition.storage.connect import connect
from tests.contract.compare import Broken
from tests.contract.history import History
from tests.contract.market import Market
from tests.contract.model import Model
from tests.contract.wallets import Lot

HOLD_EXPIRY = 10
PLACE_AND_LANE_BITS = 22
WALLET_ACCOUNT = 1 << 48

WALLETS = """
SELECT c.token, w.lane, w.wallet_id, w.balance_minor FROM credentials c JOIN wallets w USING (lane, wallet_id)
WHERE c.token = ANY(%s::bytea[])
"""
LOTS = """
SELECT wallet_id, lot_id, face_sold, principal_sold, face, principal, reserved, is_reversed, is_open
FROM lots WHERE wallet_id = ANY(%s) ORDER BY lot_id
"""
FOLD = f"""
SELECT e.wallet_id, sum(CASE WHEN t.credit = {WALLET_ACCOUNT} THEN t.amount_minor
                             WHEN t.debit = {WALLET_ACCOUNT} THEN -t.amount_minor ELSE 0 END)::bigint
FROM entries e JOIN transfers t USING (lane, entry_id) WHERE e.wallet_id = ANY(%s) GROUP BY 1
"""
EXPIRIES = f"""
SELECT entry_id, original_entry_id FROM entries WHERE wallet_id = ANY(%s) AND kind = {HOLD_EXPIRY} AND reason = 0
"""
HOLDS = "SELECT entry_id, amount_minor, is_open FROM holds WHERE wallet_id = ANY(%s) ORDER BY entry_id"
AFTER_THE_CUT = """
SELECT t.entry_id, w.label FROM entries e JOIN transfers t USING (lane, entry_id) JOIN windows w USING (window_id)
WHERE e.wallet_id = ANY(%s) AND t.entry_id >> 22 > w.cut_number LIMIT 5
"""
TIMES = "SELECT number, time FROM batches WHERE number = ANY(%s)"
SHORTFALLS = """
SELECT t.entry_id, d.code, c.code, t.amount_minor FROM entries e JOIN transfers t USING (lane, entry_id)
JOIN participants d ON t.debit = (4::bigint << 48) + (d.participant_id::bigint << 24)
JOIN participants c ON t.credit = (4::bigint << 48) + (c.participant_id::bigint << 24)
WHERE e.wallet_id = ANY(%s) AND t.code = 11 ORDER BY t.entry_id
"""
DEVICES = """
SELECT c.wallet_id, d.used_counter, d.tried_counter, d.tries FROM devices d JOIN cards c USING (lane, card_id)
WHERE c.wallet_id = ANY(%s)
"""
TRIES = "SELECT wallet_id, tries - forgiven FROM pins WHERE wallet_id = ANY(%s)"
SALES = """
SELECT p.code, s.reference, s.entry_id FROM sale_references s JOIN terminals t USING (terminal_id)
JOIN stores USING (store_id) JOIN participants p USING (participant_id) WHERE s.reference = ANY(%s)
"""
REQUESTS = """
SELECT p.code, e.request_id::text, e.entry_id FROM entries e JOIN participants p USING (participant_id)
WHERE e.request_id = ANY(%s::uuid[])
"""
OTHERS = """
SELECT entry_id, kind FROM entries
WHERE wallet_id = ANY(%s) AND kind < 100 AND NOT request_id = ANY(%s::uuid[]) AND kind <> %s
"""


class Journal:
    """What stands in the ledger of the wallets of some cards, read over one connection while its context lasts."""

    def __init__(self, market: Market, cards: Sequence[str]) -> None:
        self._connection = connect(market.site.dsn(), "test")
        token = key_ring(market.site.settings).card_token
        by_token = {token(card): card for card in cards}
        self.wallets: dict[int, str] = {}
        self._balances: dict[int, int] = {}
        for found, _, wallet_id, balance in self._query(WALLETS, list(by_token)):
            self.wallets[wallet_id] = by_token[bytes(found)]
            self._balances[wallet_id] = balance

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def expiries(self) -> list[tuple[int, int]]:
        """Each hold that the house let expire: its entry, the hold's."""
        return [(entry, hold) for entry, hold in self._query(EXPIRIES, list(self.wallets))]

    def tries(self) -> dict[int, int]:
        """How many tries of each wallet's PIN are counted and not forgiven."""
        return dict(self._query(TRIES, list(self.wallets)))

    def times(self, history: History) -> dict[int, datetime]:
        """When the journal took each entry that the history was told of: the time of its batch."""
        told = {each.answer.entry_id for each in history.intents if each.answer is not None}
        numbers = {entry_id >> PLACE_AND_LANE_BITS for entry_id in told}
        batches = dict(self._query(TIMES, list(numbers)))
        if lost := numbers - batches.keys():
            raise Broken(f"acknowledged, and not in the journal: batches {sorted(lost)}")
        return {entry_id: batches[entry_id >> PLACE_AND_LANE_BITS] for entry_id in told}

    def check(self, history: History, model: Model) -> None:
        """Wallets, lots and requests are what the model holds, to the row. Raises Broken."""
        self._check_requests(history)
        folded = dict(self._query(FOLD, list(self.wallets)))
        lots: dict[int, list[Any]] = {wallet_id: [] for wallet_id in self.wallets}
        for wallet_id, *row in self._query(LOTS, list(self.wallets)):
            lots[wallet_id].append(tuple(row))
        for wallet_id, card in self.wallets.items():
            wallet = model.cards[card].wallet
            assert wallet is not None
            expected = [_row(lot) for lot in sorted(wallet.lots, key=lambda lot: lot.entry_id)]
            wrong = [two for two in zip_longest(expected, lots[wallet_id]) if two[0] != two[1]]
            if wrong:
                raise Broken(f"lots of {wallet.name}, as expected and as stored: {wrong}")
            stored = self._balances[wallet_id], folded.get(wallet_id, 0)
            if stored != (wallet.balance, wallet.balance):
                raise Broken(f"{wallet.name} holds {wallet.balance}; its row and its journal say {stored}")

        if late := self._query(AFTER_THE_CUT, list(self.wallets)):
            raise Broken(f"claims in windows that were closed before: {late}")
        held = [
            (entry_id, done.amount, done.state == "OPEN")
            for entry_id, done in sorted(model.entries.items())
            if done is not None and done.which == "authorize"
        ]
        if held != (stored_holds := self._query(HOLDS, list(self.wallets))):
            raise Broken(f"holds: expected {held}, stored {stored_holds}")

        self._check_credentials(history, model)

    def _check_credentials(self, history: History, model: Model) -> None:
        """Who owes what for shortfalls, which references are taken, which codes are dead, which tries are counted."""
        wallets = list(self.wallets)
        if (owed := self._query(SHORTFALLS, wallets)) != model.shortfalls:
            raise Broken(f"shortfalls: expected {model.shortfalls}, stored {owed}")
        said = [each.request for each in history.intents if each.operation is not None]
        named = {request.sale_reference for request in said if getattr(request, "sale_reference", "")}
        taken = {(code, sale): entry_id for code, sale, entry_id in self._query(SALES, list(named))}
        if taken != model.sales:
            raise Broken(f"sale references: expected {model.sales}, stored {taken}")
        phones = {id(card.wallet): card.device for card in model.cards.values() if card.device is not None}
        for wallet_id, *stored in self._query(DEVICES, wallets):
            device = phones.get(id(model.cards[self.wallets[wallet_id]].wallet))
            if device is not None and [device.used, device.tried, device.tries] != stored:
                raise Broken(f"a phone of {self.wallets[wallet_id][-4:]}: expected {device}, stored {stored}")
        for wallet_id, tries in self.tries().items():
            wallet = model.cards[self.wallets[wallet_id]].wallet
            if wallet is not None and wallet.pin is not None and wallet.pin.tries != tries:
                raise Broken(f"tries of {wallet.name}: expected {wallet.pin.tries}, stored {tries}")

    def _check_requests(self, history: History) -> None:
        """Each request has one entry, the one its clients were told; and nobody else wrote into these wallets."""
        told = {intent.key: intent.answer.entry_id for intent in history.intents if intent.answer is not None}
        ids = list({request_id for _, request_id in told})
        rows = [((code, request_id), entry_id) for code, request_id, entry_id in self._query(REQUESTS, ids)]
        if len(rows) != len(dict(rows)):
            raise Broken("a request has several entries")
        if dict(rows) != told:
            wrong = {key: (entry, dict(rows).get(key)) for key, entry in told.items() if dict(rows).get(key) != entry}
            raise Broken(f"acknowledged, and not so in the journal (told, stored): {wrong}")
        others = self._query(OTHERS, list(self.wallets), ids, HOLD_EXPIRY)
        if others:
            raise Broken(f"entries that nobody asked for: {others}")

    def _query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, parameters).fetchall()


def _row(lot: Lot) -> tuple[Any, ...]:
    return (
        lot.entry_id,
        lot.face0,
        lot.principal0,
        lot.face,
        lot.principal,
        lot.kept,
        lot.is_reversed,
        lot.face > 0,
    )


def check_all(market: Market, history: History, model: Model, cards: Iterable[str]) -> int:
    """Judge the history, then compare the ledger with the model; how many operations there were."""
    with Journal(market, list(cards)) as journal:
        count = history.judge(model, journal.times(history), journal.expiries())
        journal.check(history, model)
    return count
