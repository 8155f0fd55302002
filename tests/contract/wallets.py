"""The model's wallets: lots, what is spent of them and given back. SUMS section 1, said plainly."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from tests.contract.credentials import NO_LIMITS, Device, Limits, Pin, Spend
from tests.contract.scheme import is_taken


@dataclass
class Lot:
    """Value of one top-up: what was sold (0) and what is left. `kept` is what open holds keep of it."""

    entry_id: int
    issuer: str
    ends: bool
    face0: int
    principal0: int
    face: int
    principal: int
    kept: int = 0
    is_reversed: bool = False

    @property
    def free(self) -> int:
        return self.face - self.kept

    def spend(self, x: int) -> int:
        """Take x; the principal in it: by the cumulative floor over everything ever spent of the lot (SUMS 1)."""
        spent_so_far = self.face0 - self.face
        p = floor(Fraction((spent_so_far + x) * self.principal0, self.face0)) - (self.principal0 - self.principal)
        p = min(max(p, 0, x - (self.face - self.principal)), x, self.principal)
        self.face -= x
        self.principal -= p
        return p


@dataclass
class Part:
    """What a spend took of one lot, and what of it went back. Without a lot: what an upload's bearer paid of it."""

    lot: Lot | None
    face: int
    principal: int
    face_back: int = 0
    principal_back: int = 0

    def give_back(self, y: int) -> int:
        """Return y to the lot; the principal in it."""
        p = floor(Fraction((self.face_back + y) * self.principal, self.face)) - self.principal_back
        self.face_back += y
        self.principal_back += p
        if self.lot is not None:
            self.lot.face += y
            self.lot.principal += p
        return p


@dataclass
class Wallet:
    """One member's value, the PIN that guards it, and every spend of it that counts."""

    name: str
    lots: list[Lot] = field(default_factory=list)
    pin: Pin | None = None
    spends: dict[int, Spend] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return sum(lot.face for lot in self.lots)

    @property
    def principal(self) -> int:
        return sum(lot.principal for lot in self.lots)

    def here(self, acquirer: str) -> int:
        """What the acquirer takes of it: not what holds keep."""
        return sum(lot.free for lot in self.lots if is_taken(lot.issuer, acquirer))

    def in_order(self, acquirer: str) -> list[Lot]:
        """Bonus that ends first, then the older lot (SUMS 1); only what is taken here and free."""
        usable = [lot for lot in self.lots if is_taken(lot.issuer, acquirer) and lot.free > 0]
        return sorted(usable, key=lambda lot: (not lot.ends, lot.entry_id))


@dataclass
class Card:
    """A card's state: ISSUED (of no member yet), ACTIVE, FROZEN or REPLACED. With a `device` it is a member's phone."""

    wallet: Wallet | None
    state: str = "ACTIVE"
    limits: Limits = NO_LIMITS
    device: Device | None = None

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty when it can."""
        if self.wallet is None:
            return "CARD_NOT_LINKED"
        return {"FROZEN": "CARD_FROZEN", "REPLACED": "CARD_REPLACED"}.get(self.state, "")
