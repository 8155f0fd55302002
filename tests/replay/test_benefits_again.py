"""The second hand on points and passes arrives at the goldens of decisions 0037 and 0038, and sees what is altered."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from coalition.replay.agreed import FactsMissing
from coalition.replay.benefit_sums import PassFacts, points_earned, worth_of_visits
from coalition.replay.comparison import Verdict, judge
from tests.replay.exported import TOLD, VISITS, Claim, Export, claim
from tests.replay.test_recompute import acceptance, acquiring, nets, terms

JANUARY, FEBRUARY = "2017-01", "2017-02"
FIRST, SECOND = 100, 101  # units of the two versions of the programme
POINTS = {
    "debtor": "b",
    "earned_at": ["c"],
    "steps": [{"from_minor": 1, "rate": "1/100"}],
    "value": "1/2",
    "borne_by": "ACQUIRER",
    "spent_at": ["a"],
}
DEARER = POINTS | {"value": "1", "steps": [{"from_minor": 1, "rate": "2/100"}]}
TEN = {"issuer": "a", "custody": "ISSUER_HELD", "sellers": ["a"], "price_minor": 10_000, "visits": 10}
THREE = TEN | {"visits": 3, "sellers": ["c"], "seller_commission": "2/100"}


def house(directory: Path, *, interchange: str = "0", passes: dict[str, Any] = THREE) -> Export:
    """A's value is taken at C, which pays H 0.6 % and A 1 %; B owes points, A passes."""
    return Export(
        directory,
        [
            ("sold", "TERMS", terms("a", [])),
            ("accepted", "ACCEPTANCE", acceptance("a", interchange=interchange)),
            ("pays", "ACQUIRING", acquiring("c")),
            ("points", "POINTS", POINTS),
            ("visits", "PASSES", passes),
        ],
    )


def earned(points: int, unit: int = FIRST) -> list[Claim]:
    """Members' points are in the unit of the first version, claims in that of theirs."""
    return [("POINTS(b)", "POINTS", points, "POINTS", FIRST), claim("c", "b", points, "POINTS", unit)]


def valued(debtor: str, creditor: str, points: int, amount: int, unit: int = FIRST) -> list[Claim]:
    return [claim(debtor, creditor, amount, "POINTS_VALUE"), claim(creditor, debtor, points, "POINTS_VALUE", unit)]


def bought(amount: int, operator: int, commission: int) -> list[Claim]:
    return [
        ("WALLET", "FLOAT(a,a)", amount, "PRINCIPAL"),
        claim("a", "c", amount, "PRINCIPAL"),
        claim("c", "h", operator, "OPERATOR_FEE"),
        claim("c", "a", commission, "COMMISSION"),
    ]


def two_months(directory: Path) -> Export:
    """Decision 0038's month at half a fen a point: 300 earned, 53 spent at A, and after a new version 101 taken back
    under the old; 10.00 more earn 20 at a fen each. February: 20 of the 53 come back; a pass of three visits for
    100.00, sold by C, is visited twice, one comes back, and the rest is paid out.
    """
    export = house(directory)
    export.post("TOP_UP", "a", 100_000, "sold", [("FLOAT(a,a)", "WALLET", 100_000, "PRINCIPAL")])
    lines: list[Claim] = [*bought(30_000, 180, 300), *earned(300)]
    sale = export.post("PURCHASE", "c", 30_000, "pays", lines, points=300, points_balance=300)
    lines = [("POINTS", "POINTS(b)", 53, "POINTS", FIRST), claim("b", "a", 53, "POINTS", FIRST)]
    told = {"points": -53, "points_balance": 247, "points_worth": 26}
    spent = export.post("POINTS_SPEND", "a", 0, "points", lines, **told)
    export.revise("points", DEARER)
    lines = [
        ("FLOAT(a,a)", "WALLET", 10_050, "PRINCIPAL"),
        claim("c", "a", 10_050, "PRINCIPAL"),
        claim("h", "c", 60, "OPERATOR_FEE"),
        claim("a", "c", 100, "COMMISSION"),
        ("POINTS", "POINTS(b)", 101, "POINTS", FIRST),
        claim("b", "c", 101, "POINTS", FIRST),
    ]
    export.post("REFUND", "c", 10_050, "pays", lines, original=sale, points=-101, points_balance=146)
    lines = [*bought(1_000, 6, 10), *earned(20, SECOND)]
    export.post("PURCHASE", "c", 1_000, "pays", lines, points=20, points_balance=166)
    export.close_month()
    lines = [("POINTS(b)", "POINTS", 20, "POINTS", FIRST), claim("a", "b", 20, "POINTS", FIRST)]
    told = {"points": 20, "points_balance": 186, "points_worth": 10}
    export.post("POINTS_RETURN", "a", 0, "points", lines, original=spent, **told)
    _pass_of_three(export)
    export.close_month()
    _settle(export)
    return export


