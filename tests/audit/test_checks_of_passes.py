"""An auditor's look at passes: a log of the house's own rules is ok, and each way of bending it is a breach."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.passes import PassChecks
from coalition.audit.checks.report import Report, Verdict
from coalition.audit.leaf import Payload
from coalition.domain.accounts import Unit
from tests.domain.house import Done
from tests.domain.test_passes import pass_house

Answer = list[Any]
Seen = tuple[Opened, Answer]


def seen(done: Done) -> Seen:
    """The entry of an operation as an auditor reads it."""
    decision = done.decision
    legs = tuple(
        (leg.debit, leg.credit, leg.amount_minor, int(leg.code), leg.window_id or 0, int(leg.unit))
        for leg in decision.transfers
    )
    nothing: dict[str, Any] = dict.fromkeys(Payload._fields, 0) | {"allocations": (), "answer": b"", "reference": b""}
    payload = Payload(
        **nothing
        | {
            "entry_id": done.entry_id,
            "kind": int(done.command.kind),
            "wallet_id": 1,
            "amount_minor": decision.amount_minor,
            "original_entry_id": decision.original.entry_id if decision.original else 0,
            "business_day": done.day.toordinal(),
            "transfers": legs,
            "details": b"",
        }
    )
    answer = [0, done.entry_id, 0, 0, decision.amount_minor, 0, 0, 0, 0, "", dict(decision.facts or {})]
    return Opened(done.entry_id, None, payload, None), answer  # type: ignore[arg-type]  # the leaf is not looked at


def day() -> list[Seen]:
    """Passes of three visits for 100.00: one is used up, of another visits come back and the rest is paid out."""
    house = pass_house(visits=3)
    house.sell_pass("a", 10000)
    for at in ("c", "a", "c"):
        house.visit(at)
    other = house.sell_pass("a", 10000)
    house.return_visit("c", house.visit("c"))
    house.reverse("c", house.visit("c"))
    house.visit("c", 2)
    house.return_pass("a", other)
    house.reverse("a", house.sell_pass("a", 10000))
    return [seen(done) for done in house.journal]


def judged(entries: Iterable[Seen], *, is_whole: bool = True) -> Report:
    report = Report()
    checks = PassChecks(report, is_whole=is_whole)
    for opened, answer in entries:
        checks.leaf(opened, answer)
    checks.finish()
    return report


def breached(report: Report) -> set[str]:
    return {name for name, check in report.checks.items() if check.verdict is Verdict.BREACH}


def test_the_houses_own_rules_pass():
    report = judged(day())
    assert set() == breached(report)
    assert 13 == report.checks["V9"].looked_at


def told(place: int, **facts: str) -> Callable[[list[Seen]], list[Seen]]:
    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        entries[place] = opened, [*answer[:10], answer[10] | facts]
        return entries

    return change


def posted(place: int, unit: Unit, amount: int, **fields: Any) -> Callable[[list[Seen]], list[Seen]]:
    """Another amount in the legs of a unit, and in the entry where that is money."""

    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        legs = tuple(
            (*leg[:2], amount, *leg[3:]) if leg[5] == unit and not leg[4] else leg for leg in opened.entry.transfers
        )
        entries[place] = opened._replace(entry=opened.entry._replace(transfers=legs, **fields)), answer
        return entries

    return change


def both(*changes: Callable[[list[Seen]], list[Seen]]) -> Callable[[list[Seen]], list[Seen]]:
    def change(entries: list[Seen]) -> list[Seen]:
        for each in changes:
            entries = each(entries)
        return entries

    return change


def again(place: int) -> Callable[[list[Seen]], list[Seen]]:
    return lambda entries: [*entries, entries[place]]


def without(place: int) -> Callable[[list[Seen]], list[Seen]]:
    return lambda entries: [*entries[:place], *entries[place + 1 :]]


def edited(place: int, **fields: Any) -> Callable[[list[Seen]], list[Seen]]:
    def change(entries: list[Seen]) -> list[Seen]:
        opened, answer = entries[place]
        entries[place] = opened._replace(entry=opened.entry._replace(**fields)), answer
        return entries

    return change


FORGERIES = {
    "a visit takes a fen too much": (posted(1, Unit.MONEY, 3334, amount_minor=3334), "V8"),
    "a visit says another amount than it takes": (edited(1, amount_minor=3334), "V8"),
    "a visit takes two and says one": (posted(1, Unit.VISITS, 2), "V8"),
    "a visit takes two for the price of one": (both(posted(1, Unit.VISITS, 2), told(1, visits="2")), "V8"),
    "a visit of a pass that was never sold": (told(1, **{"pass": "7"}), "V9"),
    "a visit of another's pass": (edited(1, wallet_id=2), "V9"),
    "a fourth visit of three": (again(1), "V9"),
    "more visits left than there are": (told(2, visits_left="2"), "V9"),
    "a pass is sold for nothing": (posted(0, Unit.MONEY, 0, amount_minor=0), "V8"),
    "a visit comes back twice": (again(6), "V11"),
    "a visit comes back that was not taken": (without(5), "V11"),
    "a pass is paid out twice": (again(10), "V11"),
    "a pass is paid out for more than is left": (posted(10, Unit.MONEY, 3400, amount_minor=3400), "V11"),
    "a pass is moved by what moves none": (edited(1, kind=2), "V8"),
    "an answer does not say which pass": (told(1, visits="one"), "V8"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_bent_log_is_found(name: str):
    change, check = FORGERIES[name]
    assert check in breached(judged(change(day())))


def test_what_was_sold_before_the_bundle_is_not_guessed_at():
    report = judged(day()[1:], is_whole=False)
    assert set() == breached(report)
    assert Verdict.UNDECIDED is report.checks["V9"].verdict
