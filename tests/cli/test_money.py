"""Amounts and rates on the command line: exact both ways, and nothing is guessed."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.cli.money import RATE_PART_MAX, format_amount, format_number, format_rate, parse_amount, parse_rate

MINOR = st.integers(min_value=0, max_value=10**15)


@given(MINOR)
def test_what_is_printed_reads_back_as_the_same_fen(minor):
    """People copy amounts from the screen."""
    assert minor == parse_amount(format_amount(minor, "CNY"), "CNY")


@given(MINOR)
def test_grouping_and_currency_change_nothing(minor):
    """1,200.00 CNY is 1200.00."""
    plain = format_number(minor).replace(",", "")

    assert minor == parse_amount(plain, "CNY") == parse_amount(f" {plain} CNY", "CNY")


@pytest.mark.parametrize(
    ("text", "minor"),
    [("300", 30000), ("300.5", 30050), ("300.50", 30050), ("0.01", 1), ("1,200.00", 120000), ("9.99CNY", 999)],
)
def test_an_amount_is_read_digit_by_digit(text, minor):
    """0.1 + 0.2 has no place in a till."""
    assert minor == parse_amount(text, "CNY")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1.234",
        "1,5",
        "12,00.00",
        "1.2.3",
        ".5",
        "5.",
        "1e3",
        "0x10",
        "1_000",
        "３００",
        "300 USD",
        "NaN",
        "¥3",
    ],
)
def test_an_amount_that_could_mean_two_things_is_refused(text):
    """A decimal comma read as a thousands separator would charge a hundredfold."""
    with pytest.raises(ValueError, match=r"like 300\.00|currency"):
        parse_amount(text, "CNY")


@given(st.text())
def test_any_text_is_an_amount_or_a_value_error(text):
    """Nothing typed ends in a traceback."""
    with suppress(ValueError):
        assert parse_amount(text, "CNY") >= 0


def test_a_negative_position_keeps_its_sign_and_its_fen():
    """-0.05 must not become 0.95 below zero."""
    assert ["-0.05", "-297.00", "0.00", "1,234,567.89"] == [
        format_number(minor) for minor in (-5, -29700, 0, 123456789)
    ]


@given(st.fractions(min_value=0, max_value=1, max_denominator=RATE_PART_MAX))
def test_a_rate_reads_back_exactly(rate):
    """A fee of a third stays a third."""
    assert rate == parse_rate(format_rate(rate)) == parse_rate(f"{rate.numerator}/{rate.denominator}")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/5", Fraction(1, 5)),
        ("20%", Fraction(1, 5)),
        ("0.6 %", Fraction(6, 1000)),
        ("0.006", Fraction(6, 1000)),
        ("0", Fraction(0)),
        ("1", Fraction(1)),
        ("120%", Fraction(6, 5)),
    ],
)
def test_a_rate_is_written_as_people_do(text, rate):
    """Headquarters think in per cent, contracts in fractions."""
    assert rate == parse_rate(text)


@pytest.mark.parametrize("text", ["", "-1/5", "1/0", "0.5/3", "1//2", "a", "1/5%", "1e-3", "1/99999999999"])
def test_a_rate_that_is_none_is_refused(text):
    """With what to write instead."""
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)
