"""An auditor's look at points repaid with another programme's: each way of giving one debtor's for less is a breach."""

from typing import Any

import pytest

from coalition.domain.accounts import FIRST_OF_POINTS, POINTS_HELD, TransferCode
from tests.audit.test_checks_of_conversions import legs
from tests.audit.test_checks_of_passes import Seen, again, breached, edited, seen
from tests.audit.test_checks_of_points import judged, said_no_more, silent, told
from tests.domain.test_points_repayment import MOONS, POINTS, opened

AGREED = [["points", 1, "POINTS", "2026-01-01", None, POINTS], ["moons", 1, "POINTS", "2026-01-01", None, MOONS]]
CLAIM = int(TransferCode.POINTS_REPAYMENT)
REPAYMENT = 5
"""Top-up, sale, spend of moons, refund, sale: then 150 moons are repaid with 225 points, and at 6 the rest."""


def day() -> list[Seen]:
    house = opened()
    house.repay_points("d", "moons", 150)
    house.repay_points("d", "moons")
    return [seen(done) for done in house.journal]


def test_the_houses_own_repayments_pass():
    report = judged(day(), *AGREED)
    assert set() == breached(report), [check.findings for check in report.checks.values()]


def counted(amounts: dict[int, int], **facts: str) -> Any:
    """Other numbers of points in the legs, and in the answer what is told besides."""

    def forge(entries: list[Seen]) -> list[Seen]:
        changed = legs(REPAYMENT, lambda leg: (*leg[:2], amounts.get(leg[2], leg[2]), *leg[3:]))(entries)
        return told(REPAYMENT, **facts)(changed)

    return forge


FORGERIES = {
    "one debtor's points for fewer of the other's": (
        counted({225: 224}, points="-224", points_balance="776"),
        "V8",
    ),
    "more are repaid than was paid for": (counted({150: 151}, repaid_points="151", repaid_points_balance="-49"), "V8"),
    "more are said to be repaid than were": (told(REPAYMENT, repaid_points="151"), "V8"),
    "more are said to be left": (told(REPAYMENT, repaid_points_balance="-51"), "V9"),
    "what nobody owes is repaid": (again(6), "V9"),
    "nobody says what is repaid": (said_no_more(REPAYMENT, "repaid_points"), "V8"),
    "nothing is said of points": (silent(REPAYMENT), "V8"),
    "the creditor is owed nothing": (legs(REPAYMENT, lambda leg: None if leg[3] == CLAIM else leg), "V8"),
    "the creditor is owed less": (
        legs(REPAYMENT, lambda leg: (*leg[:2], 1, *leg[3:]) if leg[3] == CLAIM else leg),
        "V8",
    ),
    "a spend that gives others": (edited(REPAYMENT, kind=37), "V8"),
    "the other's points come from nowhere": (
        legs(REPAYMENT, lambda leg: None if leg[1] == POINTS_HELD and leg[5] >= FIRST_OF_POINTS else leg),
        "V8",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_each_way_of_bending_a_repayment_is_a_breach(name: str):
    forge, check = FORGERIES[name]
    assert check in breached(judged(forge(day()), *AGREED))


def test_it_takes_two_to_agree_on_a_rate():
    alone = ["moons", 1, "POINTS", "2026-01-01", None, MOONS | {"repaid_with": []}]
    assert {"V8"} == breached(judged(day(), AGREED[0], alone))
