"""Passes: prepaid visits. What one keeps, what a visit takes of its price, and what a batch knows of them.

A pass is prepaid money (SUMS section 5): it was sold as `visits_sold` visits for `price_minor`, and both go down
together. It is no lot: no balance has it in it, and no purchase draws on it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple


@dataclass(slots=True)
class Pass:
    """A working copy of one pass inside a batch; its id is that of the entry that sold it. Money is minor units.

    `visits` and `principal` are what is left; `is_over`: it was paid out.
    """

    lane: int
    pass_id: int
    wallet_id: int
    issuer_id: int
    custodian_id: int
    seller_id: int
    terms_id: int
    terms_version: int
    last_day: date | None
    visits_sold: int
    price_minor: int
    visits: int
    principal: int
    is_over: bool = False

    @property
    def is_untouched(self) -> bool:
        return self.visits == self.visits_sold and not self.is_over

    def has_ended(self, business_date: date) -> bool:
        """The last day itself may still be used."""
        return self.last_day is not None and self.last_day < business_date


class Visit(NamedTuple):
    """Visits that an entry took of a pass, with what they cost and under which acceptance (None, None on-us)."""

    lane: int
    entry_id: int
    pass_id: int
    visits: int
    principal: int
    agreement_id: int | None
    agreement_version: int | None
    is_returned: bool


@dataclass(slots=True)
class PassBook:
    """The passes that a batch concerns, and the visits that it names. Changed ones are in `moved` and `taken`."""

    passes: dict[int, Pass] = field(default_factory=dict)
    visits: dict[int, Visit] = field(default_factory=dict)
    opened: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)

    def open_of(self, wallet_id: int) -> list[Pass]:
        """What a wallet has left, the soonest to end first, then the oldest."""
        return in_order(each for each in self.passes.values() if each.wallet_id == wallet_id and is_open(each))


def is_open(held: Pass) -> bool:
    """Whether anything is left of it: a visit, or money."""
    return not held.is_over and bool(held.visits or held.principal)


def in_order(passes: Iterable[Pass]) -> list[Pass]:
    """The order in which passes are used."""
    return sorted(passes, key=lambda each: (each.last_day or date.max, each.pass_id))


def principal_of_visits(held: Pass, visits: int) -> int:
    """What so many more visits take of the price, minor units.

    Visit n takes `floor(n * P0 / F0)` less what was taken; where visits were returned out of their order that may be a
    fen off, and is kept between nothing and what is left. The last visit takes all of it.
    """
    spent = held.visits_sold - held.visits + visits
    taken = held.price_minor - held.principal
    return min(max(spent * held.price_minor // held.visits_sold - taken, 0), held.principal)
