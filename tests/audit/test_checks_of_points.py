"""An auditor's look at points: a log of the house's own rules is ok, and each way of bending it is a breach."""

import json
from collections.abc import Callable, Iterable
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.points import PointsChecks
from coalition.audit.checks.report import Check, Report, Verdict
from coalition.audit.checks.rules import Window
from coalition.audit.checks.valuations import ValuationChecks
from coalition.domain.accounts import FIRST_OF_POINTS
from coalition.domain.kinds import Kind
from coalition.domain.rates import Rate
from coalition.domain.valuation import Worth, valuation_transfers, value_points
from tests.audit.test_checks_of_defaults import entry
from tests.audit.test_checks_of_passes import Seen, again, breached, edited, seen, without
from tests.domain.house import House
from tests.domain.test_points import PROGRAMME

AGREED = ["points", 1, "POINTS", "2026-01-01", None, PROGRAMME]


def bundle(*agreements: list[Any], start_size: int = 0) -> Any:
    """As much of one as these checks look at."""
    named = {each.participant_id: code for code, each in House().participants.items()}
    return SimpleNamespace(
        start_size=start_size, state_numbers=(1, 1), state=lambda _: iter(agreements), participants=named
    )


def day() -> list[Seen]:
    """600.00 earn 1200; 100.01 and the rest go back; points are spent, returned in slices, and undone."""
    house = House()
    house.terms("a", "0")
    for acquirer in "cd":
        house.accept("a", acquirer)
        house.acquire(acquirer)
    house.agree("points", "POINTS", **PROGRAMME)
    house.top_up("a", 1000000)
    sale = house.purchase("c", 60000)
    house.refund("c", 10001, sale)
    spent = house.spend_points("d", 400)
    house.return_points("d", spent, 100)
    house.reverse("d", spent)
    house.spend_points("d", 499)
    house.refund("c", 49999, sale)
    house.reverse("c", house.purchase("c", 20000))
    return [seen(done) for done in house.journal]


def judged(entries: Iterable[Seen], *agreements: list[Any], start_size: int = 0) -> Report:
    report = Report()
    checks = PointsChecks(bundle(*(agreements or [AGREED]), start_size=start_size), report)
    for opened, answer in entries:
        checks.leaf(opened, answer)
    checks.finish()
    return report


def test_the_houses_own_rules_pass():
    report = judged(day())
    assert set() == breached(report), [check.findings for check in report.checks.values()]
    assert 9 == report.checks["V9"].looked_at


def told(place: int, /, **facts: str) -> Callable[[list[Seen]], list[Seen]]:
    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        entries[place] = opened, [*answer[:10], answer[10] | facts]
        return entries

    return change


def posted(place: int, number: int, /, **facts: str) -> Callable[[list[Seen]], list[Seen]]:
    """Another number of points in the legs, and in the answer what is told besides."""

    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        legs = tuple(
            (*leg[:2], number, *leg[3:]) if leg[5] >= FIRST_OF_POINTS else leg for leg in opened.entry.transfers
        )
        entries[place] = (
            opened._replace(entry=opened.entry._replace(transfers=legs)),
            [*answer[:10], answer[10] | facts],
        )
        return entries

    return change


def said_no_more(place: int, fact: str) -> Callable[[list[Seen]], list[Seen]]:
    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        facts = {name: said for name, said in answer[10].items() if name != fact}
        entries[place] = opened, [*answer[:10], facts]
        return entries

    return change


def silent(place: int) -> Callable[[list[Seen]], list[Seen]]:
    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        entries[place] = opened, [*answer[:10], {}]
        return entries

    return change


def kept(place: int) -> Callable[[list[Seen]], list[Seen]]:
    """Value is given back, its points are not taken."""

    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        legs = tuple(leg for leg in opened.entry.transfers if leg[5] < FIRST_OF_POINTS)
        entries[place] = opened._replace(entry=opened.entry._replace(transfers=legs)), [*answer[:10], {}]
        return entries

    return change


FORGERIES = {
    "a sale earns a point too many": (posted(1, 1201, points="1201", points_balance="1201"), "V8"),
    "a sale says more than it posts": (told(1, points="1201"), "V8"),
    "points move and nothing is said": (silent(1), "V8"),
    "an answer that does not say whose": (told(1, points_version="none"), "V8"),
    "the balance is not the running one": (told(4, points_balance="1000"), "V9"),
    "points that are not there are spent": (again(6), "V9"),
    "a return of points that were not spent": (without(3), "V11"),
    "more comes back than was spent": (posted(4, 401, points="401", points_balance="500"), "V11"),
    "a refund keeps its points": (kept(2), "V11"),
    "a refund takes a point too few": (posted(2, 700, points="-700", points_balance="500"), "V11"),
    "a sale is said to be larger": (edited(1, amount_minor=60100), "V8"),
    "points move by what may not move any": (edited(3, kind=int(Kind.CASH_OUT)), "V8"),
}


ENDING = PROGRAMME | {"months": 1}


def ending_day() -> list[Seen]:
    """A sale and another 20 days later; some are spent (3), come back (4); the first ends (5), is refunded (6)."""
    house = House()
    house.terms("a", "0")
    for acquirer in "cd":
        house.accept("a", acquirer)
        house.acquire(acquirer)
    house.agree("points", "POINTS", **ENDING)
    house.top_up("a", 1000000)
    sale = house.purchase("c", 30000)
    house.later(20)
    house.purchase("c", 20000)
    spent = house.spend_points("d", 350)
    house.return_points("d", spent, 100)
    house.later(12)
    house.expire_points(sale)
    house.refund("c", 30000, sale)
    return [seen(done) for done in house.journal]