def _pass_of_three(export: Export) -> None:
    lines: list[Claim] = [
        ("FLOAT(a,a)", "PASS", 10_000, "PASS"),
        ("PASS(a)", "PASS", 3, "PASS", VISITS),
        claim("c", "a", 10_000, "TOP_UP_CASH"),
        claim("a", "c", 200, "SELLER_COMMISSION"),
    ]
    number = len(export.entries) + 1
    sold = export.post("PASS_SALE", "c", 10_000, "visits", lines, pass_entry=number, visits=3, visits_left=3)
    visit: list[Claim] = [
        ("PASS", "FLOAT(a,a)", 3_333, "PASS"),
        ("PASS", "PASS(a)", 1, "PASS", VISITS),
        claim("a", "c", 3_333, "PASS"),
        claim("c", "h", 20, "OPERATOR_FEE"),
        claim("c", "a", 33, "COMMISSION"),
    ]
    first = export.post("PASS_VISIT", "c", 3_333, "pays", visit, pass_entry=sold, visits=1, visits_left=2)
    export.post("PASS_VISIT", "c", 3_333, "pays", visit, pass_entry=sold, visits=1, visits_left=1)
    back: list[Claim] = [
        ("FLOAT(a,a)", "PASS", 3_333, "PASS"),
        ("PASS(a)", "PASS", 1, "PASS", VISITS),
        claim("c", "a", 3_333, "PASS"),
        claim("h", "c", 20, "OPERATOR_FEE"),
        claim("a", "c", 33, "COMMISSION"),
    ]
    told = {"pass_entry": sold, "visits": 1, "visits_left": 2}
    export.post("VISIT_RETURN", "c", 3_333, "pays", back, original=first, **told)
    lines = [
        ("PASS", "FLOAT(a,a)", 6_667, "PASS"),
        ("PASS", "PASS(a)", 2, "PASS", VISITS),
        claim("a", "c", 6_667, "CASH_OUT"),
    ]
    told = {"pass_entry": sold, "visits": 2, "visits_left": 0}
    export.post("PASS_RETURN", "c", 6_667, "visits", lines, original=sold, **told)


def _settle(export: Export) -> None:
    lines = [
        *valued("b", "a", 53, 26),
        *valued("b", "c", 101, 50),
        *valued("c", "b", 300, 150),
        *valued("c", "b", 20, 20, SECOND),
    ]
    export.act("VALUATION", lines, JANUARY)
    export.net(JANUARY, {"a": (10_386, 31_100), "b": (170, 76), "c": (31_210, 10_716), "h": (186, 60), "t": (0, 0)})
    export.stand_in_points(JANUARY, FIRST, {"a": 53, "b": 454, "c": 401})
    export.stand_in_points(JANUARY, SECOND, {"b": 20, "c": 20})
    export.act("VALUATION", valued("a", "b", 20, 10), FEBRUARY)
    export.net(FEBRUARY, {"a": (13_399, 13_576), "b": (10, 0), "c": (13_586, 13_439), "h": (40, 20), "t": (0, 0)})
    export.stand_in_points(FEBRUARY, FIRST, {"a": 20, "b": 20})


def judged(export: Export) -> Verdict:
    return judge(export.write(), {})


def test_both_hands_agree_on_points_and_passes_and_their_counts_are_told(tmp_path: Path) -> None:
    verdict = judged(two_months(tmp_path))

    assert () == verdict.differences
    assert {
        "earned": 320,
        "taken back": 101,
        "spent": 53,
        "returned": 20,
        "left": 186,
        "valued": 5,
        "worth": 256,
        "passes": 1,
        "visits": 2,
        "visits returned": 1,
        "paid out": 1,
        "visits left": 0,
        "prepaid": 0,
    } == dict(verdict.benefits)


