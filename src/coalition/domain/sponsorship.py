"""A sponsor's limit beyond which the issuer bears the bonus: what of each lot's bonus the sponsor still takes on. Pure.

Exact to the minor unit, in the order of the journal: whoever sells under such terms holds what was taken on before, so
the lot that crosses the limit is shared at it, and every later one is the issuer's. A lot keeps its own part only where
that is less than its terms say.
"""

from collections.abc import Mapping

from coalition.domain.agreements import Terms
from coalition.domain.errors import LedgerBroken
from coalition.domain.lots import Lot
from coalition.domain.rates import Rate


def is_held(terms: Terms) -> bool:
    """Whether what the sponsor has taken on is held while a lot is sold under these terms."""
    return terms.when_used_up == "ISSUER"


def part_of_sponsor(terms: Terms, bonus_minor: int, taken_on_minor: int) -> int:
    """What the sponsor takes on of a bonus, having taken on so much before."""
    if terms.sponsor_limit_minor is None:
        return terms.sponsored_part(bonus_minor)
    return min(terms.sponsored_part(bonus_minor), max(terms.sponsor_limit_minor - taken_on_minor, 0))


def own_part(terms: Terms, terms_id: int, bonus_minor: int, taken_on: Mapping[int, int]) -> int | None:
    """The part that a lot of this bonus keeps as its own; None where it is what the terms say.

    `taken_on` is what sponsors have taken on before, by agreement, held. Raises LedgerBroken where nobody holds it.
    """
    if not is_held(terms):
        return None
    if terms_id not in taken_on:
        raise LedgerBroken(f"a lot is sold under terms {terms_id}, and what their sponsor has taken on is not held")
    part = part_of_sponsor(terms, bonus_minor, taken_on[terms_id])
    return None if part == terms.sponsored_part(bonus_minor) else part


def take_on(terms: Terms, lot: Lot, taken_on: dict[int, int]) -> None:
    """Count what the sponsor has taken on of a lot that was just granted, so that the next finds so much less."""
    if is_held(terms) and lot.bonus_sold:
        taken_on[lot.terms_id] += terms.sponsored_part(lot.bonus_sold) if lot.sponsored is None else lot.sponsored


def share_of(terms: Terms, lot: Lot) -> Rate:
    """The sponsor's share of what the issuer bears of a lot's bonus."""
    if lot.sponsored is None:
        return terms.sponsor_share
    return Rate.of(lot.sponsored, lot.bonus_sold)
