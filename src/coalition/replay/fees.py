"""Fees of windows once more, by SUMS.md and decision 0025: volumes of a window and of its members, then the schedules.

An operation belongs to the window of each calendar by its batch, whether or not it made a claim. What comes back lowers
the volume of whoever had sold it, in the window in which it comes back. Never looks at a posted fee.
"""

from collections import Counter

from coalition.replay.asked import Asked
from coalition.replay.facts import Facts
from coalition.replay.sums import window_fee


class WindowFees:
    """The volumes of every window of the calendars that have fees, added up while the journal is read."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        # (calendar, label, participant, base) -> minor units or members.
        self._volumes: Counter[tuple[str, str, str, str]] = Counter()
        self._active: set[int] = set()
        for number, recruiter in facts.enrolments() if facts.fee_calendars else ():
            self._add(number, recruiter, "NEW_MEMBERS", 1)

    def sold(self, asked: Asked) -> None:
        """A purchase, and maybe the wallet's first."""
        self._add(asked.number, asked.participant, "PURCHASES", asked.amount)
        if asked.wallet not in self._active:
            self._active.add(asked.wallet)
            self._add(asked.number, self._facts.recruiters.get(asked.wallet, ""), "ACTIVATED_MEMBERS", 1)

    def given_back(self, asked: Asked, seller: str) -> None:
        """A refund of what `seller` had sold."""
        self._add(asked.number, seller, "PURCHASES", -asked.amount)

    def topped_up(self, asked: Asked) -> None:
        """A lot was sold."""
        self._add(asked.number, asked.participant, "TOP_UPS", asked.amount)

    def owed(self, calendar: str, label: str) -> list[tuple[str, str, int]]:
        """(payer, payee, fee) of a closed window, those of 0 too."""
        owed = []
        for fees in self._facts.fees(calendar, self._facts.last_day(calendar, label)):
            measured = fees.payee if fees.of_payee else fees.payer
            owed.append((fees.payer, fees.payee, window_fee(fees, self._volumes[calendar, label, measured, fees.base])))
        return owed

    def _add(self, number: int, participant: str, base: str, amount: int) -> None:
        for calendar in self._facts.fee_calendars:
            self._volumes[calendar, self._facts.window(calendar, number), participant, base] += amount
