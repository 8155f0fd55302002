"""The arithmetic of points and passes once more, from SUMS.md section 5 and decisions 0037 and 0038 alone.

As in `sums.py`: never imports the rules it checks; whole minor units, points and visits, exact fractions.
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from coalition.replay.sums import AcceptanceFacts, AcquiringFacts, floor_of


@dataclass(frozen=True, slots=True)
class PointsFacts:
    """What a version of a points programme says. `steps` are (from which sale on, points a minor unit), rising; `value`
    is what a point is worth at netting, minor units.
    """

    debtor: str
    earned_at: tuple[str, ...]
    steps: tuple[tuple[int, Fraction], ...]
    value: Fraction
    by_acquirer: bool
    calendar: str


@dataclass(frozen=True, slots=True)
class PassFacts:
    """What a pass is sold under: `visits` for `price`, usable for `months` (None: for ever) at `honoured_at` (none: at
    whoever takes the issuer's value).
    """

    issuer: str
    operator_held: bool
    price: int
    visits: int
    months: int | None
    honoured_at: tuple[str, ...]
    seller_commission: Fraction
    calendar: str


@dataclass(slots=True)
class PointsMove:
    """Points that an entry earned or spent under a version, and how many of them have come back."""

    programme: str
    version: int
    participant: str
    points: int
    back: int = 0


@dataclass(slots=True)
class Pass:
    """A pass as it was sold, and what is left of it. `number` is the entry that sold it."""

    number: int
    issuer: str
    custodian: str
    seller: str
    terms: PassFacts
    last_day: date | None
    visits: int
    principal: int
    is_over: bool = False

    @property
    def is_open(self) -> bool:
        """Whether anything is left of it: a visit, or money."""
        return not self.is_over and bool(self.visits or self.principal)

    def precedence(self) -> tuple[date, int]:
        """The soonest to end first, those without an end last, then the older one."""
        return self.last_day or date.max, self.number

    def take(self, visits: int) -> int:
        """Use so many visits; what they take of the price."""
        worth = worth_of_visits(self.terms, self.visits, self.principal, visits)
        self.visits -= visits
        self.principal -= worth
        return worth

    def give_back(self, visits: int, worth: int) -> None:
        """Visits that were taken come back with what they took."""
        self.visits += visits
        self.principal += worth


@dataclass(slots=True)
class Visit:
    """Visits that an entry took: of which pass, at what worth, under which agreements."""

    held: Pass
    visits: int
    worth: int
    acquirer: str
    recruiter: str
    acceptance: AcceptanceFacts
    acquiring: AcquiringFacts
    is_returned: bool = False


def points_earned(steps: tuple[tuple[int, Fraction], ...], amount: int) -> int:
    """The points of a sale: the highest step it reaches is of all of it, rounded down; below the first none."""
    rates = [rate for start, rate in steps if start <= amount]
    return floor_of(amount, rates[-1]) if rates else 0


def worth_of_visits(terms: PassFacts, left: int, principal: int, visits: int) -> int:
    """Visit n takes `floor(n * price / visits)` less what was taken. After returns out of their order it may be a fen
    off: never below nothing, never more than is left.
    """
    nth = terms.visits - left + visits
    due = nth * terms.price // terms.visits - (terms.price - principal)
    return min(max(due, 0), principal)