def test_every_altered_line_of_points_and_passes_is_found(tmp_path: Path) -> None:
    """One of each code, unit and pair of accounts, also of what a window was valued at and netted with."""
    rows = two_months(tmp_path).transfers
    benefits = {"POINTS", "POINTS_VALUE", "PASS", "CASH_OUT", "SELLER_COMMISSION"}
    places = {(*row[2:4], *row[5:]): place for place, row in enumerate(rows) if row[5] in benefits}
    assert len(places) == 24
    for place in places.values():
        export = two_months(tmp_path)
        entry, leg, debit, credit, amount, *rest = export.transfers[place]
        export.transfers[place] = (entry, leg, debit, credit, amount + 1, *rest)
        differences = judged(export).differences
        assert any(f"entry {entry}: {debit} -> {credit}" in told for told in differences), export.transfers[place]
    for place, row in enumerate(two_months(tmp_path).positions):
        if row[-1] != 1:
            export = two_months(tmp_path)
            export.positions[place] = (*row[:3], row[3] + 1, *row[4:])
            assert any(f"points of unit {row[-1]} were left" in told for told in judged(export).differences)


def test_every_altered_word_of_an_answer_about_points_and_passes_is_found(tmp_path: Path) -> None:
    """Points taken and given, balances, worths; the pass, its visits, what is left of it."""
    entries = two_months(tmp_path).entries
    first = len(entries[0]) - len(TOLD)
    words = [(place, column) for place, row in enumerate(entries) for column in range(first, len(row)) if row[column]]
    assert len(words) == 26
    for place, column in words:
        if TOLD[column - first] == "visits" and entries[place][3] != "PASS_VISIT":
            continue  # how many visits were sold, came back or ended, the original says
        export = two_months(tmp_path)
        row = list(export.entries[place])
        row[column] -= 1
        export.entries[place] = tuple(row)
        try:
            assert not judged(export).equal, (TOLD[column - first], export.entries[place])
        except FactsMissing:
            assert TOLD[column - first] == "visits"


def wrong_value(export: Export) -> None:
    export.agreements[3] = ("points", "POINTS", POINTS | {"value": "51/100"})


def wrong_step(export: Export) -> None:
    export.agreements[3] = ("points", "POINTS", POINTS | {"steps": [{"from_minor": 1_001, "rate": "101/10000"}]})


def wrong_bearer(export: Export) -> None:
    export.agreements[3] = ("points", "POINTS", POINTS | {"borne_by": "DEBTOR"})


def wrong_price(export: Export) -> None:
    export.agreements[4] = ("visits", "PASSES", THREE | {"price_minor": 10_001})


def wrong_count(export: Export) -> None:
    export.agreements[4] = ("visits", "PASSES", THREE | {"visits": 4})


def later_version(export: Export) -> None:
    """The new version was made before the first sale, so that sale earned too little."""
    row = list(next(each for each in export.entries if each[3] == "AGREEMENT_REVISED"))
    export.entries.remove(tuple(row))
    export.entries.append((row[0], 1, *row[2:]))


def nobody_valued(export: Export) -> None:
    (entry, *_) = next(row for row in export.transfers if row[5] == "POINTS_VALUE")
    export.transfers = [row for row in export.transfers if row[0] != entry]


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (wrong_value, "POINTS_VALUE in monthly/2017-01: posted 170, computed 173"),
        (wrong_step, "points earned was told as 300, computed 303"),
        (wrong_bearer, "POINTS in points of unit 100 in monthly/2017-01: posted 300, computed 0"),
        (wrong_price, "posted 10000, computed 10001"),
        (wrong_count, "visits left of pass 8 was told as 3, computed 4"),
        (later_version, "points earned was told as 300, computed 600"),
        (nobody_valued, "POINTS_VALUE in monthly/2017-01: posted 0, computed 170"),
    ],
)
def test_a_month_that_was_posted_by_another_rule_is_not_equal(
    tmp_path: Path, alter: Callable[[Export], None], told: str
) -> None:
    export = two_months(tmp_path)
    alter(export)

    differences = judged(export).differences

    assert any(told in sentence for sentence in differences), differences


def test_points_in_a_window_that_nobody_valued_at_all_are_found(tmp_path: Path) -> None:
    """The entry is not there: neither its lines nor the money in the window."""
    export = two_months(tmp_path)
    nobody_valued(export)
    number = next(row[0] for row in export.entries if row[3] == "VALUATION")
    export.entries = [row for row in export.entries if row[0] != number]

    differences = judged(export).differences

    assert any(told.startswith("entry 0: CLEARING(c) -> CLEARING(b) POINTS_VALUE") for told in differences)


