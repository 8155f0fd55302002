"""What households do with points and passes, by the demo's invented rules; worked by hand, the same in every run."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from coalition.replay.benefits import Benefits
from coalition.replay.journey_scheme import AGREEMENTS, CHAIN_CODE, PASS_RULE, POINTS_RULE
from coalition.replay.plan import Planned, plan
from coalition.replay.trade import Basket, Merchant, Part, Return, TopUpRule, Trade

EXACT = TopUpRule((), ())
MERCHANTS = (
    Merchant("store-1", "Store 1", "STORE", CHAIN_CODE, "/ts/journey/tills"),
    *(Merchant(code, code, "ALLIANCE", "", f"/ts/{code}/tills") for code in ("fuel", "drugstore", "restaurant")),
)
TRADE = Trade(
    "Test",
    "USD",
    "UTC",
    MERCHANTS,
    AGREEMENTS,
    EXACT,
    {"m": "store-1"},
    {"2017-01": ()},
    (),
    points_rule=POINTS_RULE,
    pass_rule=PASS_RULE,
)
KEPT, PAID_OUT = (
    next(name for name in map(str, count()) if PASS_RULE.is_paid_out(Basket(name, "m", datetime.min, "", ())) is wanted)  # noqa: DTZ901 - never compared
    for wanted in (False, True)
)


def basket(name: str, day: str, **parts: int) -> Basket:
    """Parts by merchant, "_" for "-", in their order."""
    time = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    return Basket(name, "m", time, day, tuple(Part(code.replace("_", "-"), minor) for code, minor in parts.items()))


def back(what: Basket, day: str, divisor: int = 1) -> Return:
    parts = tuple(replace(part, amount_minor=part.amount_minor // divisor) for part in what.parts)
    return Return(what, what.time + timedelta(days=1), day, parts)


def day_of(benefits: Benefits, day: str, *baskets: Basket, returns: Sequence[Return] = ()) -> list[Planned]:
    return list(plan(baskets, TRADE.homes, EXACT, {}, returns, benefits, day))


def points(planned: Iterable[Planned]) -> list[tuple[str, int, int, int]]:
    """(kind, amount, points, points left) of what moves any, money apart from top-ups."""
    return [(each.kind, each.amount_minor, each.points, each.points_balance) for each in planned if each.points]


def visits(planned: Iterable[Planned]) -> list[tuple[str, str, int, int]]:
    """(kind, merchant, amount, visits left) of what moves a pass."""
    of_passes = ("PASS_SALE", "PASS_VISIT", "VISIT_RETURN", "PASS_RETURN")
    return [(p.kind, p.merchant, p.amount_minor, p.visits_left) for p in planned if p.kind in of_passes]


def test_points_are_earned_at_stores_and_the_drugstore_by_the_step_and_the_version_of_the_day() -> None:
    """Two a dollar from 5.00 on, three from 50.00 on, from July 40.00; none below and none at other merchants."""
    january = day_of(Benefits(TRADE), "2017-01-05", basket("1", "2017-01-05", store_1=4_049, drugstore=499, fuel=900))
    july = day_of(Benefits(TRADE), "2017-07-01", basket("1", "2017-07-01", store_1=4_049, drugstore=500))

    assert [("PURCHASE", 4_049, 80, 80)] == points(january)
    assert [("PURCHASE", 4_049, 121, 121), ("PURCHASE", 500, 10, 131)] == points(july)


def test_who_began_the_day_with_200_spends_hundreds_worth_less_than_the_fuel() -> None:
    """450 points: 400 are worth 3.00 until the 15th; 2.25 are paid with 200 (1.50): 300 would be worth all of it."""
    dear, cheap = basket("2", "2017-01-06", fuel=301), basket("3", "2017-01-06", fuel=225)
    first, second = Benefits(TRADE), Benefits(TRADE)
    for benefits in (first, second):
        day_of(benefits, "2017-01-05", basket("1", "2017-01-05", store_1=15_000))

    assert [("POINTS_SPEND", 300, -400, 50)] == points(day_of(first, "2017-01-06", dear))
    spent = day_of(second, "2017-01-06", cheap)
    assert [("POINTS_SPEND", 150, -200, 250)] == points(spent)
    assert [("TOP_UP", 75), ("POINTS_SPEND", 150), ("PURCHASE", 75)] == [(p.kind, p.amount_minor) for p in spent]


def test_what_is_earned_on_the_day_is_not_spent_on_it_and_fewer_than_200_are_kept() -> None:
    """A cap may still decline what earned them; then the member has fewer the next day."""
    benefits = Benefits(TRADE)
    told = day_of(benefits, "2017-01-05", basket("1", "2017-01-05", store_1=9_900, fuel=5_000))
    assert [("PURCHASE", 9_900, 297, 297)] == points(told)

    benefits.move("m", -98)
    assert [] == points(day_of(benefits, "2017-01-06", basket("2", "2017-01-06", fuel=5_000)))
    benefits.move("m", 1)
    spent = day_of(benefits, "2017-01-16", *(basket(name, "2017-01-16", fuel=5_000) for name in "34"))
    assert [("POINTS_SPEND", 125, -200, 0)] == points(spent), "worth 5/8 each from the 16th on"


def test_what_comes_back_takes_its_points_along_by_the_rule_of_its_day() -> None:
    """50.01 earned 150; half of it back leaves 25.01, of 50. After July a version with other steps changes nothing."""
    benefits, bought = Benefits(TRADE), basket("1", "2017-06-30", store_1=5_001)
    day_of(benefits, "2017-06-30", bought)

    assert [("REFUND", 2_500, -100, 50)] == points(
        day_of(benefits, "2017-07-01", returns=[back(bought, "2017-07-01", 2)])
    )


def test_spent_points_come_back_with_their_fuel_and_may_leave_less_than_nothing() -> None:
    """10.00 of fuel for 400 points worth 3.00 and 7.00: whole and half. What earned them comes back as well."""
    for divisor, told in (
        (1, [("REFUND", 15_000, -450, -400), ("POINTS_RETURN", 300, 400, 0)]),
        (2, [("REFUND", 7_500, -225, -175), ("POINTS_RETURN", 150, 200, 25)]),
    ):
        benefits = Benefits(TRADE)
        earned, spent = basket("1", "2017-01-05", store_1=15_000), basket("2", "2017-01-06", fuel=1_000)
        day_of(benefits, "2017-01-05", earned)
        day_of(benefits, "2017-01-06", spent)
        returns = [back(each, "2017-01-20", divisor) for each in (earned, spent)]

        planned = day_of(benefits, "2017-01-20", returns=returns)

        assert told == points(planned)
        assert [700 // divisor] == [p.amount_minor for p in planned if p.merchant == "fuel" and p.kind == "REFUND"]


def test_a_pass_is_bought_with_a_basket_and_visited_from_the_next_on_until_it_is_used_up() -> None:
    """Seven visits for 23.00 take 3.28, then 3.29 ...; then the next pass is bought. No visit is topped up for."""
    benefits = Benefits(TRADE)
    days = [f"2017-02-{day:02d}" for day in range(1, 11)]
    lunches = [basket(f"{KEPT}" if day == days[0] else f"x{day}", day, store_1=100, restaurant=366) for day in days]

    told = [visits(day_of(benefits, day, lunch)) for day, lunch in zip(days, lunches, strict=True)]

    assert [("PASS_SALE", "store-1", 2_300, 7)] == told[0]
    taken = [visit for day in told[1:8] for visit in day]
    assert [
        ("PASS_VISIT", "restaurant", worth, 6 - n) for n, worth in enumerate((328, 329, 328, 329, 328, 329, 329))
    ] == (taken)
    assert 2_300 == sum(worth for _, _, worth, _ in taken)
    assert [("PASS_SALE", "store-1", 2_300, 7)] == told[8]
    assert [("PASS_VISIT", "restaurant", 328, 6)] == told[9]


def test_no_pass_is_bought_where_no_store_sold_the_first_part() -> None:
    benefits = Benefits(TRADE)

    assert [] == visits(day_of(benefits, "2017-02-01", basket("1", "2017-02-01", restaurant=366)))
    assert [] == visits(day_of(benefits, "2017-02-01", basket("2", "2017-02-01", store_1=366)))


def test_a_pass_is_paid_out_ten_days_later_with_what_is_left_and_takes_nothing_back() -> None:
    benefits = Benefits(TRADE)
    lunch = basket("2", "2017-02-02", store_1=100, restaurant=366)
    day_of(benefits, "2017-02-01", basket(PAID_OUT, "2017-02-01", store_1=100, restaurant=366))
    day_of(benefits, "2017-02-02", lunch)

    assert [] == visits(day_of(benefits, "2017-02-10"))
    (ended,) = day_of(benefits, "2017-02-11")
    assert [("PASS_RETURN", "store-1", 1_972, 0)] == visits([ended])
    assert (f"{PAID_OUT}/pass", datetime(2017, 2, 11, 12, tzinfo=UTC)) == (ended.reference, ended.time)
    assert [("REFUND", 100)] == [
        (p.kind, p.amount_minor) for p in day_of(benefits, "2017-02-12", returns=[back(lunch, "2017-02-12")])
    ]


def test_a_visit_comes_back_whole_or_not_at_all() -> None:
    for divisor, told in ((1, [("VISIT_RETURN", "restaurant", 328, 7)]), (2, [])):
        benefits, lunch = Benefits(TRADE), basket("2", "2017-02-02", store_1=100, restaurant=366)
        day_of(benefits, "2017-02-01", basket(KEPT, "2017-02-01", store_1=100, restaurant=366))
        day_of(benefits, "2017-02-02", lunch)

        assert told == visits(day_of(benefits, "2017-02-03", returns=[back(lunch, "2017-02-03", divisor)]))


def test_a_quarter_of_the_passes_are_paid_out_and_the_same_in_every_run() -> None:
    told = [PASS_RULE.is_paid_out(basket(str(number), "2017-01-01", store_1=1)) for number in range(4_000)]

    assert told == [PASS_RULE.is_paid_out(basket(str(number), "2017-01-01", store_1=1)) for number in range(4_000)]
    assert 900 < sum(told) < 1_100


def test_without_rules_everything_is_paid_in_money() -> None:
    planned = list(plan([basket("1", "2017-01-05", store_1=9_000, restaurant=10)], TRADE.homes, EXACT, {}))

    assert ["TOP_UP", "PURCHASE", "PURCHASE"] == [each.kind for each in planned]
    assert [] == points(planned)
