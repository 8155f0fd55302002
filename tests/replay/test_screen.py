"""The last screen: a difference is loud, fails the command, and none is kept back."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from coalition.replay.comparison import Verdict
from coalition.replay.demo import DIFFERENCES, Month, Story
from coalition.replay.exposure import Exposure
from coalition.replay.headquarters import PaidRun, Party
from coalition.replay.journey_scheme import AGREEMENTS, TOP_UP_RULE
from coalition.replay.posting import Standing
from coalition.replay.screen import DIFFERENCES_SHOWN, last_screen
from coalition.replay.tills import Takings
from coalition.replay.trade import Trade


def story(differences: tuple[str, ...] = (), surprises: int = 0) -> Story:
    takings = Takings(seconds=2.0, latencies=[(0.25, 10)], surprise_count=surprises)
    takings.outcomes["PURCHASE", "ACCEPTED"] = 9
    takings.outcomes["PURCHASE", "INSUFFICIENT_FUNDS"] = 1
    takings.amounts["PURCHASE"] = 123_456
    month = Month(
        "2017-01",
        {"gross_minor": 10_000, "net_minor": 2_500, "saving_percent": "75.00"},
        {"a": Standing(0, 2_500), "b": Standing(2_500, 0)},
        {"a": "Store A", "b": "Store B"},
        Path("reports/2017-01"),
        PaidRun(1, ("monthly/2017-01",), 0, 2_400, 2_300, (Party("a", -2_500, -2_400, -2_400), Party("b", 0, 0, 0))),
    )
    trade = Trade("Test", "USD", "UTC", (), AGREEMENTS, TOP_UP_RULE, {}, {"2017-01": ()}, ("a remark",))
    exposure = Exposure("a", cap=90_000, most=80_001, warnings=1, stops=0, declines=17)
    verdict = Verdict(
        10, 2, differences, windows=32, fees=7, payments=5, left={"a": -111}, exposures=(exposure,), declines=18
    )
    return Story(trade, takings, (month,), 12, verdict, {"tills": 2.0})


def shown(told: Story) -> str:
    console = Console(width=120, file=StringIO(), record=True)
    console.print(last_screen(told))
    return console.export_text()


def test_the_screen_tells_counts_rate_nets_saving_and_zero_sum():
    text = shown(story())

    for told in ("9", "INSUFFICIENT_FUNDS", "1,234.56", "5 operations/s", "p50 250 ms", "Store A", "25.00", "75.00 %"):
        assert told in text
    for told in ("0.00", "reports/2017-01", "EQUAL", "a remark"):
        assert told in text


def test_the_screen_tells_runs_fees_caps_and_what_is_still_due():
    text = shown(story())

    for told in (
        "1.00",
        "24.00",
        "23.00",
        "900.00",
        "800.01",
        "17",
        "18 declines",
        "7 fees",
        "32 windows",
        "5 payments",
        "anybody: 1.11",
    ):
        assert told in text


def test_the_screen_tells_what_was_computed_again_of_points_and_passes():
    told = story()
    counts = {"earned": 1_234, "taken back": 34, "spent": 600, "returned": 100, "left": 700}
    of_windows = {"valued": 5, "worth": 1_256}
    of_passes = {"passes": 9, "visits": 4, "visits returned": 1, "paid out": 2, "visits left": 52, "prepaid": 17_087}
    assert "points:" not in shown(told)
    counted = replace(told, verdict=replace(told.verdict, benefits=counts | of_windows | of_passes))
    text = " ".join(shown(counted).replace("│", " ").split())

    for sentence in (
        (
            "points: 1,234 earned, 34 taken back, 600 spent, 100 returned, 700 left; "
            "5 claims in them became 12.56, once a window"
        ),
        "passes: 9 sold, 4 visits, 1 of them returned, 2 passes paid out; 52 visits left, worth 170.87",
    ):
        assert sentence in text


@pytest.mark.parametrize("count", [1, DIFFERENCES_SHOWN, DIFFERENCES_SHOWN + 3])
def test_differences_are_loud_and_fail(count):
    told = story(tuple(f"entry {number}: posted 1, computed 2" for number in range(count)))

    assert not told.is_sound
    assert f"{count} DIFFERENCES" in shown(told)
    assert "EQUAL" not in shown(told)
    assert (count > DIFFERENCES_SHOWN) == (f"more in {DIFFERENCES}" in shown(told))


def test_an_answer_that_was_not_planned_fails_too():
    told = story(surprises=1)

    assert not told.is_sound
    assert "1 answers were not as planned" in shown(told)
