"""Phone numbers: one written form for each (E.164), so that a member is found however the number was typed.

No error here quotes a number.
"""

import re
import unicodedata
from typing import Final

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

HOME_COUNTRY_CODE: Final = "86"
SEPARATORS: Final = str.maketrans("", "", " -.()/\u2010\u2011\u2013")

# E.164: a country code that does not begin with 0, 15 digits at most. Fewer than 8 are no subscriber's number.
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{7,14}")
_HOME_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_HOME_MOBILE_E164 = re.compile(r"\+86(1[3-9][0-9]{9})")


def normalize_phone(text: str, field: str = "phone") -> str:
    """The E.164 form, `+8613812345678`.

    A number without a country code is a mobile number of mainland China. Full-width digits, blanks, hyphens and a
    leading 00 are understood. Raises Refused(FIELD_INVALID) naming `field` for anything else.
    """
    plain = unicodedata.normalize("NFKC", text).translate(SEPARATORS)
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    if _HOME_MOBILE.fullmatch(plain):
        plain = f"+{HOME_COUNTRY_CODE}{plain}"
    is_home = plain.startswith(f"+{HOME_COUNTRY_CODE}")
    if not (_HOME_MOBILE_E164 if is_home else _INTERNATIONAL).fullmatch(plain):
        raise Refused(
            Reason.FIELD_INVALID, field, {"expected": "a mobile number of 11 digits, or +, country code and number"}
        )
    return plain


def mask_phone(phone: str) -> str:
    """What counter staff may see of an E.164 number: `138****5678`; of a foreign one only the last four digits."""
    home = _HOME_MOBILE_E164.fullmatch(phone)
    return f"{home[1][:3] if home else ''}****{phone[-4:]}"


def mask_name(name: str) -> str:
    """The first character and one star, however long the name is: `张*`."""
    return f"{name[:1]}*"
