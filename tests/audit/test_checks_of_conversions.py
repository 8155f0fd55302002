"""An auditor's look at points that become value: each way of giving more for them, or of paying less, is a breach."""

from typing import Any

import pytest

from coalition.domain.accounts import TransferCode, clearing_account, float_account
from tests.audit.test_checks_of_passes import Seen, breached, edited, seen, without
from tests.audit.test_checks_of_points import judged, posted, silent
from tests.domain.test_points import PROGRAMME
from tests.domain.test_points_conversion import STORED, VOUCHER, opened

CONVERSION = int(TransferCode.POINTS_CONVERSION)


def agreed(conversion: dict[str, Any]) -> list[Any]:
    return ["points", 1, "POINTS", "2026-01-01", None, PROGRAMME | {"conversion": conversion}]


def day(conversion: dict[str, Any]) -> list[Seen]:
    """Top-up, sale, then two conversions (places 2 and 3) of which the second is undone (place 4)."""
    house = opened(conversion)
    house.convert_points("d", 300)
    house.reverse("c", house.convert_points("c", 400))
    return [seen(done) for done in house.journal]


@pytest.mark.parametrize("conversion", [STORED, VOUCHER])
def test_the_houses_own_conversions_pass(conversion: dict[str, Any]):
    report = judged(day(conversion), agreed(conversion))
    assert set() == breached(report), [check.findings for check in report.checks.values()]


def legs(place: int, change: Any) -> Any:
    """The legs of the entry at `place`, each as `change` makes it; None leaves it out."""

    def forge(entries: list[Seen]) -> list[Seen]:
        transfers = tuple(made for leg in entries[place][0].entry.transfers if (made := change(leg)) is not None)
        return edited(place, transfers=transfers)(entries)

    return forge


def paid(amount: int | None) -> Any:
    """The debtor pays another amount for stored value; None: nothing."""
    return lambda leg: leg if leg[3] != CONVERSION else None if amount is None else (*leg[:2], amount, *leg[3:])


FORGERIES = {
    "more value than the points are worth": (
        legs(2, lambda leg: leg if leg[5] > 1 else (*leg[:2], leg[2] + 1, *leg[3:])),
        "V8",
    ),
    "fewer points than the value costs": (posted(2, 290, points="-290", points_balance="710"), "V8"),
    "a number of points that is not taken": (posted(2, 305, points="-305", points_balance="695"), "V8"),
    "value that nobody pays for": (legs(2, paid(None)), "V8"),
    "value that is paid for by half": (legs(2, paid(50)), "V8"),
    "value that another pays for": (
        legs(2, lambda leg: (clearing_account(5), *leg[1:]) if leg[3] == CONVERSION else leg),
        "V8",
    ),
    "value of another issuer": (
        legs(
            2,
            lambda leg: (float_account(3, 5), *leg[1:]) if leg[3] == TransferCode.PRINCIPAL and leg[5] == 1 else leg,
        ),
        "V8",
    ),
    "value for no points": (silent(2), "V8"),
    "points come back, and their value stays": (legs(4, lambda leg: leg if leg[5] > 1 else None), "V11"),
    "the points of a conversion that never was come back": (without(3), "V11"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_each_way_of_bending_a_conversion_is_a_breach(name: str):
    forge, check = FORGERIES[name]
    assert check in breached(judged(forge(day(STORED)), agreed(STORED)))


def test_a_voucher_is_owed_by_the_debtor_alone():
    forge = legs(2, lambda leg: leg if leg[5] > 1 else (float_account(3, 3), *leg[1:]))
    assert {"V8"} == breached(judged(forge(day(VOUCHER)), agreed(VOUCHER)))


def test_without_a_conversion_in_the_rule_no_points_become_value():
    assert "V8" in breached(judged(day(STORED), ["points", 1, "POINTS", "2026-01-01", None, PROGRAMME]))
