"""The arithmetic of SUMS.md once more, written from the page alone: lots, draws, returns, bonus shares, fees.

It exists so that the books can be checked by a second hand. Never imports the rules it checks; amounts are whole minor
units, rates are exact fractions, nothing is a float.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

RECRUITER: Final = "RECRUITER"


@dataclass(slots=True)
class Lot:
    """What one top-up sold (`face_sold`, `principal_sold`) and what is left of it; face less principal is bonus."""

    lot: int
    issuer: str
    custodian: str
    sponsor: str
    sponsor_share: Fraction
    calendar: str
    bonus_expiry: date | None
    face_sold: int
    principal_sold: int
    face: int
    principal: int

    def precedence(self) -> tuple[bool, date, int]:
        """Soonest bonus expiry first, none last, then the older lot."""
        return (self.bonus_expiry is None, self.bonus_expiry or date.max, self.lot)


@dataclass(slots=True)
class Allocation:
    """What one purchase drew from one lot, what it became, and what refunds returned of it so far."""

    lot: Lot
    face: int
    principal: int
    acceptance: "AcceptanceFacts"
    returned_face: int = 0
    returned_principal: int = 0

    @property
    def bonus(self) -> int:
        return self.face - self.principal


@dataclass(frozen=True, slots=True)
class AcceptanceFacts:
    """What an acquirer agreed for an issuer's lots; on-us there is no agreement, and the issuer bears its bonus."""

    agreement: str
    version: int
    accepted: bool
    issuer_bonus_share: Fraction
    interchange: Fraction
    interchange_on_gross: bool
    fees_return: bool
    calendar: str


ON_US = AcceptanceFacts("", 0, True, Fraction(1), Fraction(0), True, True, "")  # noqa: FBT003 - a row of facts


@dataclass(frozen=True, slots=True)
class AcquiringFacts:
    """What an acquirer pays for each purchase; `commission_to` is a participant or RECRUITER."""

    operator_fee: Fraction
    commission: Fraction
    commission_to: str
    on_gross: bool
    fees_return: bool
    calendar: str


@dataclass(frozen=True, slots=True)
class TermsFacts:
    """What lots are sold under. Above `held_limit`, minor units, the issuer bears the bonus; None where it does not."""

    issuer: str
    operator_held: bool
    tiers: tuple[tuple[int, Fraction], ...]
    bonus_months: int | None
    sponsor: str
    sponsor_share: Fraction
    held_limit: int | None
    seller_commission: Fraction
    calendar: str


@dataclass(frozen=True, slots=True)
class FeesFacts:
    """What a participant pays another for each window; amounts in minor units, None binds not.

    `bands` are (from which volume on, rate) in rising order; `by_whole`: the highest band reached is of all the volume.
    """

    payer: str
    payee: str
    base: str
    of_payee: bool
    bands: tuple[tuple[int, Fraction], ...]
    by_whole: bool
    flat: int
    minimum: int | None
    maximum: int | None
    calendar: str


@dataclass(frozen=True, slots=True)
class CapsFacts:
    """What a participant may owe over all unpaid windows, and from what part of it on it is warned, percent."""

    participant: str
    net_debit: int
    warning_percent: int
    with_collateral: bool


@dataclass(slots=True)
class Purchase:
    """A purchase as the second hand computed it, kept for its refunds."""

    acquirer: str
    recruiter: str
    amount: int
    acquiring: AcquiringFacts
    allocations: list[Allocation]
    returned: int = 0


def half_even(amount: int, rate: Fraction) -> int:
    """`amount * rate` rounded to the nearest whole, halves to the even one; Fraction rounds exactly so."""
    return round(amount * rate)


def floor_of(amount: int, rate: Fraction) -> int:
    """`amount * rate` rounded down."""
    return amount * rate.numerator // rate.denominator


def entry_fees(
    operator: str, acquiring: AcquiringFacts, recruiter: str, gross: int, principal: int
) -> tuple[tuple[str, int, str], tuple[str, int, str]]:
    """(payee, amount, code) of the operator's fee and of the commission of a sale, each rounded once."""
    base = gross if acquiring.on_gross else principal
    payee = recruiter if acquiring.commission_to == RECRUITER else acquiring.commission_to
    return (
        (operator, half_even(base, acquiring.operator_fee), "OPERATOR_FEE"),
        (payee, half_even(base, acquiring.commission), "COMMISSION"),
    )


