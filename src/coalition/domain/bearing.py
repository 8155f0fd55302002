"""Who bears the bonus of a draw, and in which calendar its claims fall (SUMS section 3, "Bonus bearers").

The acceptance agreement splits a bonus between issuer and acquirer; the issuer's part goes on to the sponsor named in
the lot's terms. Never posts anything: it says how many minor units each of the three bears.
"""

from dataclasses import dataclass
from typing import NamedTuple

from coalition.domain.agreements import WHOLE, Acceptance, Terms
from coalition.domain.rates import Rate


class Borne(NamedTuple):
    """What each party bears of a bonus, minor units."""

    issuer: int
    sponsor: int
    acquirer: int


@dataclass(frozen=True, slots=True)
class Bearing:
    """The marks of the ordered list issuer, sponsor, acquirer: the first's part, and that of the first two together.

    `sponsor_id` is 0 where the terms name none; its part is then 0 too. Claims of principal that custody holds go by
    the calendar of the terms (daily, say), all others by that of the acceptance.
    """

    calendar_id: int
    principal_calendar_id: int
    sponsor_id: int
    issuer_mark: Rate
    sponsor_mark: Rate

    def shares(self, bonus: int) -> Borne:
        """Each but the last takes the cumulative floor, the last the rest."""
        issuer, first_two = self.issuer_mark.floor(bonus), self.sponsor_mark.floor(bonus)
        return Borne(issuer, first_two - issuer, bonus - first_two)

    def shares_returned(self, bonus: int, before: int, after: int) -> Borne:
        """What each gets back when the returned part of `bonus` grows from `before` to `after`."""
        if not bonus:
            return Borne(0, 0, 0)
        whole = self.shares(bonus)
        now, then = _part(whole, bonus, after), _part(whole, bonus, before)
        return Borne(now.issuer - then.issuer, now.sponsor - then.sponsor, now.acquirer - then.acquirer)


def _part(whole: Borne, bonus: int, back: int) -> Borne:
    """The shares of the first `back` of a bonus that was shared as `whole`.

    The acquirer's part is parted first, then the sponsor's from what the first two return: so none of the three ever
    shrinks as `back` grows. Marks floored side by side do that to the one in the middle.
    """
    first_two_whole = whole.issuer + whole.sponsor
    first_two = back * first_two_whole // bonus
    issuer = first_two * whole.issuer // first_two_whole if first_two_whole else 0
    return Borne(issuer, first_two - issuer, back - first_two)


def bearing(
    terms: Terms,
    acceptance: Acceptance | None,
    calendar_id: int,
    terms_calendar_id: int,
    sponsor_id: int,
    sponsor_share: Rate,
) -> Bearing:
    """The bearing of lots sold under `terms` and taken under `acceptance` (None on-us: the acquirer is the issuer).

    `sponsor_share` is the lot's own where its sponsor's limit was used up (sponsorship.py).
    """
    issuers_part = WHOLE if acceptance is None else acceptance.issuer_bonus_share
    principal_calendar_id = terms_calendar_id if terms.custody == "OPERATOR_HELD" else calendar_id
    return Bearing(
        calendar_id,
        principal_calendar_id,
        sponsor_id,
        issuers_part.times(sponsor_share.complement()),
        issuers_part,
    )
