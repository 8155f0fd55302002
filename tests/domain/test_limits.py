"""Limits on spending: each may be reached and not passed, and what counts against it is the journal's fold."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coalition.domain.books import Card
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.limits import tier_of
from coalition.domain.reasons import Reason
from coalition.domain.usage import Tier, total
from tests.domain.house import Done, House

LIMIT = 50_000
FIRST, THEN = 30_000, 20_000


def market(**rules: Any) -> House:
    """Issuer a with a funded wallet w, spent at a and c under card rules."""
    house = House()
    house.terms("a")
    house.accept("a", "c")
    house.acquire("a")
    house.acquire("c")
    if rules:
        house.agree("rules", "CARD_RULES", **rules)
    house.top_up("a", 1_000_000)
    return house


def limited(house: House, card: str = "w", **limits: int) -> None:
    """Put limits on a card, as the counter does between two batches."""
    house.books.cards[card.encode()] = replace(house.books.cards[card.encode()], **limits)  # type: ignore[arg-type]


def lend(house: House, **limits: int) -> None:
    """A second card `lent` on w's wallet."""
    house.books.cards[b"lent"] = Card(99, 1, "ACTIVE", "0099", 1)
    limited(house, "lent", **limits)


def declined(house: House, reason: Reason, amount: int, card: str = "w") -> dict[str, str]:
    """The facts of a decline that both a purchase and a hold of `amount` get; nothing is done."""
    facts = []
    for spend in (house.purchase, house.hold):
        with pytest.raises(Refused) as refused:
            spend("c", amount, card=card)
        assert refused.value.reason is reason
        facts.append(dict(refused.value.metadata))
    assert facts[0] == facts[1]
    return facts[0]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("number_day_limit_minor", Reason.CREDENTIAL_LIMIT_EXCEEDED),
        ("wallet_day_limit_minor", Reason.WALLET_LIMIT_EXCEEDED),
    ],
)
def test_a_day_limit_of_the_scheme_is_reached_and_not_passed(rule: str, reason: Reason):
    """At -1, 0 and +1 fen, whatever was a hold and whatever a purchase before."""
    house = market(**{rule: LIMIT})
    house.hold("a", FIRST)

    assert {"per": "DAY", "limit_minor": "50000", "left_minor": "20000"} == declined(house, reason, THEN + 1)
    house.purchase("c", THEN - 1)
    house.purchase("c", 1)
    assert "0" == declined(house, reason, 1)["left_minor"]


@pytest.mark.parametrize(
    ("limit", "period"),
    [("operation_limit_minor", "OPERATION"), ("day_limit_minor", "DAY"), ("month_limit_minor", "MONTH")],
)
def test_a_lent_card_has_limits_of_its_own(limit: str, period: str):
    """The daughter's card pays a lunch, not the holiday; what the mother's card spends of the wallet is not hers."""
    house = market()
    lend(house, **{limit: LIMIT})
    house.purchase("c", 200_000)

    house.purchase("c", LIMIT - 1, card="lent")
    if period == "OPERATION":
        house.purchase("c", LIMIT, card="lent")
        left = LIMIT
    else:
        house.purchase("c", 1, card="lent")
        left = 0
    facts = declined(house, Reason.CARD_LIMIT_EXCEEDED, left + 1, card="lent")
    assert {"per": period, "limit_minor": str(LIMIT), "left_minor": str(left)} == facts
    house.purchase("c", 200_000)


def test_a_day_ends_at_midnight_and_a_month_with_it():
    house = market(wallet_day_limit_minor=LIMIT)
    lend(house, month_limit_minor=LIMIT + FIRST)
    house.on(date(2026, 1, 30))
    house.purchase("c", LIMIT, card="lent")
    declined(house, Reason.WALLET_LIMIT_EXCEEDED, 1)

    house.later(1)
    declined(house, Reason.CARD_LIMIT_EXCEEDED, FIRST + 1, card="lent")
    house.purchase("c", FIRST, card="lent")
    assert "0" == declined(house, Reason.CARD_LIMIT_EXCEEDED, 1, card="lent")["left_minor"]
    house.purchase("c", LIMIT - FIRST)

    house.later(1)
    house.purchase("c", LIMIT, card="lent")


