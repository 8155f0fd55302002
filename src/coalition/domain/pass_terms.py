"""What a pass is sold under: so many visits for so much, how long they last, who sells and who honours them.

An agreement in versions, of kind PASSES; its code is the name of the pass, and an issuer may sell several.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from coalition.domain.agreement_fields import CUSTODIES, MONTHS_MAX, Fields
from coalition.domain.calendars import months_later
from coalition.domain.rates import Rate

VISITS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class PassTerms:
    """`visits` for `price_minor`, minor units; to be used within `months` (None: for ever).

    `honoured_at` are the parties where a visit may be taken, of those that take the issuer's stored value; empty: all
    of these. No bonus: what is paid is all principal.
    """

    issuer: str
    custody: str
    sellers: tuple[str, ...]
    price_minor: int
    visits: int
    months: int | None
    honoured_at: tuple[str, ...]
    seller_commission: Rate
    calendar: str

    def last_day(self, business_date: date) -> date | None:
        """The last day on which a pass that is sold on a day may be used; None: there is none."""
        return None if self.months is None else months_later(business_date, self.months)


def pass_terms(fields: Fields) -> PassTerms:
    """The content of an agreement of kind PASSES. Raises Refused(AGREEMENT_INVALID)."""
    issuer = fields.party("issuer")
    price, visits = fields.whole("price_minor", None), fields.whole("visits", None, VISITS_MAX)
    if price is None:
        raise fields.bad("price_minor", "what the pass costs, minor units")
    if visits is None:
        raise fields.bad("visits", "how many visits the pass has")
    return PassTerms(
        issuer=issuer,
        custody=fields.choice("custody", CUSTODIES),
        sellers=fields.parties("sellers", [issuer]),
        price_minor=price,
        visits=visits,
        months=fields.whole("months", None, MONTHS_MAX),
        honoured_at=fields.parties("honoured_at", [], may_be_none=True),
        seller_commission=fields.rate("seller_commission", "0"),
        calendar=fields.code("calendar", "monthly"),
    )
