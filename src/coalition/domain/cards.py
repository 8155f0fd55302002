"""Card numbers: their form, their check digit (ISO/IEC 7812-1, Luhn), and how the house makes its own.

A full number is never stored and never part of an error; `last_four` is all that a screen may show.
"""

from typing import Final

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

NUMBER_DIGITS_MIN: Final = 12
NUMBER_DIGITS_MAX: Final = 22

MADE_PREFIX: Final = "9"
"""ISO/IEC 7812: the first digit 9 is left to national use, so a made number is never one of a bank's."""
MADE_BODY_DIGITS: Final = 14
"""With prefix and check digit a made number has 16 digits: 10**14 numbers for each prefix."""

EXPECTED: Final = f"{NUMBER_DIGITS_MIN} to {NUMBER_DIGITS_MAX} digits, the last their check digit"
SEPARATORS: Final = str.maketrans("", "", " -")


def parse_card_number(text: str, field: str = "card_number") -> str:
    """The digits of a number as people type it, with blanks or hyphens between groups.

    Raises Refused(FIELD_INVALID) naming `field`, without the number, unless it has 12 to 22 digits that end in their
    check digit.
    """
    digits = text.translate(SEPARATORS)
    well_formed = digits.isascii() and digits.isdigit() and NUMBER_DIGITS_MIN <= len(digits) <= NUMBER_DIGITS_MAX
    if not well_formed or check_digit(digits[:-1]) != digits[-1]:
        raise Refused(Reason.FIELD_INVALID, field, {"expected": EXPECTED})
    return digits


def check_digit(payload: str) -> str:
    """The Luhn digit that belongs after `payload` (digits only)."""
    total = 0
    for place, character in enumerate(reversed(payload)):
        doubled = int(character) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004  the sum of a two-digit number's digits
    return str(-total % 10)


def made_number(digest: bytes) -> str:
    """The card number that a keyed hash stands for: the same digest, the same number.

    `digest` has at least 16 bytes, so that every number is equally likely (the bias of the remainder is below 2**-80).
    """
    body = str(int.from_bytes(digest, "big") % 10**MADE_BODY_DIGITS).zfill(MADE_BODY_DIGITS)
    payload = MADE_PREFIX + body
    return payload + check_digit(payload)


def last_four(number: str) -> str:
    """All of a number that is ever stored or shown."""
    return number[-4:]