def bonus_sold(terms: TermsFacts, principal: int) -> int:
    """The bonus of the highest tier the paid principal reaches, rounded down."""
    rates = [rate for from_minor, rate in sorted(terms.tiers) if from_minor <= principal]
    return floor_of(principal, rates[-1]) if rates else 0


def window_fee(fees: FeesFacts, volume: int) -> int:
    """The fee of a window: bands and flat part exact, rounded once; then minimum, then maximum."""
    volume = max(volume, 0)
    exact = Fraction(fees.flat)
    for place, (start, rate) in enumerate(fees.bands):
        end = fees.bands[place + 1][0] if place + 1 < len(fees.bands) else None
        if volume < start:
            break
        if not fees.by_whole:
            exact += rate * ((volume if end is None else min(volume, end)) - start)
        elif end is None or volume < end:
            exact += rate * volume
    fee = max(round(exact), fees.minimum or 0)
    return fee if fees.maximum is None else min(fee, fees.maximum)


def spend(lot: Lot, amount: int) -> tuple[int, int]:
    """Take `amount` of the lot: (principal, bonus), by the cumulative floor over all that was ever spent of it."""
    bonus_left = lot.face - lot.principal
    exact = (lot.face_sold - lot.face + amount) * lot.principal_sold // lot.face_sold
    principal = exact - (lot.principal_sold - lot.principal)
    principal = min(max(principal, amount - bonus_left, 0), amount, lot.principal)
    lot.face -= amount
    lot.principal -= principal
    return principal, amount - principal


def give_back(allocations: Sequence[Allocation], amount: int) -> list[tuple[Allocation, int, int]]:
    """Return `amount`, last allocation first: (allocation, principal, bonus) of each part, put back on its lot."""
    parts = []
    for allocation in reversed(allocations):
        face = min(amount, allocation.face - allocation.returned_face)
        if face == 0:
            continue
        after = (allocation.returned_face + face) * allocation.principal // allocation.face
        principal = after - allocation.returned_principal
        parts.append((allocation, principal, face - principal))
        allocation.returned_face += face
        allocation.returned_principal = after
        allocation.lot.face += face
        allocation.lot.principal += principal
        amount -= face
    return parts


def share_left(terms: TermsFacts, bonus: int, taken_on: int) -> tuple[Fraction, int]:
    """The sponsor's share of one lot's bonus and what it comes to, having taken on so much of its limit before."""
    whole = bonus - floor_of(bonus, 1 - terms.sponsor_share)
    if terms.held_limit is None or whole <= max(terms.held_limit - taken_on, 0):
        return terms.sponsor_share, whole
    left = max(terms.held_limit - taken_on, 0)
    return Fraction(left, bonus), left


def bonus_shares(bonus: int, issuer_share: Fraction, sponsor_share: Fraction) -> tuple[int, int, int]:
    """(issuer, sponsor, acquirer): each but the last takes the cumulative floor, the last the rest."""
    issuer = floor_of(bonus, issuer_share * (1 - sponsor_share))
    with_sponsor = floor_of(bonus, issuer_share)
    return issuer, with_sponsor - issuer, bonus - with_sponsor


def bonus_returned(allocation: Allocation, before: int) -> tuple[int, int]:
    """What (issuer, sponsor) get back as the returned bonus of an allocation grows from `before` to what it is now.

    Cumulative floors of the shares the purchase stored. The acquirer's part is parted first and the sponsor's out of
    the rest, so that no share ever shrinks while more comes back.
    """
    whole = bonus_shares(allocation.bonus, allocation.acceptance.issuer_bonus_share, allocation.lot.sponsor_share)
    now = _shares_of(whole, allocation.bonus, allocation.returned_face - allocation.returned_principal)
    then = _shares_of(whole, allocation.bonus, before)
    return now[0] - then[0], now[1] - then[1]


def _shares_of(whole: tuple[int, int, int], bonus: int, back: int) -> tuple[int, int]:
    borne = whole[0] + whole[1]
    if bonus == 0 or borne == 0:
        return 0, 0
    both = back * borne // bonus
    issuer = both * whole[0] // borne
    return issuer, both - issuer


def returned_part(total: int, before: int, after: int, whole: int) -> int:
    """What comes back of `total` as the returned part of `whole` grows from `before` to `after`: cumulative floor."""
    return total * after // whole - total * before // whole


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or the last day of that month."""
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError("unreachable: every month has 28 days")
