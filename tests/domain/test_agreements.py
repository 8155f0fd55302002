"""What an agreement may say, when it is in force, and who is meant by a party."""

from dataclasses import asdict
from datetime import date
from typing import Any

import pytest

from coalition.domain.agreements import Terms, parse_content
from coalition.domain.errors import Refused
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines

TERMS: dict[str, Any] = {"issuer": "a"}
ACCEPTANCE: dict[str, Any] = {"issuer": "a", "acquirer": "c"}
ACQUIRING: dict[str, Any] = {"acquirer": "c"}


@pytest.mark.parametrize(
    ("kind", "content", "field"),
    [
        ("LEASE", {}, "kind"),
        ("TERMS", {}, "content.issuer"),
        ("TERMS", {"issuer": "A"}, "content.issuer"),
        ("TERMS", {"issuer": "chain:"}, "content.issuer"),
        ("TERMS", {"issuer": 7}, "content.issuer"),
        ("TERMS", TERMS | {"issuer": "a" * 64}, "content.issuer"),
        ("TERMS", TERMS | {"custody": "NOWHERE"}, "content.custody"),
        ("TERMS", TERMS | {"sellers": []}, "content.sellers"),
        ("TERMS", TERMS | {"sellers": "b"}, "content.sellers"),
        ("TERMS", TERMS | {"sellers": ["b", ""]}, "content.sellers"),
        ("TERMS", TERMS | {"tiers": {}}, "content.tiers"),
        ("TERMS", TERMS | {"tiers": [7]}, "content.tiers[0]"),
        ("TERMS", TERMS | {"tiers": [{"bonus": "1/5"}]}, "content.tiers[0].from_minor"),
        ("TERMS", TERMS | {"tiers": [{"from_minor": 0}]}, "content.tiers[0].from_minor"),
        ("TERMS", TERMS | {"tiers": [{"from_minor": 5}, {"from_minor": 5}]}, "content.tiers[1].from_minor"),
        ("TERMS", TERMS | {"tiers": [{"from_minor": 1, "bonus": 0.2}]}, "content.tiers[0].bonus"),
        ("TERMS", TERMS | {"tiers": [{"from_minor": 1, "bonus": "101/10"}]}, "content.tiers[0].bonus"),
        ("TERMS", TERMS | {"tiers": [{"from_minor": 1, "colour": "red"}]}, "content.tiers[0].colour"),
        ("TERMS", TERMS | {"minimum_minor": 0}, "content.minimum_minor"),
        ("TERMS", TERMS | {"minimum_minor": True}, "content.minimum_minor"),
        ("TERMS", TERMS | {"bonus_months": 0}, "content.bonus_months"),
        ("TERMS", TERMS | {"bonus_months": 1201}, "content.bonus_months"),
        ("TERMS", TERMS | {"balance_limit_minor": -1}, "content.balance_limit_minor"),
        ("TERMS", TERMS | {"balance_limit_minor": 10**15 + 1}, "content.balance_limit_minor"),
        ("TERMS", TERMS | {"sponsor": "chain:x"}, "content.sponsor"),
        ("TERMS", TERMS | {"sponsor_share": "1/2"}, "content.sponsor"),
        ("TERMS", TERMS | {"sponsor": "s", "sponsor_share": "3/2"}, "content.sponsor_share"),
        ("TERMS", TERMS | {"seller_commission": "-1/2"}, "content.seller_commission"),
        ("TERMS", TERMS | {"top_up_loss": "MEMBER"}, "content.top_up_loss"),
        ("TERMS", TERMS | {"calendar": ""}, "content.calendar"),
        ("TERMS", TERMS | {"bonus": "1/5"}, "content.bonus"),
        ("ACCEPTANCE", {"issuer": "a"}, "content.acquirer"),
        ("ACCEPTANCE", ACCEPTANCE | {"accepted": "yes"}, "content.accepted"),
        ("ACCEPTANCE", ACCEPTANCE | {"issuer_bonus_share": "2"}, "content.issuer_bonus_share"),
        ("ACCEPTANCE", ACCEPTANCE | {"interchange": "1/0"}, "content.interchange"),
        ("ACCEPTANCE", ACCEPTANCE | {"interchange": "1/"}, "content.interchange"),
        ("ACCEPTANCE", ACCEPTANCE | {"interchange": "1/٣"}, "content.interchange"),
        ("ACCEPTANCE", ACCEPTANCE | {"interchange": "1/" + "9" * 19}, "content.interchange"),
        ("ACCEPTANCE", ACCEPTANCE | {"interchange_base": "NET"}, "content.interchange_base"),
        ("ACCEPTANCE", ACCEPTANCE | {"fees_return": None}, "content.fees_return"),
        ("ACCEPTANCE", ACCEPTANCE | {"offline_limit_minor": 0}, "content.offline_limit_minor"),
        ("ACCEPTANCE", ACCEPTANCE | {"shortfall_bearer": "MEMBER"}, "content.shortfall_bearer"),
        ("ACCEPTANCE", ACCEPTANCE | {"shortfall_bearer": "ISSUER"}, "content.offline_limit_minor"),
        ("ACQUIRING", {}, "content.acquirer"),
        ("ACQUIRING", ACQUIRING | {"operator_fee": "1.5"}, "content.operator_fee"),
        ("ACQUIRING", ACQUIRING | {"commission": 1}, "content.commission"),
        ("ACQUIRING", ACQUIRING | {"commission_to": "NOBODY"}, "content.commission_to"),
        ("ACQUIRING", ACQUIRING | {"fee_base": 0}, "content.fee_base"),
        ("ACQUIRING", ACQUIRING | {"issuer": "a"}, "content.issuer"),
        ("CARD_RULES", {"issuer": "a"}, "content.issuer"),
        ("CARD_RULES", {"named_balance_limit_minor": 0}, "content.named_balance_limit_minor"),
        ("CARD_RULES", {"number_day_limit_minor": 10**15 + 1}, "content.number_day_limit_minor"),
        ("CARD_RULES", {"credit_funding_allowed": 1}, "content.credit_funding_allowed"),
        ("CARD_RULES", {"bearer_bonus_months_min": 1201}, "content.bearer_bonus_months_min"),
        ("CARD_RULES", {"wallet_day_count": 1_000_001}, "content.wallet_day_count"),
        ("CARD_RULES", {"return_days": 3651}, "content.return_days"),
    ],
)
def test_wrong_content_names_its_field(kind: str, content: dict[str, Any], field: str):
    with pytest.raises(Refused) as refused:
        parse_content(kind, content)

    assert Reason.AGREEMENT_INVALID is refused.value.reason
    assert field == refused.value.field
    assert refused.value.metadata["expected"]


