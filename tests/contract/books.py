"""What the contract's model remembers, and the questions that its rules share: who pays, from what, who gets it back.

Imports nothing of the house. The rules themselves are in model.py.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tests.contract.credentials import NOTHING_SHOWN, ZONE, Spend, problem_of_limits
from tests.contract.scheme import RULES
from tests.contract.wallets import Card, Lot, Part, Wallet

Key = tuple[str, str]
"""Of a request: the participant and its request_id."""
Sale = tuple[str, str]
"""The participant, which has one till, and its reference of a sale."""


@dataclass(frozen=True)
class Verdict:
    """What the contract says of one operation; a number that is None is left open."""

    reasons: frozenset[str]
    kind: str = ""
    amount: int | None = None
    principal: int | None = None
    bonus: int | None = None
    balance: int | None = None
    here: int | None = None
    shortfall: int = 0
    bearer: str = ""
    shortfall_reason: str = ""
    left: int | None = None  # of tries, or of a limit


@dataclass(eq=False)
class Done:
    """What an accepted operation did, as later ones need it. `parts` is what a spend took, `kept` what a hold keeps."""

    which: str
    participant: str
    wallet: Wallet
    amount: int = 0
    parts: list[Part] = field(default_factory=list)
    returned: int = 0
    lot: Lot | None = None
    kept: list[tuple[Lot, int]] = field(default_factory=list)
    state: str = ""  # of a hold: OPEN, CAPTURED, VOIDED, EXPIRED, UNDONE
    entry_id: int = 0
    sale: Sale | None = None  # the reference it took, or its hold did
    taker: int = 0  # the entry of that hold
    bearer: str = ""  # of an upload's shortfall


def is_same_day(one: datetime, other: datetime) -> bool:
    """Whether both are of one business date."""
    return (one + ZONE).date() == (other + ZONE).date()


def declined(*reasons: str, left: int | None = None) -> Verdict:
    """Declined for one of these reasons."""
    return Verdict(frozenset(reasons), left=left)


class ModelBooks:
    """Every wallet, and every operation that was decided; and what is presented to the one under way."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.done: dict[Key, Done | None] = {}  # None: declined
        self.entries: dict[int, Done | None] = {}
        self.killed: set[Key] = set()
        self.sales: dict[Sale, int] = {}
        self.shortfalls: list[tuple[int, str, str, int]] = []  # entry, debtor, creditor, amount
        self._shown, self._now = NOTHING_SHOWN, datetime.min.replace(tzinfo=UTC)
        self._pin_problem = declined()

    def _free(self, done: Done) -> None:
        """It was undone: its sale reference may be used again, unless another has taken it by now."""
        if done.sale is not None and self.sales.get(done.sale) == (done.taker or done.entry_id):
            del self.sales[done.sale]

    def _card(self, request: Any) -> tuple[Card, str]:
        """What was presented, and why it cannot be used."""
        card = self.cards.get(self._shown.phone or request.card_number)
        return (Card(None), "CARD_UNKNOWN") if card is None else (card, card.problem)

    def _usable(self, request: Any) -> tuple[Card, Verdict | None]:
        """What was presented, and what stands in the way of using it: last the faults of a code."""
        card, problem = self._card(request)
        if problem:
            return card, declined(problem)
        if card.device is not None:
            problem, left = card.device.problem(self._shown)
            if problem:
                return card, declined(problem, left=left)
        return card, None

    def _payer(self, participant: str, request: Any) -> tuple[Wallet | None, Verdict]:
        """The wallet that can pay the amount here; None and why not."""
        card, obstacle = self._usable(request)
        if obstacle is not None:
            return None, obstacle
        wallet, amount = card.wallet, request.amount_minor
        assert wallet is not None
        if self._pin_problem.reasons:
            return None, self._pin_problem
        if not self._shown.pin and amount > RULES.no_pin_limit_minor:
            return None, declined("PIN_REQUIRED")
        spends = wallet.spends.values()
        problem, left = problem_of_limits(card.limits, card, amount, self._tier(card), self._now, spends)
        if problem:
            return None, declined(problem, left=left)
        if amount > sum(lot.free for lot in wallet.lots):
            return None, declined("INSUFFICIENT_FUNDS")
        if amount > wallet.here(participant):
            return None, declined("NOT_ACCEPTED_HERE")
        return wallet, declined()

    def _try_pin(self, request: Any) -> Verdict:
        """A PIN that came along is counted and compared, whatever else becomes of the operation."""
        wallet = self._card(request)[0].wallet
        if wallet is None:
            return declined()
        if wallet.pin is None:
            return declined("PIN_NOT_SET")
        problem, left = wallet.pin.finding(self._shown.pin)
        return declined(*filter(None, [problem]), left=left)

    def _tier(self, card: Card) -> str:
        if card.device is None:
            return "STATIC"
        return "CODE_PIN" if self._shown.pin else "CODE"

    def _count(self, wallet: Wallet, request: Any, entry_id: int) -> None:
        card = self._card(request)[0]
        wallet.spends[entry_id] = Spend(card, request.amount_minor, self._now, self._tier(card))

    def _owe(self, entry_id: int, debtor: str, creditor: str, amount: int) -> None:
        """Who owes whom for a shortfall; nobody owes himself."""
        if debtor != creditor:
            self.shortfalls.append((entry_id, debtor, creditor, amount))

    def _named(self, participant: str, entry_id: int | None, request_id: str) -> tuple[Done | None, bool]:
        """The operation that another names, and whether it is known at all; a declined one did nothing."""
        if entry_id is not None:
            return self.entries.get(entry_id), entry_id in self.entries
        key = (participant, request_id)
        return self.done.get(key), key in self.done or key in self.killed

    def _hold(self, participant: str, request: Any) -> tuple[Done | None, Verdict]:
        by_entry = request.WhichOneof("hold") == "hold_entry_id"
        hold, _ = self._named(participant, request.hold_entry_id if by_entry else None, request.hold_request_id)
        if hold is None or hold.which != "authorize" or hold.participant != participant:
            return None, declined("HOLD_UNKNOWN")
        if hold.state != "OPEN":
            return None, declined("HOLD_RESOLVED")
        return hold, declined()

    def _draw(self, done: Done) -> int:
        """Take the amount from what is taken here, in order; what that lacks."""
        left = done.amount
        for lot in done.wallet.in_order(done.participant):
            take = min(left, lot.free)
            if take:
                done.parts.append(Part(lot, take, lot.spend(take)))
                left -= take
        return left

    def _given_back(self, done: Done, kind: str, original: Done, amount: int, entry_id: int) -> Verdict:
        """Returned to where it was paid from, the last first: what another bore, then the lots. What enters a reversed
        lot "is restored and taken again".
        """
        original.returned += amount
        principal, short, left = 0, 0, amount
        for part in reversed(original.parts):
            y = min(left, part.face - part.face_back)
            if not y:
                continue
            left -= y
            p = part.give_back(y)
            principal += p
            if part.lot is None:
                short += y
                self._owe(entry_id, original.participant, original.bearer, y)
            elif part.lot.is_reversed:
                part.lot.face -= y
                part.lot.principal -= p
        verdict = self._accepted(done, kind, amount, principal, amount - short - principal)
        return replace(verdict, shortfall=short, bearer=original.bearer if short else "")

    def _rest(self, hold: Done, captured: int) -> list[tuple[Lot, int]]:
        """What a hold still keeps after so much of it, in its order, was spent."""
        rest = []
        for lot, keep in hold.kept:
            take = min(captured, keep)
            captured -= take
            if keep > take:
                rest.append((lot, keep - take))
        return rest

    def _release(self, hold: Done, state: str) -> None:
        """Nothing is kept any more; what a reversed top-up left behind for the hold is taken now."""
        hold.state = state
        for lot, keep in hold.kept:
            lot.kept -= keep
            if lot.is_reversed:
                self._take_reversed(lot)
        hold.kept = []

    def _take_reversed(self, lot: Lot) -> tuple[int, int]:
        """Take what a reversed lot has left, but what a hold keeps; face and principal."""
        face = lot.free
        return face, lot.spend(face) if face else 0

    def _accepted(self, done: Done, kind: str, amount: int | None, principal: int, bonus: int) -> Verdict:
        wallet = done.wallet
        reasons = frozenset({"ACCEPTED"})
        return Verdict(reasons, kind, amount, principal, bonus, wallet.balance, wallet.here(done.participant))
