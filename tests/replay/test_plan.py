"""The plan: when a member tops up, what balance each answer must show; the same plan for the same trade."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from coalition.replay.cli_entry import MonthsInvalid, parse_months
from coalition.replay.journey_scheme import TOP_UP_RULE
from coalition.replay.plan import plan
from coalition.replay.trade import Basket, Part, Return, ReturnRule, Tier, TopUpRule, Trade, days_of, unbroken

NOON = datetime(2017, 1, 5, 17, tzinfo=UTC)
RULE = TopUpRule((5_000, 10_000, 20_000), (Tier(5_000, Fraction(2, 100)), Tier(10_000, Fraction(6, 100))))


def basket(name: str, *amounts: int, member: str = "m", is_returned: bool = False) -> Basket:
    parts = tuple(Part(merchant, amount) for merchant, amount in zip(("store-1", "fuel"), amounts, strict=False))
    return Basket(name, member, NOON, "2017-01-05", parts, is_returned)


def planned(*baskets: Basket, rule: TopUpRule = RULE):
    return [
        (each.kind, each.merchant, each.amount_minor, each.balance_minor)
        for each in plan(baskets, {"m": "home", "n": "home"}, rule, {})
    ]


def test_a_short_member_tops_up_once_at_home_before_the_whole_basket():
    assert [
        ("TOP_UP", "home", 5_000, 5_100),
        ("PURCHASE", "store-1", 3_000, 2_100),
        ("PURCHASE", "fuel", 1_500, 600),
    ] == planned(basket("b", 3_000, 1_500))


def test_what_is_left_is_spent_before_the_next_top_up():
    assert [("TOP_UP", 5_100), ("PURCHASE", 3_100), ("PURCHASE", 1_100), ("TOP_UP", 6_200), ("PURCHASE", 4_200)] == [
        (kind, balance) for kind, _, _, balance in planned(*(basket(name, 2_000) for name in "abc"))
    ]


@pytest.mark.parametrize(
    ("missing", "principal", "bonus"),
    [
        (-5, 0, 0),
        (0, 0, 0),
        (1, 5_000, 100),
        (5_000, 5_000, 100),
        (5_001, 10_000, 600),
        (10_001, 20_000, 2_000),
        (20_001, 40_000, 4_000),
        (40_000, 40_000, 4_000),
    ],
)
def test_the_least_step_that_covers_what_is_missing(missing, principal, bonus):
    assert (principal, bonus) == (TOP_UP_RULE.principal(missing), TOP_UP_RULE.bonus(principal))


def test_without_steps_exactly_what_is_missing_is_paid_in():
    assert [("TOP_UP", "home", 1_234, 1_234), ("PURCHASE", "store-1", 1_234, 0)] == planned(
        basket("b", 1_234), rule=TopUpRule((), ())
    )


def test_a_returned_basket_is_refunded_part_by_part():
    assert [("REFUND", "store-1", 700, 4_800), ("REFUND", "fuel", 300, 5_100)] == planned(
        basket("b", 700, 300, is_returned=True)
    )[-2:]


def test_what_comes_back_is_refunded_before_the_days_baskets_and_spent_again():
    back = Return(basket("old", 700, 300), NOON, "2017-01-05", (Part("store-1", 350), Part("fuel", 300)))
    balances = {"m": 100}

    told = list(plan([basket("new", 740)], {"m": "home"}, RULE, balances, [back]))

    assert [
        ("REFUND", "store-1", 350, 350, 450, "old"),
        ("REFUND", "fuel", 300, 300, 750, "old"),
        ("PURCHASE", "store-1", 740, -740, 10, "new"),
    ] == [
        (each.kind, each.merchant, each.amount_minor, each.change_minor, each.balance_minor, each.reference)
        for each in told
    ]
    assert {"m": 10} == balances


def test_returns_are_a_small_share_of_baskets_days_later_and_the_same_in_every_run():
    rule = ReturnRule(per_mille=20, days_max=14)
    baskets = [basket(str(number), 1_001, 1) for number in range(20_000)]
    returns, again = ([back for each in baskets if (back := rule.returned(each)) is not None] for _ in range(2))

    assert returns == again
    assert 360 < len(returns) < 440
    assert {f"2017-01-{day:02d}" for day in range(6, 20)} == {back.day for back in returns}
    assert {(1_001, 1), (500,)} == {tuple(part.amount_minor for part in back.parts) for back in returns}
    assert 1 / 4 < sum(len(back.parts) == 2 for back in returns) / len(returns) < 5 / 12
    assert all(back.time - back.basket.time == timedelta(days=int(back.day[-2:]) - 5) for back in returns)


def test_months_between_others_are_months_and_members_come_once():
    baskets = {"2016-12": [basket("a", 1, member="n")], "2017-02": [basket("b", 1), basket("c", 1, member="n")]}
    trade = Trade("Test", "USD", "UTC", (), (), RULE, {}, unbroken(baskets), ())

    assert ["2016-12", "2017-01", "2017-02"] == trade.months
    assert {"2016-12": ["n"], "2017-01": [], "2017-02": ["m"]} == trade.newcomers()
    assert ("2016-02-01", "2016-02-29", 29) == (*days_of("2016-02")[::28], len(days_of("2016-02")))


def test_the_same_trade_gives_the_same_plan_and_no_balance_below_zero():
    baskets = [basket(str(number), number * 37 % 9_000 + 1, member="mn"[number % 2]) for number in range(200)]

    assert planned(*baskets) == planned(*baskets)
    assert all(balance >= 0 for *_, balance in planned(*baskets))


@pytest.mark.parametrize(
    ("text", "months"), [("1", (1,)), ("1-12", tuple(range(1, 13))), ("1,3", (1, 3)), ("2-3, 3", (2, 3))]
)
def test_months_of_the_year(text, months):
    assert months == parse_months(text)


@pytest.mark.parametrize("text", ["", "0", "13", "3-1", "January", "1-", "1;2"])
def test_months_that_are_none_are_refused(text):
    with pytest.raises(MonthsInvalid, match="1-12"):
        parse_months(text)