def test_absent_fields_have_their_stated_defaults():
    terms = parse_content("TERMS", TERMS)
    acceptance = parse_content("ACCEPTANCE", ACCEPTANCE)
    acquiring = parse_content("ACQUIRING", ACQUIRING)

    assert terms == parse_content(
        "TERMS",
        {
            "issuer": "a",
            "custody": "ISSUER_HELD",
            "sellers": ["a"],
            "tiers": [],
            "minimum_minor": 1,
            "bonus_months": None,
            "sponsor": None,
            "sponsor_share": "0",
            "seller_commission": "0",
            "balance_limit_minor": None,
            "top_up_loss": "SELLER",
            "calendar": "monthly",
        },
    )
    assert acceptance == parse_content(
        "ACCEPTANCE",
        ACCEPTANCE
        | {
            "accepted": True,
            "issuer_bonus_share": "1",
            "interchange": "0",
            "interchange_base": "GROSS",
            "fees_return": True,
            "calendar": "monthly",
        },
    )
    assert acquiring == parse_content(
        "ACQUIRING",
        ACQUIRING
        | {
            "operator_fee": "0",
            "commission": "0",
            "commission_to": "RECRUITER",
            "fee_base": "GROSS",
            "fees_return": True,
            "calendar": "monthly",
        },
    )


def test_rates_are_kept_in_lowest_terms():
    assert Rate(3, 500) == Rate.parse("6/1000")
    assert ("3/500", "0", "1") == (str(Rate.parse("6/1000")), str(Rate.parse("0/7")), str(Rate.parse("9/9")))


def terms_with(**content: Any) -> Terms:
    parsed = parse_content("TERMS", TERMS | content)
    assert isinstance(parsed, Terms)
    return parsed


@pytest.mark.parametrize(
    ("sold", "months", "last_day"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 1, 30), 1, date(2026, 2, 28)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 12, 31), 1, date(2027, 1, 31)),
        (date(2026, 11, 30), 13, date(2027, 12, 30)),
        (date(2026, 10, 31), 1, date(2026, 11, 30)),
        (date(2026, 5, 15), 1200, date(2126, 5, 15)),
    ],
)
def test_a_bonus_ends_on_the_same_day_or_the_months_last(sold: date, months: int, last_day: date):
    assert last_day == terms_with(bonus_months=months).bonus_expiry(sold)


def test_a_bonus_without_months_never_ends():
    assert terms_with().bonus_expiry(date(2026, 1, 31)) is None


@pytest.mark.parametrize(
    ("paid", "bonus"),
    [(1, 0), (9999, 0), (10000, 1000), (10001, 1000), (49999, 4999), (50000, 10000), (50001, 10000), (50005, 10001)],
)
def test_the_highest_tier_reached_gives_the_bonus_rounded_down(paid: int, bonus: int):
    terms = terms_with(tiers=[{"from_minor": 10000, "bonus": "1/10"}, {"from_minor": 50000, "bonus": "1/5"}])

    assert bonus == terms.bonus_for(paid)