def test_two_versions_of_the_rules_meet_at_midnight():
    """The new limit judges the new day alone, however much was spent under the old one."""
    house = market(wallet_day_limit_minor=LIMIT)
    house.agree("rules", "CARD_RULES", "2026-01-11", wallet_day_limit_minor=FIRST)
    house.purchase("c", LIMIT)
    declined(house, Reason.WALLET_LIMIT_EXCEEDED, 1)

    house.later(1)
    declined(house, Reason.WALLET_LIMIT_EXCEEDED, FIRST + 1)
    house.purchase("c", FIRST)
    declined(house, Reason.WALLET_LIMIT_EXCEEDED, 1)


def test_a_rule_that_begins_in_the_middle_of_a_day_counts_its_morning():
    house = market()
    house.purchase("c", FIRST)
    house.agree("rules", "CARD_RULES", wallet_day_limit_minor=LIMIT)

    declined(house, Reason.WALLET_LIMIT_EXCEEDED, THEN + 1)
    house.purchase("c", THEN)


def test_a_limit_that_was_lowered_below_what_is_spent_leaves_nothing():
    house = market()
    house.purchase("c", LIMIT)
    limited(house, day_limit_minor=FIRST)

    assert "0" == declined(house, Reason.CARD_LIMIT_EXCEEDED, 1)["left_minor"]


def test_spends_are_counted_a_day_and_a_clock_hour():
    house = market(wallet_day_count=5, card_hour_count=3)
    lend(house)
    house.books.time = datetime(2026, 1, 10, 12, 59, 59, 999_999, tzinfo=UTC)
    for _ in range(3):
        house.purchase("c", 1)
    assert {"per": "HOUR", "limit_count": "3"} == declined(house, Reason.VELOCITY_EXCEEDED, 1)
    house.purchase("c", 1, card="lent")

    house.books.time += timedelta(microseconds=1)
    house.purchase("c", 1)
    assert {"per": "DAY", "limit_count": "5"} == declined(house, Reason.VELOCITY_EXCEEDED, 1)
    house.later(1)
    house.purchase("c", 1)


def test_a_clock_hour_goes_on_over_midnight():
    """Midnight in the coalition's zone need not be a full hour UTC."""
    house = market(card_hour_count=1)
    house.purchase("c", 1)
    house.later(1)

    declined(house, Reason.VELOCITY_EXCEEDED, 1)


def test_what_is_reversed_on_its_day_does_not_count_and_what_is_given_back_otherwise_does():
    """A till whose line drops may not use up the member's day; goods brought back were bought all the same."""
    house = market(wallet_day_limit_minor=LIMIT, wallet_day_count=3)
    house.reverse("c", house.purchase("c", LIMIT))
    house.reverse("c", house.hold("c", LIMIT))
    house.refund("c", FIRST, house.purchase("c", FIRST))
    house.void("c", house.hold("c", THEN - 1))
    house.purchase("c", 1)

    assert "0" == declined(house, Reason.WALLET_LIMIT_EXCEEDED, 1)["left_minor"]


def test_a_capture_counts_nothing_more_than_its_hold():
    house = market(wallet_day_limit_minor=LIMIT)
    hold = house.hold("c", LIMIT)
    house.capture("c", FIRST, hold)

    declined(house, Reason.WALLET_LIMIT_EXCEEDED, 1)
    house.later(1)
    house.purchase("c", LIMIT)


def test_a_reversal_on_a_later_day_gives_nothing_back():
    """Neither to that day, on which it was not spent, nor to a card's month."""
    house = market(wallet_day_limit_minor=LIMIT)
    limited(house, month_limit_minor=LIMIT)
    bought = house.purchase("c", FIRST)
    house.later(1)
    house.reverse("c", bought)

    declined(house, Reason.CARD_LIMIT_EXCEEDED, THEN + 1)
    house.purchase("c", THEN)


