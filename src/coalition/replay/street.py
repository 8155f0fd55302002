"""The members and the tills, day by day: a day is planned by what its members really have, sent, and remembered.

What comes back on a later day is kept until then. Never decides about value: the answers of the tills do.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from coalition.replay.benefits import Benefits
from coalition.replay.plan import plan
from coalition.replay.tills import Takings, Tills
from coalition.replay.trade import Basket, Return, Trade, days_of


class Street:
    """The members and the tills, day by day: plans a day by what its members really have, and sends it."""

    def __init__(self, trade: Trade, tills: Tills, takings: Takings) -> None:
        self._trade = trade
        self._tills = tills
        self._takings = takings
        self._balances: dict[str, int] = {}
        self._benefits = Benefits(trade)
        self._coming_back: dict[str, list[Return]] = {}

    def trade(self, day: str, baskets: Sequence[Basket], advance: Callable[[int], None]) -> None:
        """Send what comes back that day and what is bought; remember what will come back."""
        trade = self._trade
        returns = [self._paid(back) for back in self._coming_back.pop(day, [])]
        rule, balances = trade.top_up_rule, self._balances
        operations = list(plan(baskets, trade.homes, rule, balances, returns, self._benefits, day))
        self._tills.replay(operations, self._takings, advance)
        for member, apart in self._tills.apart().items():
            self._balances[member] += apart.minor
            self._benefits.move(member, apart.points)
        for back in map(trade.return_rule.returned, baskets) if trade.return_rule else ():
            if back is not None:
                self._coming_back.setdefault(back.day, []).append(back)

    def _paid(self, back: Return) -> Return:
        """What of it was paid by card or pass: where a cap declined the purchase nothing comes back."""
        paid = [part for part in back.parts if self._tills.was_paid(back.basket.basket, part.merchant)]
        return replace(back, parts=tuple(paid))


def days(trade: Trade, label: str) -> Iterator[tuple[str, Sequence[Basket]]]:
    """The month day by day, if each is cut; else all of it at once."""
    baskets = trade.baskets[label]
    if not trade.settling.daily:
        yield label, baskets
        return
    by_day = {day: list(group) for day, group in groupby(baskets, key=lambda basket: basket.day)}
    for day in days_of(label):
        yield day, by_day.get(day, [])