def house_with_chains() -> House:
    """A and B belong to chain x, C and D to chain y; A has sold a lot."""
    house = House("abcd", {"a": "x", "b": "x", "c": "y", "d": "y"})
    house.terms("a", "0")
    house.top_up("a", 10000)
    return house


LADDER = [("a", "c"), ("a", "chain:y"), ("chain:x", "c"), ("chain:x", "chain:y")]


@pytest.mark.parametrize("rung", range(4))
def test_the_most_specific_acceptance_wins(rung: int):
    """(code, code) before (code, chain) before (chain, code) before (chain, chain), whichever came first."""
    house = house_with_chains()
    for number, (issuer, acquirer) in reversed(list(enumerate(LADDER))):
        if number >= rung:
            house.agree(
                f"rung-{number}", "ACCEPTANCE", issuer=issuer, acquirer=acquirer, interchange=f"{number + 1}/100"
            )
    house.acquire("chain:y")

    assert f"C=>A {100 * (rung + 1)}" in house.purchase("c", 10000).legs


def test_a_specific_refusal_beats_a_general_acceptance():
    house = house_with_chains()
    house.agree("all", "ACCEPTANCE", issuer="chain:x", acquirer="chain:y")
    house.agree("not-c", "ACCEPTANCE", issuer="a", acquirer="c", accepted=False)
    house.acquire("chain:y")

    assert (0, 10000) == (house.here("c"), house.here("d"))
    with pytest.raises(Refused) as refused:
        house.purchase("c", 1)
    assert Reason.NOT_ACCEPTED_HERE is refused.value.reason
    house.purchase("d", 1)


def test_a_participants_own_acquiring_agreement_beats_its_chains():
    house = house_with_chains()
    house.agree("all", "ACCEPTANCE", issuer="chain:x", acquirer="chain:y")
    house.agree("chain", "ACQUIRING", acquirer="chain:y", operator_fee="1/100")
    house.agree("own", "ACQUIRING", acquirer="c", operator_fee="2/100")

    assert "C=>H 20" in house.purchase("c", 1000).legs
    assert "D=>H 10" in house.purchase("d", 1000).legs


def test_on_us_and_within_a_chain_no_acceptance_is_needed():
    """A chain's card is honoured in all of the chain, between others nothing is; the sister is owed what it gave."""
    house = house_with_chains()
    house.agree("chain", "ACQUIRING", acquirer="chain:x")

    assert (10000, 10000, 0) == (house.here("a"), house.here("b"), house.here("d"))
    assert ["WALLET->FLOAT(A) 1000"] == house.purchase("a", 1000).legs
    purchase = house.purchase("b", 1000)
    assert lines("WALLET->FLOAT(A) 1000, A=>B 1000") == purchase.legs
    assert lines("FLOAT(A)->WALLET 400, B=>A 400") == house.refund("b", 400, purchase).legs
    house.accept("a", "b", accepted=False)
    assert 0 == house.here("b")


@pytest.mark.parametrize(
    ("day", "fee"),
    [
        ("2026-01-31", None),
        ("2026-02-01", 10),
        ("2026-02-28", 10),
        ("2026-03-01", 20),
        ("2026-03-31", 20),
        ("2026-04-01", None),
    ],
)
def test_the_highest_version_that_has_begun_decides_alone(day: str, fee: int | None):
    """`effective_until` is the first day it no longer holds; an open-ended earlier version does not hold again."""
    house = house_with_chains()
    house.accept("a", "c")
    house.acquire("c", since="2026-02-01", operator_fee="1/100")
    house.acquire("c", since="2026-03-01", until="2026-04-01", operator_fee="2/100")
    house.on(date.fromisoformat(day))

    if fee is None:
        with pytest.raises(Refused) as refused:
            house.purchase("c", 1000)
        assert Reason.NO_ACQUIRING_AGREEMENT is refused.value.reason
    else:
        assert f"C=>H {fee}" in house.purchase("c", 1000).legs


def test_an_ended_acceptance_stops_purchases_but_not_refunds():
    house = house_with_chains()
    house.accept("a", "c", until="2026-02-01", interchange="1/100")
    house.acquire("c")
    purchase = house.purchase("c", 1000)
    house.on(date(2026, 2, 1))

    with pytest.raises(Refused) as refused:
        house.purchase("c", 1000)
    assert Reason.NOT_ACCEPTED_HERE is refused.value.reason
    assert "A=>C 10" in house.refund("c", 1000, purchase).legs