def test_each_tier_has_a_day_of_its_own():
    """What was paid by number does not use up what may be paid by code, nor the other way round."""
    house = market(number_day_limit_minor=100, code_day_limit_minor=200, code_pin_day_limit_minor=300)
    house.books.cards[b"virtual"] = Card(51, 1, "ACTIVE", "0051", 1, kind="VIRTUAL")
    house.purchase("c", 60)
    coded = house.purchase("c", 200, *house.code(1))

    declined(house, Reason.CREDENTIAL_LIMIT_EXCEEDED, 41, card="virtual")
    house.hold("c", 40, card="virtual")
    with pytest.raises(Refused) as refused:
        house.purchase("c", 1, *house.code(2))
    assert Reason.CREDENTIAL_LIMIT_EXCEEDED is refused.value.reason
    assert coded.decision.facts is not None
    assert "CODE" == coded.decision.facts["tier"]
    assert [Tier.STATIC, Tier.CODE, Tier.CODE_PIN, Tier.STATIC] == [
        tier_of(house.books.cards[token], with_pin=pin)
        for token, pin in ((b"w", False), (b"code-1", False), (b"code-1", True), (b"virtual", True))
    ]


def test_a_limit_that_cannot_be_judged_stops_the_batch():
    """To let a spend pass because its day was not read would be a limit that does not hold."""
    house = market(wallet_day_limit_minor=LIMIT)
    house.wallet().usage = None

    with pytest.raises(LedgerBroken):
        house.purchase("c", 1)


def test_the_card_is_judged_before_the_wallet_and_limits_before_the_balance():
    """The order of reasons is part of the contract: a till tells the member what to change first."""
    house = market(wallet_day_limit_minor=10, number_day_limit_minor=10)
    limited(house, day_limit_minor=10)
    much = 10_000_000

    declined(house, Reason.CARD_LIMIT_EXCEEDED, much)
    limited(house, day_limit_minor=much)
    declined(house, Reason.CREDENTIAL_LIMIT_EXCEEDED, much)
    house.agree("rules", "CARD_RULES", wallet_day_limit_minor=10)
    declined(house, Reason.WALLET_LIMIT_EXCEEDED, much)
    house.agree("rules", "CARD_RULES", wallet_day_limit_minor=much)
    declined(house, Reason.INSUFFICIENT_FUNDS, much)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["purchase", "hold", "refund", "reverse", "void", "capture", "night"]),
                  st.integers(1, 40_000), st.integers(0, 30)),
        max_size=25,
    )
)  # fmt: skip
def test_a_day_never_passes_its_limit_and_its_usage_is_what_was_spent_and_not_undone(steps: list[tuple[str, int, int]]):
    """Whatever a day brings; the sum here is written from the sentence of the contract, not from the fold."""
    house = market(wallet_day_limit_minor=LIMIT)
    spent: list[tuple[date, Done]] = []
    undone: set[int] = set()
    for step, amount, which in steps:
        if step == "night":
            house.later(1)
            continue
        of = spent[which % len(spent)] if spent else None
        try:
            if step in {"purchase", "hold"}:
                spent.append((house.day, getattr(house, step)("c", amount)))
            elif of is not None and step == "reverse":
                house.reverse("c", of[1])
                if of[0] == house.day:
                    undone.add(of[1].entry_id)
            elif of is not None and step == "void":
                house.void("c", of[1])
            elif of is not None:
                getattr(house, step)("c", amount, of[1])
        except Refused:
            pass
        today = sum(d.decision.amount_minor for day, d in spent if day == house.day and d.entry_id not in undone)
        usage = house.wallet().usage
        assert usage is not None
        assert today == total(usage.on(house.day)) <= LIMIT
