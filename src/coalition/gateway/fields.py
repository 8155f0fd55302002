"""The field table: which fields the gateway reads and writes, and how all 128 lie on the wire in three encodings.

The library's own tables (pyiso8583) are the base, so a field that we ignore is still stepped over; what differs is
written here, once, and docs/iso8583.md repeats it. Reads no message.
"""

import copy
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from iso8583.specs import default, default_ascii

Spec = Mapping[str, Mapping[str, Any]]


class Field(StrEnum):
    """Numbers of the fields that mean something to the gateway."""

    CARD_NUMBER = "2"
    PROCESSING_CODE = "3"
    AMOUNT = "4"
    SENT_TIME = "7"
    STAN = "11"
    LOCAL_TIME = "12"
    LOCAL_DATE = "13"
    NETWORK = "24"
    TRACK_TWO = "35"
    RETRIEVAL_REFERENCE = "37"
    APPROVAL_CODE = "38"
    RESPONSE_CODE = "39"
    TERMINAL_ID = "41"
    MERCHANT_ID = "42"
    CURRENCY = "49"
    PIN_BLOCK = "52"
    AMOUNTS = "54"
    ENTRY_ID = "62"
    REASON = "63"
    NETWORK_CODE = "70"
    ORIGINAL = "90"


PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    field: re.compile(pattern, re.ASCII)
    for field, pattern in {
        Field.CARD_NUMBER: r"[0-9]{12,22}",
        Field.PROCESSING_CODE: r"[0-9]{6}",
        Field.AMOUNT: r"[0-9]{12}",
        Field.SENT_TIME: r"[0-9]{10}",
        Field.STAN: r"[0-9]{6}",
        Field.LOCAL_TIME: r"[0-9]{6}",
        Field.LOCAL_DATE: r"[0-9]{4}",
        Field.NETWORK: r"[0-9]{3}",
        Field.TRACK_TWO: r"[0-9]{12,22}[=D][0-9=DF]{0,24}",
        Field.RETRIEVAL_REFERENCE: r"[A-Za-z0-9 ]{12}",
        Field.TERMINAL_ID: r"[ -~]{8}",
        Field.MERCHANT_ID: r"[ -~]{15}",
        Field.CURRENCY: r"[0-9]{3}",
        Field.ENTRY_ID: r"[0-9]{1,18}",
        Field.NETWORK_CODE: r"[0-9]{3}",
        Field.ORIGINAL: r"0[0-9]{3}[0-9]{38}",
    }.items()
}
"""What a field must look like before it is read or echoed."""

ECHOED: Final = (
    Field.PROCESSING_CODE,
    Field.AMOUNT,
    Field.SENT_TIME,
    Field.STAN,
    Field.LOCAL_TIME,
    Field.LOCAL_DATE,
    Field.NETWORK,
    Field.RETRIEVAL_REFERENCE,
    Field.TERMINAL_ID,
    Field.MERCHANT_ID,
    Field.CURRENCY,
    Field.NETWORK_CODE,
    Field.ORIGINAL,
)
"""Fields that an answer repeats from its request. Never the card number."""

CARD_NUMBER_MAX: Final = 22  # ISO 8583 stops at 19; card numbers of this coalition may have 22 digits
TRACK_TWO_MAX: Final = 40
# n fields of fixed length in ISO 8583:1987, two digits a byte in the bcd encoding.
_NUMERIC: Final = frozenset({*range(3, 28), 49, 50, 51, 53, *range(66, 91)}) - {64, 65}
# n and z fields of variable length: their length counts digits, an odd one is filled up with F.
_NUMERIC_VARIABLE: Final = frozenset({2, 32, 33, 35, 99, 100})


def _with_longer_cards(base: Spec) -> dict[str, dict[str, Any]]:
    spec = copy.deepcopy({number: dict(row) for number, row in base.items()})
    spec[Field.CARD_NUMBER]["max_len"] = CARD_NUMBER_MAX
    spec[Field.TRACK_TWO]["max_len"] = TRACK_TWO_MAX
    return spec


def _packed(base: Spec) -> Spec:
    """The bcd encoding: digits two a byte, lengths one byte (up to 99) or two, everything else as characters."""
    spec = _with_longer_cards(base)
    spec["t"] |= {"data_enc": "b", "max_len": 2}
    for number, row in spec.items():
        if not number.isdigit() or number == "1":
            continue
        if int(number) in _NUMERIC:
            row |= {"data_enc": "b", "len_count": "nibbles", "left_pad": "0"}
        elif int(number) in _NUMERIC_VARIABLE:
            row |= {"data_enc": "b", "len_enc": "bcd", "len_type": 1, "len_count": "nibbles", "right_pad": "F"}
        elif row["len_type"]:
            row |= {"len_enc": "bcd", "len_type": 1 if row["len_type"] <= 2 else 2}  # noqa: PLR2004  LLVAR or less
    return spec


SPECS: Final[Mapping[str, Spec]] = {
    "ascii": _with_longer_cards(default_ascii),
    "binary": _with_longer_cards(default),
    "bcd": _packed(default),
}
"""ascii: characters throughout, bitmaps as hexadecimal digits. binary: the same, bitmap of 8 bytes. bcd: packed."""
