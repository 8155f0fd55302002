"""The accounting export: what each participant books of a window, in double entry, for its own accountant. Pure.

Gross bilateral amounts, never nets (SUMS 4): an invoice follows what was owed, the payment what was netted. Bonus is a
discount of whoever bears it. What a merchant sells to its own lots is revenue of the principal alone: on-us 300 of a
1000 + 200 lot is 250. Accounts have names, not numbers: every accountant has a chart of his own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from coalition.domain.accounts import TransferCode
from settlement.netting import code_text

COLUMNS: Final = (
    *("participant", "account", "counterparty", "code", "unit", "entries"),
    *("debit_minor", "credit_minor", "debit", "credit"),
)

SALES: Final = "SALES"
REDEEMED: Final = "STORED_VALUE_REDEEMED"
SOLD: Final = "STORED_VALUE_SOLD"
DISCOUNT: Final = "BONUS_DISCOUNT"
CASH: Final = "CASH"
RECEIVABLE: Final = "RECEIVABLE"
PAYABLE: Final = "PAYABLE"


@dataclass(frozen=True, slots=True)
class Gross:
    """Claims of one debtor on one creditor under one code; `place_id` is where their entries were made."""

    debtor_id: int
    creditor_id: int
    place_id: int
    code: int
    unit: int
    amount_minor: int
    count: int


@dataclass(frozen=True, slots=True)
class Booking:
    """Half of a double entry in one participant's books; one of the two amounts is 0."""

    participant_id: int
    account: str
    counterparty_id: int
    code: int
    unit: int
    count: int
    debit_minor: int
    credit_minor: int


def bookings(claims: Iterable[Gross], on_us: Mapping[int, tuple[int, int]], unit: int) -> Iterator[Booking]:
    """Both halves of each in order; `on_us` is (principal, legs) by participant in `unit`, as `on_us_sales` reads."""
    for claim in claims:
        amount = claim.amount_minor
        theirs, ours = accounts(claim)
        what = claim.code, claim.unit, claim.count
        yield Booking(claim.creditor_id, RECEIVABLE, claim.debtor_id, *what, amount, 0)
        yield Booking(claim.creditor_id, ours, claim.debtor_id, *what, 0, amount)
        yield Booking(claim.debtor_id, theirs, claim.creditor_id, *what, amount, 0)
        yield Booking(claim.debtor_id, PAYABLE, claim.creditor_id, *what, 0, amount)
    for participant, (amount, count) in on_us.items():
        what = int(TransferCode.PRINCIPAL), unit, count
        given, taken = max(amount, 0), max(-amount, 0)
        yield Booking(participant, REDEEMED, participant, *what, given, taken)
        yield Booking(participant, SALES, participant, *what, taken, given)


def accounts(claim: Gross) -> tuple[str, str]:
    """What the debtor debits and the creditor credits.

    Where goods were sold, principal and bonus are sales of the place, whichever way: a refund debits them.
    """
    at_debtor = claim.place_id == claim.debtor_id
    match claim.code:
        case TransferCode.PRINCIPAL | TransferCode.PASS:
            return (SALES, REDEEMED) if at_debtor else (REDEEMED, SALES)
        case TransferCode.BONUS:
            return (SALES, DISCOUNT) if at_debtor else (DISCOUNT, SALES)
        case TransferCode.TOP_UP_CASH:
            return (CASH, SOLD) if at_debtor else (SOLD, CASH)
        case TransferCode.CASH_OUT:
            return REDEEMED, CASH
        case _:
            return code_text(claim.code), code_text(claim.code)