def test_a_refund_follows_the_versions_stored_on_the_original():
    """Every rate is other by then; the refund is still the purchase's exact inverse."""
    house = House()
    house.terms("a", sponsor="s", sponsor_share="1/2")
    house.accept("a", "c", issuer_bonus_share="1/2", interchange="1/100")
    house.acquire("c", operator_fee="6/1000", commission="1/100")
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)
    house.terms("a", "0", sponsor="b", sponsor_share="1")
    house.accept("a", "c", issuer_bonus_share="0", interchange="5/100", fees_return=False)
    house.acquire("c", operator_fee="5/100", commission="5/100", commission_to="d", fees_return=False)
    house.next_window()

    house.refund("c", 12345, purchase)
    house.refund("c", 17655, purchase)

    assert {} == house.nets()
    assert {"WALLET": 120000, "FLOAT(A)": 100000, "BONUS(A)": 20000} == house.accounts()


def test_fees_stay_where_the_stored_agreements_say_so():
    house = House()
    house.terms("a")
    house.accept("a", "c", interchange="1/100", fees_return=False)
    house.acquire("c", operator_fee="6/1000", commission="1/100", fees_return=False)
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)
    house.accept("a", "c")
    house.acquire("c")

    house.refund("c", 30000, purchase)

    assert {"A": 600, "C": -780, "H": 180} == house.nets()


def test_fees_may_count_principal_only():
    house = House()
    house.terms("a")
    house.accept("a", "c", interchange="1/100", interchange_base="PRINCIPAL")
    house.acquire("c", operator_fee="1/100", fee_base="PRINCIPAL", commission="2/100", commission_to="s")
    house.top_up("a", 100000)

    assert {"C=>A 250", "C=>H 250", "C=>S 500"} <= set(house.purchase("c", 30000).legs)


def test_terms_must_be_named_where_an_issuer_sells_under_several():
    house = House()
    house.agree("plain", "TERMS", issuer="a")
    house.agree("rich", "TERMS", issuer="a", tiers=[{"from_minor": 1, "bonus": "1"}])

    with pytest.raises(Refused) as refused:
        house.top_up("a", 100)
    assert Reason.TERMS_UNKNOWN is refused.value.reason
    assert 200 == house.top_up("a", 100, terms="rich").decision.balance_change


def test_terms_of_a_chain_are_sold_by_each_of_its_stores_under_its_own_name():
    house = House("abc", {"a": "x", "b": "x"})
    house.agree("chain", "TERMS", issuer="chain:x", seller_commission="1/100")

    assert ["FLOAT(B)->WALLET 1000"] == house.top_up("b", 1000).legs
    assert ["A=>B 1000", "B=>A 10", "FLOAT(B)->WALLET 1000"] == house.top_up("a", 1000, issuer="b").legs
    with pytest.raises(Refused) as refused:
        house.top_up("c", 1000, issuer="a")
    assert Reason.TERMS_NOT_SOLD_HERE is refused.value.reason


def test_a_card_rule_that_is_not_named_does_not_bind():
    """Each bound is policy of its own: HQ that sets one has not set another."""
    rules = parse_content("CARD_RULES", {"return_days": 7})

    allowed = {"credit_funding_allowed": True, "issuer_held_across_groups_allowed": True}
    assert {"return_days": 7, **allowed} == {name: value for name, value in asdict(rules).items() if value is not None}


def test_card_rules_change_at_midnight_and_end_with_their_last_version():
    """A shop that closes at two sells the first half of the night under the old rules, the second under the new."""
    house = House()
    house.agree("rules", "CARD_RULES", "2026-01-10", wallet_day_limit_minor=500)
    house.agree("rules", "CARD_RULES", "2026-02-01", "2026-03-01", wallet_day_limit_minor=400)

    programme = house.books.programme
    days = [date(2026, 1, 9), date(2026, 1, 10), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28)]
    held = [programme.card_rules(day) for day in days]
    assert [None, 500, 500, 400, 400] == [rules and rules.wallet_day_limit_minor for rules in held]
    assert programme.card_rules(date(2026, 3, 1)) is None


def test_a_limit_of_a_sponsor_needs_a_share_to_limit():
    with pytest.raises(Refused) as refused:
        parse_content("TERMS", {"issuer": "a", "sponsor": "s", "sponsor_limit_minor": 5})

    assert "content.sponsor_share" == refused.value.field


def test_what_a_sponsor_bears_counts_its_share_of_all_that_was_granted():
    terms = parse_content("TERMS", {"issuer": "a", "sponsor": "s", "sponsor_share": "1/3", "sponsor_limit_minor": 5})

    assert isinstance(terms, Terms)
    assert [0, 1, 1, 1, 2, 34] == [terms.sponsored_part(bonus) for bonus in (0, 1, 2, 3, 4, 100)]
