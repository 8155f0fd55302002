"""Which label comes next, and when a period is over."""

from datetime import date

import pytest

from settlement.labels import interim_label, label_of, next_label, period_end, period_start


@pytest.mark.parametrize(
    ("cadence", "label", "following"),
    [
        ("MONTHLY", "2017-01", "2017-02"),
        ("MONTHLY", "2017-12", "2018-01"),
        ("DAILY", "2016-02-28", "2016-02-29"),
        ("DAILY", "2017-12-31", "2018-01-01"),
        ("WEEKLY", "2020-W53", "2021-W01"),
        ("WEEKLY", "2017-W05", "2017-W06"),
        ("MONTHLY", "2017-13", None),
        ("MONTHLY", "spring", None),
        ("WEEKLY", "2021-W53", None),
        ("MANUAL", "2017-01", None),
        ("MONTHLY", "2017-01.2", "2017-02"),
        ("WEEKLY", "2017-W05.3", "2017-W06"),
        ("DAILY", "2017-12-31.2", "2018-01-01"),
        ("MONTHLY", "2017-01.x", None),
    ],
)
def test_the_next_label_follows_from_the_cadence(cadence, label, following):
    assert next_label(cadence, label) == following


def test_a_period_ends_on_the_first_day_after_it():
    assert period_end("MONTHLY", "2017-01") == date(2017, 2, 1)
    assert period_end("WEEKLY", "2017-W01") == date(2017, 1, 9)


def test_a_period_starts_where_the_one_before_has_ended():
    assert period_start("MONTHLY", "2017-02") == date(2017, 2, 1) == period_end("MONTHLY", "2017-01")
    assert period_start("WEEKLY", "2017-W02") == date(2017, 1, 9) == period_end("WEEKLY", "2017-W01")
    assert period_start("DAILY", "2017-01-09") == date(2017, 1, 9)
    assert period_start("MANUAL", "2017-01") is None


def test_a_day_lies_in_the_period_whose_label_it_gets():
    assert label_of("WEEKLY", date(2021, 1, 3)) == "2020-W53"
    assert label_of("MONTHLY", date(2017, 1, 31)) == "2017-01"


def test_the_rest_of_a_period_that_is_cut_early_is_numbered():
    assert ["2017-01.2", "2017-01.3", "2017-01.10"] == [
        interim_label(label) for label in ("2017-01", "2017-01.2", "2017-01.9")
    ]
