"""A house in memory: a programme made of agreement contents, books, and every operation as one call.

After each operation the promises that must hold at every commit are checked (`House.check`). Participants are single
letters; legs are rendered the way the rules write them: `WALLET->FLOAT(A) 25000`, `A=>C 5000` for a claim.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from coalition.domain.accounts import FIRST_OF_POINTS, AccountKind, TransferCode, Unit, kind_of, parties_of
from coalition.domain.agreements import Version, parse_content
from coalition.domain.books import Books, Card, Wallet
from coalition.domain.commands import (
    BonusExpiry,
    Capture,
    CashOut,
    Command,
    ConvertPoints,
    Funding,
    Goods,
    Hold,
    HoldExpiry,
    MergeIn,
    MergeOut,
    PointsExpiry,
    Purchase,
    Refund,
    RepayPoints,
    ReturnPass,
    ReturnPoints,
    ReturnVisit,
    Reverse,
    SellPass,
    SpendPoints,
    TopUp,
    TopUpReturn,
    TopUpReversal,
    Upload,
    VisitPass,
    Void,
)
from coalition.domain.credentials import CODE, CodeEvidence, Device, Evidence, PayTicket
from coalition.domain.decide import decide
from coalition.domain.decision import Decision
from coalition.domain.ids import entry_id
from coalition.domain.journal import Transfer
from coalition.domain.points import PointsBook
from coalition.domain.programme import Participant, Programme, Scheme, Store, Terminal
from coalition.domain.sale_details import SaleDetails
from coalition.domain.succession import (
    Owed,
    OwedPoints,
    check_succession,
    points_programmes,
    points_succession,
    succession_transfers,
)
from coalition.domain.usage import Usage

LANE = 5
ROLES = {"h": "OPERATOR", "t": "CUSTODY"}


@dataclass
class Done:
    """An accepted operation: its entry, what was decided, its legs as sorted text lines, and its business date."""

    entry_id: int
    request_id: UUID
    command: Command
    decision: Decision
    legs: list[str]
    day: date


def lines(text: str) -> list[str]:
    """Legs written one a line, or several parted by commas, sorted as `Done.legs` are."""
    return sorted(part.strip() for line in text.splitlines() for part in line.split(", ") if part.strip())


class House:
    """See the module. `chains` maps a letter to its chain code."""

    def __init__(
        self, letters: str = "abcds", chains: dict[str, str] | None = None, calendars: Iterable[str] = ("monthly",)
    ) -> None:
        self.day = date(2026, 1, 10)
        self.participants = {
            code: Participant(number, code, code.upper(), ROLES.get(code, "STORE"), (chains or {}).get(code), True)
            for number, code in enumerate("ht" + letters, start=1)
        }
        self.letter = {each.participant_id: code.upper() for code, each in self.participants.items()}
        self.calendars = {code: number for number, code in enumerate(calendars, start=1)}
        self.versions: list[Version] = []
        self.journal: list[Done] = []
        self.others: list[Transfer] = []
        self.window = 1
        self.stopped: frozenset[int] = frozenset()
        self.successors: dict[int, int] = {}
        windows = dict.fromkeys(self.calendars.values(), self.window)
        self.books = Books(self._programme(), self.day, windows, datetime(2026, 1, 10, 12, tzinfo=UTC))
        self.member("w")

    def member(
        self, name: str, recruiter: str = "a", state: str = "OPEN", card_state: str = "ACTIVE", issuer: str = "a"
    ) -> None:
        """Enrol `name` with an empty wallet and a card whose token is the name."""
        number = len(self.books.wallets) + 1
        self.books.wallets[number] = Wallet(LANE, number, 0, self.participants[recruiter].participant_id, state)
        self.books.cards[name.encode()] = Card(
            number, number, card_state, "0017", self.participants[issuer].participant_id
        )
        self.books.wallets[number].usage = Usage()

    def agree(self, code: str, kind: str, since: str = "2026-01-01", until: str | None = None, **content: Any) -> None:
        """Put an agreement into force, or its next version when `code` is known."""
        known = [version for version in self.versions if version.code == code]
        agreement_id = known[0].agreement_id if known else len({version.code for version in self.versions}) + 1
        self.versions.append(
            Version(
                agreement_id,
                len(known) + 1,
                code,
                kind,
                date.fromisoformat(since),
                date.fromisoformat(until) if until else None,
                parse_content(kind, content),
                FIRST_OF_POINTS + len(self.versions) if kind == "POINTS" else None,
            )
        )
        self.books.programme = self._programme()
        if self.books.programme.has_points and self.books.points is None:
            self.books.points = PointsBook()
        for held in self.books.programme.held_terms.values():
            for terms_id in held:
                self.books.taken_on.setdefault(terms_id, 0)

    def terms(self, issuer: str, bonus: str = "1/5", **content: Any) -> None:
        """Terms of `issuer` whose every lot gets `bonus` of what was paid."""
        tiers = [{"from_minor": 1, "bonus": bonus}]
        self.agree(f"terms-{issuer}", "TERMS", issuer=issuer, tiers=tiers, **content)

    def accept(self, issuer: str, acquirer: str, **content: Any) -> None:
        self.agree(f"accept-{issuer}-{acquirer}", "ACCEPTANCE", issuer=issuer, acquirer=acquirer, **content)

    def acquire(self, acquirer: str, **content: Any) -> None:
        self.agree(f"acquire-{acquirer}", "ACQUIRING", acquirer=acquirer, **content)

    def stop(self, *codes: str) -> None:
        """These participants have reached their net debit caps, and no others."""
        self.stopped = frozenset(self.participants[code].participant_id for code in codes)
        self.books.programme = self._programme()

    def hand_over(self, leaving: str, successor: str, bonus_price: int = 0) -> list[str]:
        """The one leaves and the other stands for it; the legs of that."""
        ours, theirs = check_succession(self.books.programme, leaving, successor)
        owed: Counter[int] = Counter()
        bonus: Counter[int] = Counter()
        for wallet in self.books.wallets.values():
            for lot in wallet.lots.values():
                if self.books.programme.standing_for(lot.issuer_id) == ours:
                    custodian = self.books.programme.standing_for(lot.custodian_id)
                    owed[custodian] += lot.principal
                    bonus[custodian] += lot.bonus
        visits: Counter[int] = Counter()
        for held in self.books.passes.passes.values():
            if self.books.programme.standing_for(held.issuer_id) == ours:
                custodian = self.books.programme.standing_for(held.custodian_id)
                owed[custodian] += held.principal
                visits[custodian] += held.visits
        parts = [Owed(custodian, owed[custodian], bonus[custodian], visits[custodian]) for custodian in owed]
        legs = succession_transfers(ours, theirs, parts, bonus_price, self.window)
        balances = self.books.points.balances if self.books.points else {}
        legs += points_succession(
            ours,
            theirs,
            [
                OwedPoints(*units, sum(held for (_, each), held in balances.items() if each == programme_id))
                for programme_id, units in points_programmes(self.books.programme, ours).items()
            ],
            self.window,
        )
        self.others += legs
        self.successors = {each: theirs if then == ours else then for each, then in self.successors.items()}
        self.successors[ours] = theirs
        self.books.programme = self._programme()
        self.check()
        return sorted(map(self.leg, legs))

    def next_window(self) -> None:
        self.window += 1
        self.books.windows = dict.fromkeys(self.calendars.values(), self.window)

    def on(self, day: date) -> None:
        self.day = self.books.business_date = day

    def later(self, days: int) -> None:
        self.on(self.day + timedelta(days=days))

    def top_up(
        self,
        at: str,
        amount: int,
        issuer: str | None = None,
        terms: str | None = None,
        card: str = "w",
        funding: Funding = Funding.CASH,
    ) -> Done:
        issuer_id = self.participants[issuer or at].participant_id
        return self._run(
            TopUp(
                **self._asks(at),
                amount_minor=amount,
                token=card.encode(),
                issuer_id=issuer_id,
                terms_code=terms,
                funding=funding,
            )
        )

    def purchase(self, at: str, amount: int, card: str = "w", evidence: Evidence | None = None) -> Done:
        return self._run(Purchase(**self._asks(at), amount_minor=amount, token=card.encode(), evidence=evidence))

    def code(self, counter: int, *, card_id: int = 50, wallet_id: int = 1) -> tuple[str, CodeEvidence]:
        """A fresh payment code of a member's device: what `purchase` calls it, and what was found out of it."""
        name = f"code-{counter}".encode()
        self.books.devices.setdefault(card_id, Device(LANE, card_id, 0, 0, 0, 0))
        self.books.tickets[name] = PayTicket(card_id, counter)
        self.books.cards[name] = Card(card_id, wallet_id, "ACTIVE", "0050", 1, kind=CODE)
        return name.decode(), CodeEvidence(card_id, 0)

    def upload(self, at: str, amount: int, card: str = "w") -> Done:
        """A sale approved offline."""
        details = SaleDetails(sequence_number=1).canonical()
        return self._run(
            Upload(
                **self._asks(at),
                amount_minor=amount,
                token=card.encode(),
                occurred_time=self.books.time,
                details=details,
            )
        )

    def refund(self, at: str, amount: int, of: Done) -> Done:
        return self._run(Refund(**self._asks(at), amount_minor=amount, original_request_id=of.request_id))

    def refund_of(self, at: str, amount: int, of: Done) -> Done:
        """As `refund`, of a purchase named by its entry: whoever's it is."""
        return self._run(Refund(**self._asks(at), amount_minor=amount, original_entry_id=of.entry_id))

    def return_elsewhere(self, at: str, amount: int, of: Done, goods: Goods = Goods.KEPT) -> Done:
        """A purchase made at another participant is returned at this one."""
        return self._run(Refund(**self._asks(at), amount_minor=amount, original_entry_id=of.entry_id, goods=goods))

    def reverse_top_up(self, at: str, of: Done) -> Done:
        return self._run(TopUpReversal(**self._asks(at), original_entry_id=of.entry_id))

    def return_top_up(self, at: str, of: Done) -> Done:
        return self._run(TopUpReturn(**self._asks(at), original_request_id=of.request_id))

    def expire(self, of: Done) -> Done:
        """Expire the bonus of the lot that a top-up opened."""
        return self._run(
            BonusExpiry(
                **self._asks_of_house(),
                original_entry_id=of.entry_id,
            )
        )

    def merge(self, card: str, into: str) -> None:
        """What reception does: the wallet is closed, and what is or comes there goes to the other one."""
        wallet = self.wallet(card)
        wallet.state, wallet.merged_into = "CLOSED", self.wallet(into).wallet_id

    def send(self, card: str, lot_id: int) -> Done:
        """The first half of a lot's merge."""
        wallet_id = self.wallet(card).wallet_id
        return self._run(MergeOut(**self._asks_of_house(), wallet_id=wallet_id, lot_id=lot_id))

    def arrive(self, sent: Done) -> Done:
        """The second half."""
        to_wallet = self.books.transits[sent.entry_id].to_wallet_id
        return self._run(MergeIn(**self._asks_of_house(), original_entry_id=sent.entry_id, wallet_id=to_wallet))

    def under_way(self) -> list[Done]:
        """What was sent and has not arrived."""
        open_transits = {each.entry_id for each in self.books.transits.values() if each.is_open}
        return [done for done in self.journal if done.entry_id in open_transits]

    def cash_out(self, at: str, card: str = "w", *, closes: bool = False) -> Done:
        return self._run(CashOut(**self._asks(at), token=card.encode(), closes=closes))

    def hold(self, at: str, amount: int, card: str = "w", seconds: int = 604_800) -> Done:
        return self._run(Hold(**self._asks(at), amount_minor=amount, token=card.encode(), hold_seconds=seconds))

    def capture(self, at: str, amount: int, of: Done) -> Done:
        return self._run(Capture(**self._asks(at), amount_minor=amount, original_entry_id=of.entry_id))

    def void(self, at: str, of: Done) -> Done:
        return self._run(Void(**self._asks(at), original_request_id=of.request_id))

    def expire_hold(self, of: Done) -> Done:
        return self._run(HoldExpiry(**self._asks_of_house(), original_entry_id=of.entry_id))

    def reverse(self, at: str, of: Done) -> Done:
        return self._run(Reverse(**self._asks(at), original_request_id=of.request_id))

    def sell_pass(self, at: str, price: int, issuer: str = "a", name: str | None = None, card: str = "w") -> Done:
        issuer_id = self.participants[issuer].participant_id
        asked = self._asks(at)
        return self._run(
            SellPass(**asked, amount_minor=price, token=card.encode(), issuer_id=issuer_id, terms_code=name)
        )

    def visit(self, at: str, count: int = 1, name: str | None = None, card: str = "w") -> Done:
        return self._run(VisitPass(**self._asks(at), token=card.encode(), visit_count=count, terms_code=name))

    def return_visit(self, at: str, of: Done) -> Done:
        return self._run(ReturnVisit(**self._asks(at), original_entry_id=of.entry_id))

    def return_pass(self, at: str, of: Done) -> Done:
        return self._run(ReturnPass(**self._asks(at), original_entry_id=of.entry_id))

    def spend_points(self, at: str, points: int, name: str | None = None, card: str = "w") -> Done:
        return self._run(SpendPoints(**self._asks(at), token=card.encode(), points=points, programme_code=name))

    def return_points(self, at: str, of: Done, points: int = 0) -> Done:
        return self._run(ReturnPoints(**self._asks(at), original_entry_id=of.entry_id, points=points))

    def convert_points(self, at: str, points: int, name: str | None = None, card: str = "w") -> Done:
        return self._run(ConvertPoints(**self._asks(at), token=card.encode(), points=points, programme_code=name))

    def repay_points(self, at: str, owed: str, points: int = 0, name: str | None = None, card: str = "w") -> Done:
        asked = self._asks(at)
        return self._run(RepayPoints(**asked, token=card.encode(), points=points, owed_code=owed, programme_code=name))

    def expire_points(self, of: Done) -> Done:
        """End what is left of the points that an entry earned."""
        return self._run(PointsExpiry(**self._asks_of_house(), original_entry_id=of.entry_id))

    def points(self, name: str = "points", card: str = "w") -> int:
        """What the wallet has of a programme."""
        programme_id = next(version.agreement_id for version in self.versions if version.code == name)
        return self.books.points_book().of(self.wallet(card).wallet_id, programme_id)

    def wait(self, seconds: int) -> None:
        """Let the batches' time pass; the business date stays."""
        self.books.time += timedelta(seconds=seconds)

    def wallet(self, card: str = "w") -> Wallet:
        return self.books.wallets[self.books.cards[card.encode()].card_id]

    def here(self, at: str, card: str = "w") -> int:
        return self.books.balance_here(self.wallet(card), self.participants[at].participant_id)

    def nets(self, window: int | None = None, unit: int = Unit.MONEY) -> dict[str, int]:
        """Net position of each participant that has one, in a window or (None) over all of them, in a unit."""
        nets: Counter[str] = Counter()
        for leg in self.transfers():
            if leg.window_id is not None and window in {None, leg.window_id} and leg.unit == unit:
                nets[self.letter[parties_of(leg.debit)[0]]] -= leg.amount_minor
                nets[self.letter[parties_of(leg.credit)[0]]] += leg.amount_minor
        return {letter: net for letter, net in sorted(nets.items()) if net}

    def accounts(self) -> dict[str, int]:
        """What wallets and TRANSIT owe to members, FLOAT and BONUS of the issuers, by account; not zeros."""
        sums: Counter[str] = Counter()
        for leg in self.transfers():
            for number, sign in ((leg.debit, 1), (leg.credit, -1)):
                if kind_of(number) in {AccountKind.FLOAT, AccountKind.BONUS}:
                    sums[self.account(number)] += sign * leg.amount_minor
                elif kind_of(number) is AccountKind.POINTS:
                    is_ours = parties_of(number) == (0, 0)
                    sums[self.account(number)] += (-sign if is_ours else sign) * leg.amount_minor
                elif kind_of(number) is AccountKind.PASS:
                    # Visits are told apart from the money that was paid for them.
                    is_ours = parties_of(number) == (0, 0)
                    name = ("VISITS" if leg.unit is Unit.VISITS else "PASS") if is_ours else self.account(number)
                    sums[name] += (-sign if is_ours else sign) * leg.amount_minor
                elif kind_of(number) in {AccountKind.WALLET, AccountKind.TRANSIT}:
                    sums[self.account(number)] -= sign * leg.amount_minor
        return {name: amount for name, amount in sorted(sums.items()) if amount}

    def transfers(self) -> Iterable[Transfer]:
        return [*(leg for done in self.journal for leg in done.decision.transfers), *self.others]

    def account(self, number: int) -> str:
        """`FLOAT(A)` is short for `FLOAT(A,A)`."""
        parties = [self.letter[party] for party in dict.fromkeys(parties_of(number)) if party]
        return kind_of(number).name + (f"({','.join(parties)})" if parties else "")

    def leg(self, leg: Transfer) -> str:
        if leg.window_id is not None:
            debtor, creditor = (self.letter[parties_of(number)[0]] for number in (leg.debit, leg.credit))
            return f"{debtor}=>{creditor} {leg.amount_minor}{self.unit(leg)}"
        what = " visits" if leg.unit is Unit.VISITS else self.unit(leg)
        return f"{self.account(leg.debit)}->{self.account(leg.credit)} {leg.amount_minor}{what}"

    def unit(self, leg: Transfer) -> str:
        """What is said behind an amount: "points v2" of claims, "points" of what members hold; nothing for money."""
        if leg.unit < FIRST_OF_POINTS:
            return ""
        version = next(each.version for each in self.versions if each.unit == leg.unit)
        return " points" + (f" v{version}" if leg.window_id is not None else "")

    def check(self) -> None:
        """The promises that hold at every commit; each failure says which."""
        owed: Counter[str] = Counter()
        kept: Counter[int] = Counter()
        for hold in self.books.holds.values():
            for lot, face in hold.reservations if hold.is_open else ():
                kept[lot.lot_id] += face
        for wallet in self.books.wallets.values():
            for lot in wallet.lots.values():
                assert 0 <= lot.principal <= lot.principal_sold, "a lot's principal lies between 0 and what was sold"
                assert 0 <= lot.bonus <= lot.face_sold - lot.principal_sold, "and so does its bonus"
                assert 0 <= lot.reserved <= lot.face, "no more is reserved than there is"
                assert kept[lot.lot_id] == lot.reserved, "what is reserved is what open holds keep"
                standing = self.books.programme.standing_for
                issuer, custodian = self.letter[standing(lot.issuer_id)], self.letter[standing(lot.custodian_id)]
                owed["FLOAT(" + ",".join(dict.fromkeys((custodian, issuer))) + ")"] += lot.principal
                owed[f"BONUS({issuer})"] += lot.bonus
                owed["WALLET"] += lot.face
            assert sum(lot.face for lot in wallet.lots.values()) == wallet.balance_minor, "a wallet is its lots' sum"
        for held in self.books.passes.passes.values():
            assert 0 <= held.principal <= held.price_minor, "what is left of a pass lies between 0 and what it cost"
            assert 0 <= held.visits <= held.visits_sold, "and so do its visits"
            assert held.visits or not held.principal, "no money is left of a pass without visits"
            standing = self.books.programme.standing_for
            issuer, custodian = self.letter[standing(held.issuer_id)], self.letter[standing(held.custodian_id)]
            owed["FLOAT(" + ",".join(dict.fromkeys((custodian, issuer))) + ")"] += held.principal
            owed[f"PASS({issuer})"] += held.visits
            owed["PASS"] += held.principal
            owed["VISITS"] += held.visits
        for (wallet_id, programme_id), points in (self.books.points.balances if self.books.points else {}).items():
            book = self.books.points_book()
            key = wallet_id, programme_id
            there = [each.there for each in book.moves.values() if (each.wallet_id, each.programme_id) == key]
            assert all(each >= 0 for each in there), "no move has less than nothing left"
            assert sum(there) <= max(points, 0), "points that end are no more than there are"
            assert sum(there) == sum(each.there for each in book.ending(key)), "and all are known"
            _, content = self.books.programme.points_version(programme_id, 1)
            debtor_id = self.books.programme.participant_by_code[content.debtor].participant_id
            owed["POINTS"] += points
            owed[f"POINTS({self.letter[self.books.programme.standing_for(debtor_id)]})"] += points
        for done in self.under_way():
            (sent,) = done.decision.allocations
            assert done.decision.wallet is not None
            gone = done.decision.wallet.lots[sent.lot_id]
            issuer, custodian = self.letter[gone.issuer_id], self.letter[gone.custodian_id]
            owed["FLOAT(" + ",".join(dict.fromkeys((custodian, issuer))) + ")"] += sent.principal
            owed[f"BONUS({issuer})"] += sent.face - sent.principal
            owed[f"TRANSIT({issuer})"] += sent.face
        accounts = self.accounts()
        assert {name: amount for name, amount in owed.items() if amount} == accounts, "lots are the journal's fold"
        for window in range(1, self.window + 1):
            for unit in {Unit.MONEY, *(leg.unit for leg in self.transfers())}:
                assert 0 == sum(self.nets(window, unit).values()), "a window's positions add up to zero in each unit"
        in_custody = sum(amount for name, amount in accounts.items() if name.startswith("FLOAT(T"))
        assert in_custody == self.nets().get("T", 0), "what custody is owed over all windows is what its lots still owe"

    def _run(self, command: Command) -> Done:
        entry = entry_id(len(self.journal) + 1, 0, LANE)
        decision = decide(command, self.books, entry)
        for leg in decision.transfers:
            assert leg.amount_minor > 0
            assert leg.debit != leg.credit
            assert (leg.window_id is None) == (kind_of(leg.debit) is not AccountKind.CLEARING)
            assert kind_of(leg.debit) is kind_of(leg.credit) or AccountKind.CLEARING not in map(kind_of, leg[:2])
            assert isinstance(leg.code, TransferCode)
        decision.apply(self.books, command, entry)
        done = Done(entry, command.request_id, command, decision, sorted(map(self.leg, decision.transfers)), self.day)
        self.journal.append(done)
        self.check()
        return done

    def _asks(self, at: str) -> dict[str, Any]:
        number = self.participants[at].participant_id
        return {
            "participant_id": number,
            "store_id": number,
            "terminal_id": number,
            "actor": f"/t/{at}/1/1",
            "request_id": UUID(int=len(self.journal) + 1 << 64 | 1),
        }

    def _asks_of_house(self) -> dict[str, Any]:
        return self._asks("h") | {"store_id": None, "terminal_id": None}

    def _programme(self) -> Programme:
        everyone = self.participants.values()
        return Programme(
            epoch=len(self.versions),
            scheme=Scheme(UUID(int=1), "test", "coalition.example", "Asia/Shanghai", "CNY", 64, 10**9, 1, 2),
            participants=everyone,
            stores=[Store(each.participant_id, each.participant_id, "1", "1", True) for each in everyone],
            terminals=[Terminal(each.participant_id, each.participant_id, "1", True) for each in everyone],
            calendars=self.calendars,
            versions=self.versions,
            stopped=self.stopped,
            successors=self.successors,
        )
