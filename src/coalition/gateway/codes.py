"""Message types and their answers; our reasons as response codes (DE39). Tables only; docs/iso8583.md shows them."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

APPROVED: Final = "00"
REENTER: Final = "19"
NO_ACTION: Final = "21"
NOT_LOCATED: Final = "25"
MALFORMED: Final = "30"
NOT_SUPPORTED: Final = "40"
PIN_REFUSED: Final = "63"
NO_ANSWER: Final = "91"
BROKEN: Final = "96"
MERCHANT_UNKNOWN: Final = "03"
CURRENCY_WRONG: Final = "12"
TERMINAL_REFUSED: Final = "58"


class Family(StrEnum):
    """What a message asks for, by its type without the digit that marks a repeat."""

    AUTHORIZATION = "0100"
    FINANCIAL = "0200"
    ADVICE = "0220"
    REVERSAL = "0400"
    REVERSAL_ADVICE = "0420"
    NETWORK = "0800"


REVERSALS: Final = frozenset({Family.REVERSAL, Family.REVERSAL_ADVICE})
# Version 1987, requests and advices, from an acquirer or its repeat; answers have an odd third digit.
_REQUEST: Final = re.compile(r"0[1-8][024][01]", re.ASCII)


def family_of(mti: str) -> Family | None:
    """What this type asks for; None for what the gateway does not serve."""
    try:
        return Family(mti[:3] + "0") if _REQUEST.fullmatch(mti) else None
    except ValueError:
        return None


def answer_mti(mti: str) -> str | None:
    """The type of the answer to a request of this type; None when there is no answer to it."""
    return f"{mti[:2]}{int(mti[2]) + 1}0" if _REQUEST.fullmatch(mti) else None


RESPONSE_CODES: Final[Mapping[str, str]] = {
    "ACCEPTED": APPROVED,
    "CARD_UNKNOWN": "14",
    "CARD_NOT_LINKED": "56",
    "CARD_FROZEN": "62",
    "CARD_REPLACED": "54",
    "WALLET_CLOSED": "57",
    "INSUFFICIENT_FUNDS": "51",
    "NOT_ACCEPTED_HERE": "57",
    "ORIGINAL_UNKNOWN": NOT_LOCATED,
    "ORIGINAL_NOT_REFUNDABLE": "12",
    "ORIGINAL_OF_OTHER_PARTICIPANT": TERMINAL_REFUSED,
    "REFUND_EXCEEDS_ORIGINAL": "64",
    "TERMS_UNKNOWN": TERMINAL_REFUSED,
    "TERMS_NOT_SOLD_HERE": TERMINAL_REFUSED,
    "TOP_UP_BELOW_MINIMUM": "13",
    "BALANCE_ABOVE_LIMIT": "61",
    "CARD_LIMIT_EXCEEDED": "61",
    "CREDENTIAL_LIMIT_EXCEEDED": "61",
    "WALLET_LIMIT_EXCEEDED": "61",
    "DAY_LIMIT_REACHED": "61",
    "PARTICIPANT_CAPPED": "57",
    "VELOCITY_EXCEEDED": "65",
    "REAL_NAME_REQUIRED": "57",
    "FUNDING_NOT_ALLOWED": "57",
    "WALLET_HAS_HOLDS": "57",
    "HOLD_UNKNOWN": NOT_LOCATED,
    "HOLD_RESOLVED": NO_ACTION,
    "CAPTURE_EXCEEDS_HOLD": "64",
    "LOT_NOT_OPEN": "12",
    "CURRENCY_OF_WALLET_DIFFERS": "12",
    "NO_ACQUIRING_AGREEMENT": MERCHANT_UNKNOWN,
    "SUSPENDED": TERMINAL_REFUSED,
    "KILLED": REENTER,
    "ORIGINAL_NOT_REVERSIBLE": NO_ACTION,
    "PIN_REQUIRED": "70",
    "PIN_WRONG": "55",
    "PIN_LOCKED": "75",
    "PIN_NOT_SET": "57",
    "SALE_REFERENCE_USED": "94",
    "PARTICIPANT_UNKNOWN": MERCHANT_UNKNOWN,
    "FIELD_INVALID": MALFORMED,
    "REQUEST_ID_TOO_OLD": REENTER,
    "REQUEST_ID_REUSED": "94",
    "AMOUNT_NOT_POSITIVE": "13",
    "AMOUNT_TOO_LARGE": "13",
    "CURRENCY_UNKNOWN": CURRENCY_WRONG,
    "PERMISSION_DENIED": TERMINAL_REFUSED,
    "CERTIFICATE_REVOKED": TERMINAL_REFUSED,
    "TERMINAL_UNKNOWN": TERMINAL_REFUSED,
    "TERMINAL_SUSPENDED": TERMINAL_REFUSED,
    "TERMINAL_OF_OTHER_STORE": TERMINAL_REFUSED,
    "NO_OPEN_WINDOW": NO_ANSWER,
    "QUEUE_FULL": NO_ANSWER,
    "RATE_EXCEEDED": NO_ANSWER,
    "CALLS_EXCEEDED": NO_ANSWER,
    "DEADLINE_PASSED": NO_ANSWER,
    "SERVER_DRAINING": NO_ANSWER,
    "DATABASE_UNAVAILABLE": NO_ANSWER,
}


def response_code(reason: str) -> str:
    """DE39 for a reason of the service; 96 for one that this release does not know."""
    return RESPONSE_CODES.get(reason, BROKEN)


CURRENCY_NUMBERS: Final[Mapping[str, str]] = {
    "AUD": "036",
    "CAD": "124",
    "CHF": "756",
    "CNY": "156",
    "EUR": "978",
    "GBP": "826",
    "HKD": "344",
    "INR": "356",
    "MOP": "446",
    "MYR": "458",
    "NZD": "554",
    "PHP": "608",
    "SGD": "702",
    "THB": "764",
    "TWD": "901",
    "USD": "840",
}
"""ISO 4217 numbers of the scheme currencies the gateway can speak of; each has two decimals."""
