"""What the points of a closed window are worth: each debtor's to each creditor, by the version they were moved under.

Rounded half-even once per (debtor, creditor, version), never per sale (SUMS section 5). Pure: sums in, claims out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from coalition.domain.accounts import FIRST_OF_POINTS, TransferCode, clearing_account, points_unit
from coalition.domain.errors import LedgerBroken
from coalition.domain.journal import Transfer
from coalition.domain.rates import Rate

PointsClaim = tuple[int, int, int, int]
"""Debtor, creditor, unit, points."""


class Worth(NamedTuple):
    """A version of a points programme, and what a point is worth under it, minor units."""

    agreement_id: int
    version: int
    value: Rate


class Valued(NamedTuple):
    """Points that one participant owes another under a version, and the money they become, minor units."""

    debtor_id: int
    creditor_id: int
    unit: int
    points: int
    worth: Worth
    amount_minor: int


def value_points(claims: Iterable[PointsClaim], worths: Mapping[int, Worth]) -> list[Valued]:
    """Every claim in points, added up by debtor, creditor and unit, in that order. Other units are left alone.

    Raises LedgerBroken for a unit that no version has.
    """
    sums: dict[tuple[int, int, int], int] = defaultdict(int)
    for debtor_id, creditor_id, unit, points in claims:
        if unit >= FIRST_OF_POINTS:
            sums[debtor_id, creditor_id, unit] += points
    valued = []
    for (debtor_id, creditor_id, unit), points in sorted(sums.items()):
        worth = worths.get(unit)
        if worth is None:
            raise LedgerBroken(f"claims in points of unit {unit}, which no version of a programme has")
        valued.append(Valued(debtor_id, creditor_id, unit, points, worth, worth.value.half_even(points)))
    return valued


def valuation_transfers(valued: Iterable[Valued], window_id: int) -> list[Transfer]:
    """`D=>C` the money, and `C=>D` the points, which are settled by it: of these a window has nothing left to net."""
    legs = []
    for debtor_id, creditor_id, unit, points, _, amount in valued:
        debtor, creditor = clearing_account(debtor_id), clearing_account(creditor_id)
        if amount:
            legs.append(Transfer(debtor, creditor, amount, TransferCode.POINTS_VALUE, window_id))
        legs.append(Transfer(creditor, debtor, points, TransferCode.POINTS_VALUE, window_id, points_unit(unit)))
    return legs
