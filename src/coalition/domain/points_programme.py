"""What points are under: who owes them, what earns them, what one is worth, who pays for them, where they are spent.

An agreement in versions, of kind POINTS. A version says what a point is worth, so each has a unit of its own.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from coalition.domain.agreement_fields import COUNT_MAX, MONTHS_MAX, Fields
from coalition.domain.calendars import months_later
from coalition.domain.rates import Rate

BEARERS: Final = ("DEBTOR", "ACQUIRER")
# No purchase of a fen earns more than a thousand points, no point is worth more than ten thousand yuan.
EARN_RATE_MAX: Final = 1_000
VALUE_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class EarnStep:
    """From `from_minor` of a purchase on, all of it earns `rate` points a minor unit, rounded down."""

    from_minor: int
    rate: Rate


@dataclass(frozen=True, slots=True)
class Conversion:
    """What members may turn points into: value of `issuer`, sold under its terms (None: its only ones).

    `rate` is the value of one point, minor units, exact; from `minimum_points` on, in multiples of `step_points`. With
    `voucher_months` it is a voucher, all bonus of the debtor, which ends after so many months; else stored value, all
    of it principal, which the debtor pays for.
    """

    issuer: str
    terms: str | None
    rate: Rate
    minimum_points: int
    step_points: int
    voucher_months: int | None

    def worth(self, points: int) -> int:
        """What so many points become, minor units, rounded down: the rest of a fen stays with the debtor."""
        return self.rate.floor(points)

    def takes(self, points: int) -> bool:
        """Whether so many may be converted at a time."""
        return points >= self.minimum_points and not points % self.step_points


class Repayment(NamedTuple):
    """`rate` points of the programme that repays for one that is owed; `programme` is the other. Both say the same."""

    programme: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class PointsProgramme:
    """`value` is what one point is worth at netting, minor units, exact.

    Members earn at the parties `earned_at`, at each under one programme, and spend at `spent_at` (empty: where they
    earn). With `borne_by` ACQUIRER whoever sold pays the debtor for the points when they are earned; with DEBTOR nobody
    does. The debtor pays where they are spent. Without a `conversion` they become no value, without `months` they never
    end. With these members may repay what they owe of those it `repays`; it is `repaid_with` others.
    """

    debtor: str
    earned_at: tuple[str, ...]
    steps: tuple[EarnStep, ...]
    value: Rate
    borne_by: str
    spent_at: tuple[str, ...]
    calendar: str
    conversion: Conversion | None = None
    months: int | None = None
    repays: tuple[Repayment, ...] = ()
    repaid_with: tuple[Repayment, ...] = ()

    def last_day(self, business_date: date) -> date | None:
        """The last day of points earned on a day: months later, or that month's last day; None where none is."""
        return None if self.months is None else months_later(business_date, self.months)

    def earned(self, amount_minor: int) -> int:
        """The points of a purchase of `amount_minor`: those of the highest step it reaches; 0 below the first."""
        reached = [step for step in self.steps if step.from_minor <= amount_minor]
        return reached[-1].rate.floor(amount_minor) if reached else 0

    @property
    def honoured_at(self) -> tuple[str, ...]:
        """Where points are spent."""
        return self.spent_at or self.earned_at


def points_programme(fields: Fields) -> PointsProgramme:
    """The content of an agreement of kind POINTS. Raises Refused(AGREEMENT_INVALID)."""
    debtor = fields.code("debtor")
    steps: list[EarnStep] = []
    for row in fields.rows("steps", "steps with from_minor and rate"):
        from_minor = row.whole("from_minor", None)
        if from_minor is None or (steps and from_minor <= steps[-1].from_minor):
            raise row.bad("from_minor", "amounts in rising order")
        steps.append(EarnStep(from_minor, row.rate("rate", "0", EARN_RATE_MAX)))
        row.finish()
    return PointsProgramme(
        debtor=debtor,
        earned_at=fields.parties("earned_at", [debtor]),
        steps=tuple(steps),
        value=fields.rate("value", "0", VALUE_MAX),
        borne_by=fields.choice("borne_by", BEARERS),
        spent_at=fields.parties("spent_at", [], may_be_none=True),
        calendar=fields.code("calendar", "monthly"),
        conversion=_conversion(fields.part("conversion", "an object with a rate"), debtor),
        months=fields.whole("months", None, MONTHS_MAX),
        repays=_repayments(fields, "repays"),
        repaid_with=_repayments(fields, "repaid_with"),
    )


def _repayments(fields: Fields, name: str) -> tuple[Repayment, ...]:
    found: list[Repayment] = []
    for row in fields.rows(name, "programmes with a rate"):
        repayment = Repayment(row.code("programme"), row.rate("rate", "0", VALUE_MAX))
        if any(repayment.programme == each.programme for each in found):
            raise row.bad("programme", "each programme once")
        if not repayment.rate.numerator:
            raise row.bad("rate", "a fraction above 0")
        found.append(repayment)
        row.finish()
    return tuple(found)


def _conversion(fields: Fields | None, debtor: str) -> Conversion | None:
    if fields is None:
        return None
    conversion = Conversion(
        issuer=fields.code("issuer", debtor),
        terms=fields.optional_code("terms"),
        rate=fields.rate("rate", "0", VALUE_MAX),
        minimum_points=fields.whole("minimum_points", 1) or 1,
        step_points=fields.whole("step_points", 1, COUNT_MAX) or 1,
        voucher_months=fields.whole("voucher_months", None, MONTHS_MAX),
    )
    if not conversion.worth(max(conversion.minimum_points, conversion.step_points)):
        raise fields.bad("rate", "a fraction by which the fewest points that are taken become a minor unit")
    if conversion.voucher_months is not None and conversion.issuer != debtor:
        raise fields.bad("issuer", "the debtor, who gives the voucher")
    fields.finish()
    return conversion
