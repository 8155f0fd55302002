"""A second reading of the sums: fractions and dictionaries, sharing no code with `coalition.domain`.

Amounts are fen, parties letters, claims are summed per (window, participant). An operation that must be declined
returns the reason's name and changes nothing.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from math import floor


@dataclass
class Rules:
    """What one acceptance or acquiring version says; the model needs no more of it."""

    share: Fraction = Fraction(1)
    fee: Fraction = Fraction(0)
    commission: Fraction = Fraction(0)
    gross: bool = True
    fees_return: bool = True


@dataclass
class ModelLot:
    number: int
    issuer: str
    custodian: str
    seller: str
    sponsor_share: Fraction
    issuer_bears_loss: bool
    expiry: date | None
    face_sold: int
    principal_sold: int
    face: int
    principal: int
    reserved: int = 0
    reversed: bool = False

    def split(self, amount: int) -> int:
        """The principal in a spend of `amount`."""
        exact = floor(Fraction((self.face_sold - self.face + amount) * self.principal_sold, self.face_sold))
        low, high = max(0, amount - (self.face - self.principal)), min(amount, self.principal)
        return min(max(exact - (self.principal_sold - self.principal), low), high)

    def take(self, face: int, principal: int) -> None:
        self.face -= face
        self.principal -= principal


@dataclass
class Part:
    """One draw of a purchase and what was returned of it."""

    lot: ModelLot
    face: int
    principal: int
    rules: Rules | None
    back_face: int = 0
    back_principal: int = 0


@dataclass
class Spend:
    at: str
    rules: Rules
    parts: list[Part]

    @property
    def face(self) -> int:
        return sum(part.face for part in self.parts)

    @property
    def back(self) -> int:
        return sum(part.back_face for part in self.parts)

    def fee(self, rate: Fraction) -> int:
        return round(rate * (self.face if self.rules.gross else sum(part.principal for part in self.parts)))

    def portions(self) -> list[tuple[str, Rules, list[Part]]]:
        """Parts by issuer and acceptance version; none on-us."""
        groups: dict[tuple[str, int], list[Part]] = {}
        for part in self.parts:
            if part.rules is not None:
                groups.setdefault((part.lot.issuer, id(part.rules)), []).append(part)
        return [(issuer, parts[0].rules, parts) for (issuer, _), parts in groups.items() if parts[0].rules]


@dataclass
class ModelHold:
    at: str
    reservations: list[tuple[ModelLot, int]]
    until: int = 0
    is_open: bool = True
    is_captured: bool = False


@dataclass
class Model:
    """The sponsor is S, the operator H, the recruiter A. `acceptance` maps (issuer, acquirer) to what is in force."""

    day: date
    window: int = 1
    seconds: int = 0
    lots: list[ModelLot] = field(default_factory=list)
    acceptance: dict[tuple[str, str], Rules | None] = field(default_factory=dict)
    acquiring: dict[str, Rules] = field(default_factory=dict)
    claims: Counter[tuple[int, str]] = field(default_factory=Counter)
    left: dict[str, str] = field(default_factory=dict)

    def stands_for(self, party: str) -> str:
        """Who that has left is stood for by whom."""
        return self.left.get(party, party)

    def hand_over(self, leaving: str, successor: str, bonus_price: int) -> None:
        """Of the principal that it held itself it gives the cash; its lots stay what they are."""
        own = [lot for lot in self.lots if self.stands_for(lot.issuer) == leaving]
        principal = sum(lot.principal for lot in own if self.stands_for(lot.custodian) == leaving)
        self.claim(leaving, successor, principal + bonus_price)
        self.left = {party: successor if then == leaving else then for party, then in self.left.items()}
        self.left[leaving] = successor

    def claim(self, debtor: str, creditor: str, amount: int) -> None:
        assert amount >= 0
        debtor, creditor = self.stands_for(debtor), self.stands_for(creditor)
        self.claims[self.window, debtor] -= amount
        self.claims[self.window, creditor] += amount

    def nets(self, window: int) -> dict[str, int]:
        return {party: net for (when, party), net in sorted(self.claims.items()) if when == window and net}

    def accepted(self, lot: ModelLot, at: str) -> bool:
        at_home = at in {lot.issuer, self.stands_for(lot.issuer)}
        return at_home or self.acceptance.get((lot.issuer, at)) is not None

    def here(self, at: str) -> int:
        return sum(lot.face - lot.reserved for lot in self.lots if self.accepted(lot, at))

    def plan(self, at: str, amount: int) -> str | list[tuple[ModelLot, int]]:
        """What a spend of `amount` would take of which lot."""
        if self.here(at) < amount:
            free = sum(lot.face - lot.reserved for lot in self.lots)
            return "NOT_ACCEPTED_HERE" if free >= amount else "INSUFFICIENT_FUNDS"
        plan = []
        for lot in sorted(self.lots, key=lambda lot: (lot.expiry is None, lot.expiry or self.day, lot.number)):
            face = min(amount, lot.face - lot.reserved) if self.accepted(lot, at) else 0
            if face:
                plan.append((lot, face))
                amount -= face
        return plan

    def spend(self, at: str, plan: list[tuple[ModelLot, int]]) -> Spend:
        spend = Spend(at, self.acquiring[at], [])
        for lot, face in plan:
            at_home = at in {lot.issuer, self.stands_for(lot.issuer)}
            rules = None if at_home else self.acceptance[lot.issuer, at]
            part = Part(lot, face, lot.split(face), rules)
            spend.parts.append(part)
            lot.take(face, part.principal)
            self.claim(lot.custodian, at, part.principal)
            issuer, sponsor, _ = shares(part)
            self.claim(lot.issuer, at, issuer)
            self.claim("S", at, sponsor)
        for issuer_letter, rules, parts in spend.portions():
            self.claim(at, issuer_letter, interchange(rules, parts))
        self.claim(at, "H", spend.fee(spend.rules.fee))
        self.claim(at, "A", spend.fee(spend.rules.commission))
        return spend

    def refund(self, spend: Spend, amount: int, fees_always: bool = False) -> None:
        before = spend.back
        portions = [(*portion, sum(part.back_face for part in portion[2])) for portion in spend.portions()]
        left = amount
        for part in reversed(spend.parts):
            face = min(left, part.face - part.back_face)
            left -= face
            if face:
                self._refund_part(spend, part, face)
        for issuer, rules, parts, then in portions:
            if fees_always or rules.fees_return:
                whole, now = sum(part.face for part in parts), sum(part.back_face for part in parts)
                self.claim(issuer, spend.at, slice_of(interchange(rules, parts), then, now, whole))
        if fees_always or spend.rules.fees_return:
            for payee, rate in (("H", spend.rules.fee), ("A", spend.rules.commission)):
                self.claim(payee, spend.at, slice_of(spend.fee(rate), before, before + amount, spend.face))

    def return_elsewhere(self, spend: Spend, amount: int, at: str, *, kept: bool) -> None:
        """The seller (who stands for it) gives back; who keeps the goods pays what it is short of by that."""
        seller = self.stands_for(spend.at)
        before = self.claims[self.window, seller]
        self.refund(spend, amount)
        short = before - self.claims[self.window, seller]
        if kept and at not in {seller, spend.at}:
            self.claim(at, seller, max(short, 0))

    def _refund_part(self, spend: Spend, part: Part, face: int) -> None:
        lot = part.lot
        principal = floor(Fraction((part.back_face + face) * part.principal, part.face)) - part.back_principal
        then = shares_back(part)
        part.back_face += face
        part.back_principal += principal
        issuer, sponsor, _ = (now - was for now, was in zip(shares_back(part), then, strict=True))
        self.claim(spend.at, lot.custodian, principal)
        self.claim(spend.at, lot.issuer, issuer)
        self.claim(spend.at, "S", sponsor)
        if lot.reversed:
            self.pass_on(lot, principal)
        elif lot.expiry is not None and lot.expiry < self.day:
            lot.take(-principal, -principal)
        else:
            lot.take(-face, -principal)

    def pass_on(self, lot: ModelLot, principal: int) -> None:
        self.claim(lot.custodian, lot.issuer if lot.issuer_bears_loss else lot.seller, principal)

    def reverse(self, lot: ModelLot) -> str | None:
        if lot.reversed:
            return "LOT_NOT_OPEN"
        free = lot.face - lot.reserved
        principal = lot.split(free)
        lot.take(free, principal)
        lot.reversed = True
        self.claim(lot.custodian, lot.seller, principal)
        if lot.issuer_bears_loss:
            self.claim(lot.issuer, lot.seller, lot.principal_sold - principal)
        return None

    def expire(self, lot: ModelLot) -> str | None:
        if lot.expiry is None or lot.expiry >= self.day or lot.face == lot.principal:
            return "LOT_NOT_OPEN"
        if lot.reserved:
            return "WALLET_HAS_HOLDS"
        lot.face = lot.principal
        return None

    def cash_out(self, at: str) -> str | None:
        if not any(lot.face for lot in self.lots):
            return "INSUFFICIENT_FUNDS"
        if any(lot.reserved for lot in self.lots):
            return "WALLET_HAS_HOLDS"
        for lot in self.lots:
            self.claim(lot.custodian, at, lot.principal)
            lot.take(lot.face, lot.principal)
        return None

    def capture(self, hold: ModelHold, amount: int) -> str | Spend:
        if not hold.is_open or self.seconds >= hold.until:
            return "HOLD_RESOLVED"
        if amount > sum(face for _, face in hold.reservations):
            return "CAPTURE_EXCEEDS_HOLD"
        plan, left = [], amount
        for lot, face in hold.reservations:
            plan.append((lot, min(left, face)))
            left -= min(left, face)
        if not all(self.accepted(lot, hold.at) for lot, face in plan if face):
            return "NOT_ACCEPTED_HERE"
        spend = self.spend(hold.at, [(lot, face) for lot, face in plan if face])
        self.release(hold, [captured for _, captured in plan])
        hold.is_captured = True
        return spend

    def release(self, hold: ModelHold, captured: list[int]) -> None:
        """End the hold, of each of whose reservations so much was captured."""
        for (lot, face), spent in zip(hold.reservations, captured, strict=True):
            lot.reserved -= face
            if lot.reversed:
                principal = lot.split(face - spent)
                lot.take(face - spent, principal)
                self.pass_on(lot, principal)
        hold.is_open = False

    def end(self, hold: ModelHold, *, late: bool) -> str | None:
        """A void, which comes in time, or the expiry, which comes `late`."""
        if not hold.is_open or (self.seconds >= hold.until) is not late:
            return "HOLD_RESOLVED"
        self.release(hold, [0] * len(hold.reservations))
        return None


def shares(part: Part) -> tuple[int, int, int]:
    """What issuer, sponsor and acquirer bear of the bonus of a draw: cumulative floor, the last the rest."""
    bonus = part.face - part.principal
    issuers = part.rules.share if part.rules else Fraction(1)
    first, second = floor(bonus * issuers * (1 - part.lot.sponsor_share)), floor(bonus * issuers)
    return first, second - first, bonus - second


def shares_back(part: Part) -> tuple[int, int, int]:
    """What of those shares has been returned: the acquirer's parted off first, then issuer and sponsor."""
    bonus, back = part.face - part.principal, part.back_face - part.back_principal
    issuer, sponsor, _ = shares(part)
    both = floor(Fraction(back * (issuer + sponsor), bonus)) if bonus else 0
    first = floor(Fraction(both * issuer, issuer + sponsor)) if issuer + sponsor else 0
    return first, both - first, back - both


def interchange(rules: Rules, parts: list[Part]) -> int:
    return round(rules.fee * sum(part.face if rules.gross else part.principal for part in parts))


def slice_of(total: int, before: int, after: int, whole: int) -> int:
    return floor(Fraction(total * after, whole)) - floor(Fraction(total * before, whole))
