"""Lots: what one top-up created, how a spend divides it, how a refund puts it back (SUMS section 1).

A lot keeps what was sold (`face_sold`, `principal_sold`) and what is left (`face`, `principal`); the bonus is the
difference. All amounts are minor units.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

SHORTFALL_LOT: Final = 0
"""No lot has this id: stands in the allocation of what an upload found missing from the wallet."""


@dataclass(slots=True)
class Lot:
    """A working copy of one lot inside a batch. `sponsored` of its bonus is the sponsor's; None: what its terms say."""

    lane: int
    lot_id: int
    wallet_id: int
    issuer_id: int
    custodian_id: int
    seller_id: int
    terms_id: int
    terms_version: int
    bonus_expiry: date | None
    face_sold: int
    principal_sold: int
    face: int
    principal: int
    reserved: int = 0
    is_reversed: bool = False
    sponsored: int | None = None

    @property
    def bonus_sold(self) -> int:
        return self.face_sold - self.principal_sold

    @property
    def bonus(self) -> int:
        return self.face - self.principal

    @property
    def spendable(self) -> int:
        """What is neither spent nor reserved by a hold."""
        return self.face - self.reserved

    def bonus_expired(self, business_date: date) -> bool:
        """The expiry date itself is the bonus's last day."""
        return self.bonus_expiry is not None and self.bonus_expiry < business_date


class Draw(NamedTuple):
    """A part of one lot: `face` of which `principal` is principal and the rest bonus."""

    lot: Lot
    face: int
    principal: int


def principal_of_spend(lot: Lot, amount: int) -> int:
    """The principal in a spend of `amount` of this lot.

    A floor over all that was ever spent of the lot, not over what remains: every slicing stays within one minor unit of
    the exact ratio and cannot be farmed.
    """
    principal, principal_sold = lot.principal, lot.principal_sold
    spent = lot.face_sold - lot.face + amount
    exact = spent * principal_sold // lot.face_sold - principal_sold + principal
    return min(max(exact, amount - lot.face + principal, 0), amount, principal)


def consumption_order(lots: Iterable[Lot]) -> list[Lot]:
    """Soonest bonus expiry first (never last), then oldest."""
    return sorted(lots, key=_precedence)


def _precedence(lot: Lot) -> tuple[date, int]:
    return lot.bonus_expiry or date.max, lot.lot_id


def draw(lots: Iterable[Lot], amount: int) -> list[Draw]:
    """Take `amount` from `lots` in their given order; what the lots cannot give is missing from the sum."""
    draws = []
    for lot in lots:
        face = min(amount, lot.face - lot.reserved)
        if face:
            draws.append(Draw(lot, face, principal_of_spend(lot, face)))
            amount -= face
            if not amount:
                break
    return draws


class Allocation(NamedTuple):
    """A stored draw of an earlier entry with what refunds returned of it so far."""

    place: int
    lot_id: int
    face: int
    principal: int
    agreement_id: int | None
    agreement_version: int | None
    returned_face: int = 0
    returned_principal: int = 0

    @property
    def is_shortfall(self) -> bool:
        """Whether somebody else than the wallet paid it; of no principal."""
        return self.lot_id == SHORTFALL_LOT


class Return(NamedTuple):
    """What a refund puts back of one allocation."""

    allocation: Allocation
    face: int
    principal: int


def give_back(allocations: Iterable[Allocation], amount: int) -> list[Return]:
    """Return `amount` to the original lots, last allocation first; a full refund in any slices is the exact inverse."""
    returns = []
    for allocation in reversed(list(allocations)):
        face = min(amount, allocation.face - allocation.returned_face)
        if face:
            after = (allocation.returned_face + face) * allocation.principal // allocation.face
            returns.append(Return(allocation, face, after - allocation.returned_principal))
            amount -= face
    return returns
