"""A day is planned by what the tills said the day before: declined sales are not given back, balances are real."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from fractions import Fraction
from typing import cast

from coalition.replay.plan import Planned
from coalition.replay.street import Street, days
from coalition.replay.tills import Apart, Takings, Tills
from coalition.replay.trade import Basket, Part, ReturnRule, Settling, Tier, TopUpRule, Trade

NOON = datetime(2017, 2, 1, 17, tzinfo=UTC)
RULE = TopUpRule((5_000,), (Tier(5_000, Fraction(2, 100)),))


class CappedTills:
    """Tills at which nobody is sold value on the first day; remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int, int]] = []
        self._declined: dict[str, int] = {}
        self._days = 0

    def replay(self, operations: Iterable[Planned], _: Takings, advance: Callable[[int], None]) -> None:
        self._days += 1
        for each in operations:
            self.sent.append((each.kind, each.merchant, each.amount_minor, each.balance_minor))
            if self._days == 1 and each.merchant != "fuel":
                self._declined[each.member] = self._declined.get(each.member, 0) - each.change_minor
            advance(1)

    def apart(self) -> dict[str, Apart]:
        told, self._declined = self._declined, {}
        return {member: Apart(minor) for member, minor in told.items()}

    def was_paid(self, _: str, merchant: str) -> bool:
        return merchant == "fuel"


def trade(*baskets: Basket, daily: str = "daily") -> Trade:
    return Trade(
        display_name="Test",
        currency_code="USD",
        zone="UTC",
        merchants=(),
        agreements=(),
        top_up_rule=RULE,
        homes={"m": "home"},
        baskets={"2017-02": baskets},
        remarks=(),
        return_rule=ReturnRule(per_mille=1_000, days_max=1),
        settling=Settling(daily=daily),
    )


def test_what_a_cap_declined_is_neither_spent_nor_given_back():
    """5100 are not sold and 40 not paid: the next day begins without them, and only the fuel comes back."""
    basket = Basket("1", "m", NOON, "2017-02-01", (Part("store", 40), Part("fuel", 10)))
    tills, told = CappedTills(), trade(basket)
    street = Street(told, cast("Tills", tills), Takings())
    for day, baskets in days(told, "2017-02"):
        street.trade(day, baskets, lambda steps: None)

    back = tills.sent[3:]
    assert [
        ("TOP_UP", "home", 5_000, 5_100),
        ("PURCHASE", "store", 40, 5_060),
        ("PURCHASE", "fuel", 10, 5_050),
    ] == tills.sent[:3]
    assert [("REFUND", "fuel")] == [each[:2] for each in back]
    assert all(balance == 5_050 - 5_100 + 40 + amount for _, _, amount, balance in back)


def test_every_day_of_a_month_is_cut_also_one_without_trade():
    basket = Basket("1", "m", NOON, "2017-02-03", (Part("fuel", 10),))

    assert [f"2017-02-{day:02d}" for day in range(1, 29)] == [day for day, _ in days(trade(basket), "2017-02")]
    assert [("2017-02-03", [basket])] == [each for each in days(trade(basket), "2017-02") if each[1]]
    assert [("2017-02", (basket,))] == list(days(trade(basket, daily=""), "2017-02"))
