"""Payment codes: 22 digits a phone shows without a network, good once and for about a minute and a half.

    version 2 | ticket 12 | one-time password 7 | check digit 1         91 482190335718 0046127 3

A device holds a seed of 32 bytes, sealed to it once, and derives two keys (HKDF-SHA256, RFC 5869). The ticket comes
from a counter that moves on each time the payment page opens, so two codes of a device have nothing in common; the
server keeps the tickets that come next, and a ticket pays once. The one-time password comes from the ticket and the
half minute, so a code seen over a shoulder is soon worth nothing.

A code is as long as the longest card number and ends in the same check digit, and card numbers of other houses may
begin with any digits: the two are told apart by the field they travel in, never by looking at them.

Pure, standard library only, so that an app may use this very file. Never put a code, ticket or password into a log or
an error: the classes here do not show them.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from coalition.domain.cards import SEPARATORS, check_digit
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

VERSION: Final = "91"
TICKET_DIGITS: Final = 12
PASSWORD_DIGITS: Final = 7
CODE_DIGITS: Final = len(VERSION) + TICKET_DIGITS + PASSWORD_DIGITS + 1

SEED_BYTES: Final = 32
COUNTER_MAX: Final = 2**64 - 1
STEP_SECONDS: Final = 30
STEPS_TRIED: Final = (-1, 1, 0)
"""A password of the step before or after is good too: a code is read some seconds after it was shown (RFC 6238, 5.2).

The nearest last: two steps have the same password once in ten million times, and then the nearest is meant.
"""
DRIFT_MAX: Final = 4
"""A phone's clock may be off by two minutes; what was learned of it is kept as a number of steps (RFC 6238, 6)."""

EXPECTED: Final = f"{CODE_DIGITS} digits that begin with {VERSION}, the last their check digit"

_TICKET_LABEL: Final = b"coalition payment code 1 ticket"
_PASSWORD_LABEL: Final = b"coalition payment code 1 password"


@dataclass(frozen=True, slots=True)
class CodeKeys:
    """What a seed derives, 32 bytes each. The server needs the ticket key to know tickets ahead of time."""

    ticket_key: bytes = field(repr=False)
    otp_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PaymentCode:
    """The parts of a code, as digits. `ticket` says whose it is, `otp` that it is fresh."""

    version: str
    ticket: str = field(repr=False)
    otp: str = field(repr=False)


def make_code(seed: bytes, counter: int, unix_seconds: int) -> str:
    """The 22 digits to show. `counter` (0 to 2**64-1) is never used for a second opening of the payment page.

    Raises ValueError for a seed that has not 32 bytes, a counter out of range, or a time before 1970.
    """
    keys = code_keys(seed)
    ticket = ticket_at(keys.ticket_key, counter)
    payload = VERSION + ticket + one_time_password(keys.otp_key, ticket, step_at(unix_seconds))
    return payload + check_digit(payload)


def parse_code(text: str, field_name: str = "payment_code") -> PaymentCode:
    """The parts of a code as it was scanned or typed, with blanks or hyphens between groups.

    Raises Refused(FIELD_INVALID) naming `field_name`, without the code, unless it has 22 digits, our version and the
    right check digit. Says nothing about whether the code is good.
    """
    digits = text.translate(SEPARATORS)
    well_formed = digits.isascii() and digits.isdigit() and len(digits) == CODE_DIGITS and digits.startswith(VERSION)
    if not well_formed or check_digit(digits[:-1]) != digits[-1]:
        raise Refused(Reason.FIELD_INVALID, field_name, {"expected": EXPECTED})
    ticket_end = len(VERSION) + TICKET_DIGITS
    return PaymentCode(VERSION, digits[len(VERSION) : ticket_end], digits[ticket_end:-1])


def matching_step(otp_key: bytes, ticket: str, otp: str, unix_seconds: int, drift: int) -> int | None:
    """The step `otp` was made for, or None when it is of no step that is near enough.

    `drift` (-4 to 4) is how many steps this phone's clock was ahead last time; the steps from one before to one after
    are tried, all of them whatever matched, so that the time taken tells nothing. Raises ValueError for another drift.
    """
    if not -DRIFT_MAX <= drift <= DRIFT_MAX:
        raise ValueError(f"drift must be from -{DRIFT_MAX} to {DRIFT_MAX}")
    expected_step = step_at(unix_seconds) + drift
    found = None
    for away in STEPS_TRIED:
        step = expected_step + away
        if step < 0:
            continue
        expected = one_time_password(otp_key, ticket, step)
        # Compared as bytes: compare_digest takes text of ASCII only, and `otp` may be anything.
        if hmac.compare_digest(expected.encode(), otp.encode("utf-8", "surrogatepass")):
            found = step
    return found


def drift_after(step: int, unix_seconds: int) -> int:
    """What to remember of a phone's clock after a code of `step` was accepted at `unix_seconds`: -4 to 4 steps."""
    return max(-DRIFT_MAX, min(DRIFT_MAX, step - step_at(unix_seconds)))


def code_keys(seed: bytes) -> CodeKeys:
    """The two keys of a seed. Raises ValueError for a seed that has not 32 bytes."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes")
    return CodeKeys(
        hkdf_sha256(seed, b"", _TICKET_LABEL, sha256().digest_size),
        hkdf_sha256(seed, b"", _PASSWORD_LABEL, sha256().digest_size),
    )


def ticket_at(ticket_key: bytes, counter: int) -> str:
    """The 12 digits of one opening of the payment page. Raises ValueError for a counter out of range."""
    if not 0 <= counter <= COUNTER_MAX:
        raise ValueError(f"counter must be from 0 to {COUNTER_MAX}")
    return _decimal(hmac.digest(ticket_key, counter.to_bytes(8, "big"), sha256), TICKET_DIGITS)


def one_time_password(otp_key: bytes, ticket: str, step: int) -> str:
    """The 7 digits of a ticket at a step (not negative)."""
    return _decimal(hmac.digest(otp_key, ticket.encode() + step.to_bytes(8, "big"), sha256), PASSWORD_DIGITS)


def step_at(unix_seconds: int) -> int:
    """The number of the half minute, counted from 1970. Raises ValueError for a time before."""
    if unix_seconds < 0:
        raise ValueError("unix_seconds must not be negative")
    return unix_seconds // STEP_SECONDS


def hkdf_sha256(input_key: bytes, salt: bytes, info: bytes, size_bytes: int) -> bytes:
    """RFC 5869: `size_bytes` bytes (1 to 8,160) of the key, for the purpose `info` names.

    Here because the room and the app have no more than the standard library. Raises ValueError for another size.
    """
    hash_bytes = sha256().digest_size
    if not 1 <= size_bytes <= 255 * hash_bytes:
        raise ValueError(f"size_bytes must be from 1 to {255 * hash_bytes}")
    # An empty salt is a key of zeros (RFC 5869, 2.2); HMAC fills a short key up with zeros anyway.
    extracted = hmac.digest(salt, input_key, sha256)
    blocks = [b""]
    for number in range(1, -(-size_bytes // hash_bytes) + 1):
        blocks.append(hmac.digest(extracted, blocks[-1] + info + bytes([number]), sha256))
    return b"".join(blocks)[:size_bytes]


def _decimal(digest: bytes, digits: int) -> str:
    """The last digits of the whole digest read as a number: the bias of 256 bits over 10**12 values is nothing."""
    return str(int.from_bytes(digest, "big") % 10**digits).zfill(digits)