def judged_ending(entries: Iterable[Seen], **more: Any) -> Report:
    return judged(entries, ["points", 1, "POINTS", "2026-01-01", None, ENDING], **more)


def on(place: int, day: str) -> Callable[[list[Seen]], list[Seen]]:
    return edited(place, business_day=date.fromisoformat(day).toordinal())


def test_points_that_end_pass_as_the_house_ends_them():
    report = judged_ending(ending_day())
    assert set() == breached(report), [check.findings for check in report.checks.values()]
    assert set() == breached(judged_ending(ending_day()[2:], start_size=2))


ENDING_FORGERIES = {
    "a sale's points end later than was agreed": (told(1, points_last_day="2026-03-10"), "V8"),
    "a sale's points are said never to end": (said_no_more(1, "points_last_day"), "V8"),
    "points are taken on their last day": (on(5, "2026-02-10"), "V9"),
    "points are taken though they were spent": (posted(5, 51, points="-51", points_balance="199"), "V9"),
    "points are spent that have ended": (on(3, "2026-02-11"), "V9"),
    "points end twice": (again(5), "V9"),
    "points end that nobody has earned": (edited(5, original_entry_id=7), "V11"),
    "what has ended is taken a second time": (posted(6, 300, points="-300", points_balance="-100"), "V11"),
    "a refund takes less than what was spent": (posted(6, 249, points="-249", points_balance="-49"), "V11"),
}


@pytest.mark.parametrize("name", ENDING_FORGERIES)
def test_each_way_of_bending_how_points_end_is_a_breach(name: str):
    forge, check = ENDING_FORGERIES[name]
    assert check in breached(judged_ending(forge(ending_day())))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_bent_log_is_found(name: str):
    change, check = FORGERIES[name]
    assert check in breached(judged(change(day())))


def test_a_rule_that_the_bundle_does_not_hold_is_not_guessed_at():
    report = judged(day(), ["others", 1, "POINTS", "2026-01-01", None, PROGRAMME])
    assert set() == breached(report)
    assert Verdict.UNDECIDED is report.checks["V9"].verdict
    dear = judged(day(), [*AGREED[:5], PROGRAMME | {"steps": [{"from_minor": 1, "rate": "1"}]}])
    assert {"V8", "V11"} == breached(dear)


def test_what_lies_before_the_bundle_is_not_guessed_at():
    report = judged(day()[4:], start_size=7)
    assert set() == breached(report)
    assert Verdict.UNDECIDED is report.checks["V9"].verdict


B, C, D, WINDOW = 4, 5, 6, 9
CLAIMS = [(C, B, 100, 300), (B, C, 100, 101), (B, D, 101, 53)]
HALF, CENT = Worth(7, 1, Rate.of(1, 2)), Worth(7, 2, Rate.of(1))
MADE = [{"agreement": "points", "version": number, "unit": 99 + number, "agreement_id": 7} for number in (1, 2)]


def valuation(
    claims: list[tuple[int, int, int, int]] = CLAIMS, half: Worth = HALF, cent: Worth = CENT, **bent: Any
) -> Opened:
    """What settlement posts, or what a forger would: legs and answer alike."""
    valued = value_points(claims, {100: half, 101: cent})
    rows = [
        {"unit": x.unit, "agreement_id": x.worth.agreement_id, "version": x.worth.version, "value": str(x.worth.value)}
        for x in valued
    ]
    made = entry(Kind.VALUATION, 8, {"valued": rows}, valuation_transfers(valued, bent.get("window", WINDOW)))
    return made._replace(entry=made.entry._replace(transfers=made.entry.transfers[bent.get("skip", 0) :]))


def verdict(*valuations: Opened, values: tuple[str, str] = ("1/2", "1"), made: int = 2, start_size: int = 0) -> Check:
    check = Check("V17")
    rows = [
        ["points", number, "POINTS", "", None, {"debtor": "b", "value": value}]
        for number, value in enumerate(values, start=1)
    ]
    checks = ValuationChecks(bundle(*rows, start_size=start_size), check, lambda *_: None)
    for told in MADE[:made]:
        checks.agreed(told)
    window = Window()
    for debtor, creditor, unit, points in CLAIMS:
        window.sums[debtor << 24, creditor << 24, 41, unit] = [points, 1]
    for each in valuations:
        checks.leaf(each, {WINDOW: window})
    return check


def test_a_valuation_of_all_points_by_what_was_agreed_is_ok():
    assert Verdict.OK is verdict(valuation()).verdict


@pytest.mark.parametrize(
    "bent",
    [
        lambda: verdict(valuation(half=HALF._replace(value=Rate.of(1)))),  # dearer than was agreed
        lambda: verdict(valuation(half=HALF._replace(value=Rate.of(1))), values=("1", "1"), made=1),  # of no version
        lambda: verdict(valuation(cent=CENT._replace(version=1))),  # by another version than the unit's
        lambda: verdict(valuation(CLAIMS[:2])),  # one is left out
        lambda: verdict(valuation([(C, B, 100, 301), *CLAIMS[1:]])),  # a point more than was owed
        lambda: verdict(valuation(skip=1)),  # a leg is missing
        lambda: verdict(valuation(), valuation()),  # twice
        lambda: verdict(entry(Kind.VALUATION, 8, {"valued": [{"unit": 100}]})),
    ],
)
def test_a_bent_valuation_is_found(bent: Callable[[], Check]):
    assert Verdict.BREACH is bent().verdict


def test_a_valuation_of_what_lies_before_the_bundle_is_not_guessed_at():
    assert Verdict.UNDECIDED is verdict(valuation([(C, B, 100, 301), *CLAIMS[1:]]), start_size=5).verdict
    assert "valued" in json.loads(valuation().entry.answer)["answer"]