def test_more_points_than_there_are_cannot_be_spent_and_come_back_once(tmp_path: Path) -> None:
    export = house(tmp_path)
    export.post("TOP_UP", "a", 100_000, "sold", [])
    export.post("PURCHASE", "c", 5_000, "pays", [], points=50, points_balance=50)
    spent = export.post("POINTS_SPEND", "a", 0, "points", [], points=-51, points_balance=-1, points_worth=26)
    export.post("POINTS_RETURN", "a", 0, "points", [], original=spent, points=52, points_balance=51, points_worth=26)

    differences = judged(export).differences

    assert "entry 3: 51 points were spent of 50" in differences
    assert "entry 4: 52 points came back of 51" in differences


def test_ten_visits_for_100_one_at_c_with_interchange(tmp_path: Path) -> None:
    """Decision 0037: A=>C 1000, C=>A 5, C=>H 6, C=>A 10."""
    export = house(tmp_path, interchange="5/1000", passes=TEN)
    export.post("PASS_SALE", "a", 10_000, "visits", [])
    export.post("PASS_VISIT", "c", 0, "pays", [], visits=1)
    export.close_month()

    assert {("monthly", JANUARY): {"a": -985, "c": 979, "h": 6}} == nets(export)


def test_custody_holds_what_a_pass_was_paid_and_an_untouched_one_gives_the_commission_back(tmp_path: Path) -> None:
    """C sells A's pass for 100.00: it owes custody that, and A owes it 2.00. Paid out by C it is as if nothing was."""
    export = house(tmp_path, passes=THREE | {"custody": "OPERATOR_HELD"})
    sold = export.post("PASS_SALE", "c", 10_000, "visits", [])
    export.close_month()
    export.post("PASS_RETURN", "c", 10_000, "visits", [], original=sold)
    export.close_month()

    assert {
        ("monthly", JANUARY): {"a": -200, "c": -9_800, "t": 10_000},
        ("monthly", FEBRUARY): {"a": 200, "c": 9_800, "t": -10_000},
    } == nets(export)


def test_the_pass_that_ends_first_is_used_first_and_none_that_has_ended(tmp_path: Path) -> None:
    export = house(tmp_path, passes=THREE)
    export.agreements.append(("soon", "PASSES", THREE | {"months": 2, "price_minor": 6_000}))
    older = export.post("PASS_SALE", "c", 10_000, "visits", [])
    sooner = export.post("PASS_SALE", "c", 6_000, "soon", [])
    export.post("PASS_VISIT", "c", 2_000, "pays", [], visits=1, visits_left=2, pass_entry=older)
    late = export.post("PASS_VISIT", "c", 3_333, "pays", [], visits=1, visits_left=2, pass_entry=older)
    export.entries[late - 1] = tuple("2017-04-01" if word == "2017-01-31" else word for word in export.entries[-1])

    differences = judged(export).differences

    assert f"entry 3: the pass was told as {older}, computed {sooner}" in differences
    assert not any(told.startswith("entry 4: the pass") for told in differences)


def test_a_visit_without_a_pass_and_a_version_nobody_made_cannot_be_computed(tmp_path: Path) -> None:
    export = house(tmp_path)
    export.post("PASS_VISIT", "c", 3_333, "pays", [], visits=1)
    with pytest.raises(FactsMissing, match="wallet 7 has no pass with 1 visits here"):
        judged(export)

    export = house(tmp_path)
    export.revise("points", DEARER)
    export.entries.pop()
    with pytest.raises(FactsMissing, match=r"when .* was made"):
        judged(export)


@pytest.mark.parametrize(
    ("amount", "points"), [(9_999, 0), (10_000, 100), (49_999, 499), (50_000, 1_000), (50_049, 1_000)]
)
def test_points_by_the_highest_step(amount: int, points: int) -> None:
    assert points == points_earned(((10_000, Fraction(1, 100)), (50_000, Fraction(2, 100))), amount)


def test_visits_take_the_whole_price_and_never_more_than_is_left() -> None:
    terms_of = PassFacts("a", False, 10_000, 3, None, (), Fraction(0), "monthly")
    taken, left = [], 10_000
    for visits in (3, 2, 1):
        taken.append(worth_of_visits(terms_of, visits, left, 1))
        left -= taken[-1]

    assert [3_333, 3_333, 3_334] == taken
    assert 10_000 == worth_of_visits(terms_of, 3, 10_000, 3)
    assert 5 == worth_of_visits(replace(terms_of, price=100), 1, 5, 1)
