"""The form of what HQ types: codes, names, roles, states. Each complaint names its field and the cure."""

import re
import unicodedata
from typing import Final

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

ROLES: Final = ("CHAIN", "STORE", "ALLIANCE")
"""What can be created. The operator and the custody are laid with the scheme, one of each."""
STATES: Final = ("ACTIVE", "SUSPENDED")
DISPLAY_NAME_CHARACTERS_MAX: Final = 200
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def check_code(code: str, field: str = "code") -> str:
    """The code itself, when it has the form of one. Raises Refused(FIELD_INVALID)."""
    if not _CODE.fullmatch(code):
        raise invalid(field, "1 to 63 of a-z, 0-9 and '-', not beginning with '-'")
    return code


def check_display_name(display_name: str) -> str:
    """A name for people: trimmed, without control characters, 1 to 200 characters."""
    trimmed = display_name.strip()
    is_clean = not any(unicodedata.category(character).startswith("C") for character in trimmed)
    if not is_clean or not 1 <= len(trimmed) <= DISPLAY_NAME_CHARACTERS_MAX:
        raise invalid("display_name", f"1 to {DISPLAY_NAME_CHARACTERS_MAX} characters on one line")
    return trimmed


def check_among(value: str, choices: tuple[str, ...], field: str) -> str:
    """The value itself, when it is one of `choices`. Raises Refused(FIELD_INVALID)."""
    if value not in choices:
        raise invalid(field, " or ".join(choices))
    return value


def invalid(field: str, expected: str) -> Refused:
    """The complaint about one field, with what is expected there; never with what was sent."""
    return Refused(Reason.FIELD_INVALID, field, {"expected": expected})
