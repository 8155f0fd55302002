"""PINs: which are too easy to guess, how tries are counted, and what a counted try means for a payment.

The count comes first and is committed before anything is compared (clearing/pins.py), so that a crash, or a hundred
tries at once, never buys a guess that was not counted. A plain PIN comes here once, at the counter, to be weighed; a
command carries it sealed and then what a checker found, never itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

PIN_DIGITS: Final = 6
TRIES_MAX: Final = 5
"""Wrong tries in a row, in the order they were counted; then only a new PIN, set at the counter, helps."""
MONTHS: Final = 12
DAYS: Final = 31
SEQUENCES: Final = ("0123456789012345", "9876543210987654")
EXPECTED: Final = f"{PIN_DIGITS} digits"


class PinFinding(Enum):
    """What became of a try: compared (MATCHED, WRONG), or not, because the tries are used up or there is no PIN."""

    MATCHED = auto()
    WRONG = auto()
    LOCKED = auto()
    NOT_SET = auto()


@dataclass(frozen=True, slots=True)
class SealedPin:
    """A PIN as a terminal sealed it for one request; `place` is that terminal, `participant/store/terminal`."""

    sealed: bytes = field(repr=False)
    place: str


@dataclass(frozen=True, slots=True)
class PinEvidence:
    """What a try of `sealed` found, by which revision of which wallet's PIN (0: the wallet has none).

    `try_number` counts the tries of that revision from 1; 0 where it was not counted. `tries_left` is after this one.
    """

    sealed: SealedPin
    finding: PinFinding
    wallet_id: int
    revision: int = 0
    try_number: int = 0
    tries_left: int = 0


class PinRow(NamedTuple):
    """A wallet's PIN as it is kept. `tries` have been counted since it was set, of which the first `forgiven` are
    forgotten, because the try of that number was right.
    """

    lane: int
    wallet_id: int
    revision: int
    tries: int
    forgiven: int
    salt: bytes
    tag: bytes
    key_version: int


class PinTag(NamedTuple):
    """What is kept of a PIN: a keyed hash, and the version of the key."""

    tag: bytes
    key_version: int


class CountedTry(NamedTuple):
    """One try after the count: the PIN it may be compared with, and its number; 0 where it may not."""

    wallet_id: int
    row: PinRow | None
    number: int
    tries_left: int

    def evidence(self, sealed: SealedPin, *, matches: bool) -> PinEvidence:
        """What it found; `matches` is of use only where the try was counted."""
        if self.row is None:
            return PinEvidence(sealed, PinFinding.NOT_SET, self.wallet_id)
        if not self.number:
            return PinEvidence(sealed, PinFinding.LOCKED, self.wallet_id, self.row.revision)
        finding = PinFinding.MATCHED if matches else PinFinding.WRONG
        return PinEvidence(sealed, finding, self.wallet_id, self.row.revision, self.number, self.tries_left)


@dataclass(slots=True)
class HeldPin:
    """A wallet's PIN under the wallet's lock. `is_moved`: the store must write `forgiven`."""

    lane: int
    wallet_id: int
    revision: int
    forgiven: int
    is_moved: bool = False


def count_tries(wallets: Iterable[int], rows: Mapping[int, PinRow]) -> tuple[list[CountedTry], dict[int, PinRow]]:
    """Count one try for each of `wallets`, in this order, as far as the tries of its PIN (`rows` by wallet) reach.

    Answers the tries in the same order, and the rows that must be written and committed before any is compared.
    """
    counted, changed = [], dict[int, PinRow]()
    for wallet_id in wallets:
        row = changed.get(wallet_id) or rows.get(wallet_id)
        left = 0 if row is None else TRIES_MAX - (row.tries - row.forgiven)
        if row is None or left <= 0:
            counted.append(CountedTry(wallet_id, row, 0, 0))
            continue
        row = changed[wallet_id] = row._replace(tries=row.tries + 1)
        counted.append(CountedTry(wallet_id, row, row.tries, left - 1))
    return counted, changed


def forgive(pin: PinEvidence, pins: Mapping[int, HeldPin]) -> None:
    """A right PIN forgives the tries counted up to its own, and none that were counted after it."""
    held = pins.get(pin.wallet_id)
    if (
        pin.finding is PinFinding.MATCHED
        and held is not None
        and held.revision == pin.revision
        and held.forgiven < pin.try_number
    ):
        held.forgiven = pin.try_number
        held.is_moved = True


def check_pin_form(pin: str, field_name: str) -> None:
    """Raise Refused(FIELD_INVALID) unless it has six digits."""
    if len(pin) != PIN_DIGITS or not (pin.isascii() and pin.isdigit()):
        raise Refused(Reason.FIELD_INVALID, field_name, {"expected": EXPECTED})


def check_pin_strength(pin: str, birth_month: int | None, field_name: str) -> None:
    """Raise Refused(PIN_WEAK) for what a thief tries first: one or two digits repeated, runs, the member's birthday.

    Of the birthday the house knows the month (1 to 12, or None): any date in it is refused, written year, month, day in
    an order in use. ISO 9564 leaves which PINs are weak to the issuer.
    """
    if _is_repeated(pin) or any(pin in run for run in SEQUENCES) or _is_date_in(pin, birth_month):
        raise Refused(Reason.PIN_WEAK, field_name)


def _is_repeated(pin: str) -> bool:
    """111111, 121212, 123123."""
    return any(pin == pin[:length] * (PIN_DIGITS // length) for length in (1, 2, 3))


def _is_date_in(pin: str, month: int | None) -> bool:
    """Whether it reads YYMMDD, DDMMYY, MMDDYY or YYYYMM with this month."""
    if month is None:
        return False
    first, second, third = int(pin[:2]), int(pin[2:4]), int(pin[4:])
    return (
        (second == month and (1 <= third <= DAYS or 1 <= first <= DAYS))
        or (first == month and 1 <= second <= DAYS)
        or (first in {19, 20} and third == month)
    )
