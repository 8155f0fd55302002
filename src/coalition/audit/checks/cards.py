"""V20 of cards: which wallet each pays from, whether it may, and what it may spend, is what acts made of it.

Of cards that moved in with their members the acts tell hashes (domain/links.py). Whose wallet was erased is told
nowhere: what is held against the log there is that no more wallets' cards have ended than members were erased.
"""

from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.checks.merges import MergeChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Latest, Tables
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind
from coalition.domain.links import card_link

OF_CARDS: Final = frozenset(
    {
        int(Kind.CARD_ISSUED),
        int(Kind.CARD_LINKED),
        int(Kind.CARD_FROZEN),
        int(Kind.CARD_UNFROZEN),
        int(Kind.CARD_REPLACED),
        int(Kind.CARD_LIMITS_SET),
        int(Kind.DEVICE_ENROLLED),
        int(Kind.CREDENTIAL_ADDED),
        int(Kind.CREDENTIAL_REMOVED),
    }
)
LIMITS: Final = ("limit_operation_minor", "limit_day_minor", "limit_month_minor")
MOVED_BY_MERGE: Final = frozenset({"NUMBER", "VIRTUAL"})
MOVED_IN: Final = -1


class Card(NamedTuple):
    """A card as an act left it; `wallet` None: not linked, MOVED_IN: as the import led it."""

    kind: str
    wallet: int | None
    state: str
    limits: tuple[int | None, ...]


IMPORTED: Final = Card("NUMBER", MOVED_IN, "ACTIVE", (None, None, None))


class CardChecks:
    """Sees every act, then the cards of the tables. Memory grows with cards."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables, merges: MergeChecks) -> None:
        self._bundle = bundle
        self._check = report.checks["V20"]
        self._tables = tables
        self._merges = merges
        self._cards: Latest[Card] = Latest(tables.since)
        self._imported: dict[str, int] = {}  # links of cards that moved in, by the batch that told them
        self._untold = 0  # imports of a release that told no cards
        self._erased = 0
        self._ended: set[int | None] = set()

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        kind = opened.entry.kind
        if kind in OF_CARDS:
            limits = tuple(told.get(name) for name in LIMITS)
            card = Card(str(told.get("kind", "NUMBER")), told["wallet_id"], str(told["state"]), limits)
            self._cards.tell(told["card_id"], card, opened)
            if "replaced_card_id" in told:
                self._replace(told["replaced_card_id"], opened)
        elif kind == Kind.MEMBERS_IMPORTED:
            number = number_of(opened.entry.entry_id)
            self._imported |= dict.fromkeys(told.get("cards_sha256", ()), number)
            self._untold += "cards_sha256" not in told
        elif kind == Kind.MEMBER_ERASED:
            self._erased += 1

    def finish(self) -> None:
        """Everything was seen."""
        if not self._tables.are_there:
            return
        missing, moved_in = set(self._cards.due()), set()
        for card_id, kind, wallet, state, limits, credentials in self._bundle.state("cards"):
            self._check.looked_at += 1
            missing.discard(card_id)
            link = self._import_of(card_id, wallet)
            moved_in.add(link)
            possible = self._cards.possible(card_id) or ([IMPORTED] if link else [])
            row = Card(str(kind), wallet, str(state), tuple(limits))
            if not possible:
                self._unknown(card_id)
            elif trouble := self._trouble(row, possible, is_import=link is not None):
                self._tables.differs(self._check, f"card {card_id} {trouble}")
            elif state != "REPLACED" and wallet is not None and credentials != 1:
                self._check.breach(f"{credentials} credentials lead to card {card_id} by way of its wallet")
        for card_id in sorted(missing):
            self._check.breach(f"card {card_id} is gone from the tables")
        for link, number in self._imported.items():
            if number <= self._tables.since and link not in moved_in:
                self._check.breach(
                    f"a card that moved in with batch {number} is gone, or leads elsewhere, in the tables"
                )
        if len(self._ended) > self._erased and self._bundle.start_size == 0:
            self._check.breach(
                f"cards of {len(self._ended)} wallets have ended without an act, and {self._erased} members were erased"
            )

    def _replace(self, card_id: int, opened: Opened) -> None:
        before = self._cards.last(card_id)
        if before is None and (self._imported or self._untold):
            before = IMPORTED
        if before is not None:
            self._cards.tell(card_id, before._replace(state="REPLACED"), opened)

    def _import_of(self, card_id: int, wallet: int | None) -> str | None:
        """The link by which an import told of the card."""
        if wallet is None or not self._imported:
            return None
        links = (card_link(card_id, each) for each in self._merges.origins(wallet))
        return next((link for link in links if link in self._imported), None)

    def _unknown(self, card_id: int) -> None:
        sentence = f"no entry makes card {card_id}, or leads it to its wallet, which is in the tables"
        if self._untold:
            self._check.lacks(f"{sentence}, or an import of a release that did not tell")
        else:
            self._tables.stray(self._check, sentence)

    def _trouble(self, row: Card, possible: list[Card], *, is_import: bool) -> str | None:
        """What is wrong with a row, whatever of `possible` it may be; None: nothing."""
        fits = [each for each in possible if self._leads(row, each, is_import=is_import)]
        if not fits:
            return f"leads to wallet {row.wallet} in the tables, where no act led it"
        ends = row.kind not in MOVED_BY_MERGE and all(
            row.wallet != each for each in self._merges.onwards(row.wallet or 0)
        )
        if not ends and any((each.state, each.limits) == (row.state, row.limits) for each in fits):
            return None
        if row.state == "REPLACED" and any(each.limits == row.limits for each in fits):
            if not self._merges.is_merged(row.wallet or 0):
                self._ended.add(row.wallet)
            return None
        if not ends and any(each.state == row.state for each in fits):
            return "may spend something else in the tables than acts let it"
        return f"is {row.state} in the tables, which no act made it"

    def _leads(self, row: Card, told: Card, *, is_import: bool) -> bool:
        if row.kind != told.kind:
            return False
        if told.wallet == MOVED_IN:
            return is_import or bool(self._untold)
        if told.wallet is None or row.kind not in MOVED_BY_MERGE:
            return row.wallet == told.wallet
        return any(row.wallet == each for each in self._merges.onwards(told.wallet))
