"""Amounts and rates as people write them, to and from exact integers. Never a float, never rounded."""

import re
from fractions import Fraction
from typing import Final

MINOR_DIGITS: Final = 2
"""Digits of the minor unit of the scheme currency: 100 fen are a yuan."""
MINOR_PER_MAJOR: Final = 10**MINOR_DIGITS
RATE_PART_MAX: Final = 1_000_000_000
"""Bound of a rate's numerator and denominator on the wire."""

_AMOUNT: Final = re.compile(
    r"(?P<major>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,16})(?:\.(?P<minor>[0-9]{1,2}))?(?: ?(?P<currency>[A-Z]{3}))?",
    re.ASCII,
)
_RATE: Final = re.compile(
    r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,9})?)(?:/(?P<below>[0-9]{1,12})| ?(?P<percent>%))?", re.ASCII
)


def parse_amount(text: str, currency_code: str) -> int:
    """Minor units of "300", "300.5", "1,200.00" or "300.00 CNY". Raises ValueError with the cure."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"write an amount like 300.00, with at most {MINOR_DIGITS} digits after the point")
    if match["currency"] not in {None, currency_code}:
        raise ValueError(f"the currency of this coalition is {currency_code}")
    minor = (match["minor"] or "").ljust(MINOR_DIGITS, "0")
    return int(match["major"].replace(",", "")) * MINOR_PER_MAJOR + int(minor)


def format_number(amount_minor: int) -> str:
    """The amount without its currency: 120000 is "1,200.00", -29700 is "-297.00"."""
    major, minor = divmod(abs(amount_minor), MINOR_PER_MAJOR)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{major:,}.{minor:0{MINOR_DIGITS}}"


def format_amount(amount_minor: int, currency_code: str) -> str:
    """The amount with its currency: "1,200.00 CNY"."""
    return f"{format_number(amount_minor)} {currency_code}"


def parse_rate(text: str) -> Fraction:
    """The exact ratio of "1/5", "20%", "0.6 %" or "0.006". Raises ValueError with the cure."""
    match = _RATE.fullmatch(text.strip())
    if match is None or (match["below"] and ("." in match["number"] or int(match["below"]) == 0)):
        raise ValueError("write a rate like 1/5, 20% or 0.006")
    rate = Fraction(match["number"]) / int(match["below"] or 1) / (100 if match["percent"] else 1)
    if max(rate.numerator, rate.denominator) > RATE_PART_MAX:
        raise ValueError(f"a rate is a fraction of whole numbers up to {RATE_PART_MAX}")
    return rate


def format_rate(rate: Fraction) -> str:
    """The ratio as a percentage where that is exact to four digits ("0.6%"), else as a fraction ("1/3")."""
    units, rest = divmod(rate * 100 * 10_000, 1)
    if rest:
        return f"{rate.numerator}/{rate.denominator}"
    whole, decimals = divmod(int(units), 10_000)
    return f"{whole}.{decimals:04}".rstrip("0").rstrip(".") + "%"
