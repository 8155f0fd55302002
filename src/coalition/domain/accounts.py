"""The chart of accounts: every account is one integer that says its kind and whose it is.

`account = kind << 48 | first << 24 | second`, where first and second are participant numbers (0 where the kind
needs none). A wallet's account is `WALLET`: an entry moves at most one wallet, so the entry itself says which. So it is
with `PASSES`, what members have paid for their passes and the visits left of them (PASS(i) is what the issuer owes),
and `POINTS_HELD`, their points (POINTS(i) is what their debtor owes).
Participant accounts have no balance row anywhere; they are sums over the journal (DESIGN section 2).
"""

from enum import IntEnum
from functools import cache
from typing import Final, NewType, cast

Account = NewType("Account", int)

PARTICIPANT_BITS: Final = 24
PARTICIPANT_ID_MAX: Final = (1 << PARTICIPANT_BITS) - 1


class AccountKind(IntEnum):
    """What an account holds (SUMS section 2)."""

    WALLET = 1
    FLOAT = 2
    BONUS = 3
    CLEARING = 4
    DUE = 5
    BANK = 6
    COLLATERAL = 7
    TRANSIT = 8
    PASS = 9
    POINTS = 10


class TransferCode(IntEnum):
    """Why a transfer was made; claims of a window are reported by it."""

    # Enum hashes its name in Python; postings are added up by code, a dozen times a purchase.
    __hash__ = int.__hash__

    PRINCIPAL = 1
    BONUS = 2
    INTERCHANGE = 3
    OPERATOR_FEE = 4
    COMMISSION = 5
    TOP_UP_CASH = 6
    SELLER_COMMISSION = 7
    TOP_UP_LOSS = 8
    CASH_OUT = 9
    EXPIRY = 10
    SHORTFALL = 11
    RETURNED_GOODS = 12
    WINDOW_FEE = 13
    ADJUSTMENT = 14
    COLLATERAL = 15
    LOSS_SHARE = 16
    SUCCESSION = 17
    WRITE_OFF = 18
    NETTING = 20
    SETTLEMENT_PAYMENT = 21
    SETTLEMENT_RETURN = 22
    OPERATOR_ADVANCE = 23
    MERGE = 30
    PASS = 40
    POINTS = 41
    POINTS_VALUE = 42
    POINTS_CONVERSION = 43
    POINTS_REPAYMENT = 44
    DEBT_REPAID = 48


class Unit(IntEnum):
    """What a transfer counts; sums are taken within a unit. MONEY is the scheme's currency in minor units.

    VISITS are what is left of passes, in pieces. From FIRST_OF_POINTS on a unit is that of points: each version of a
    points programme has one of its own, because it says what a point of it is worth.
    """

    MONEY = 1
    VISITS = 2


FIRST_OF_POINTS: Final = 100
UNIT_MAX: Final = 32_767


def points_unit(number: int) -> Unit:
    """The unit of a version of a points programme, which has no name of its own."""
    return cast("Unit", number)


def account(kind: AccountKind, first: int = 0, second: int = 0) -> Account:
    """The account of `kind` that belongs to participants `first` and `second`."""
    return Account(kind << 48 | first << PARTICIPANT_BITS | second)


def kind_of(number: int) -> AccountKind:
    """What the account holds."""
    return AccountKind(number >> 48)


def parties_of(number: int) -> tuple[int, int]:
    """The two participant numbers in an account, 0 where the kind has none."""
    return number >> PARTICIPANT_BITS & PARTICIPANT_ID_MAX, number & PARTICIPANT_ID_MAX


# Participant accounts are asked for a dozen times a purchase, so each is built once; there are as many as participants.
WALLET: Final = account(AccountKind.WALLET)
BANK: Final = account(AccountKind.BANK)
PASSES: Final = account(AccountKind.PASS)
POINTS_HELD: Final = account(AccountKind.POINTS)


@cache
def float_account(custodian: int, issuer: int) -> Account:
    """Member principal of `issuer`'s lots, held by `custodian`: FLOAT(k, i)."""
    return account(AccountKind.FLOAT, custodian, issuer)


@cache
def bonus_account(issuer: int) -> Account:
    """Bonus that `issuer` has granted and still owes: BONUS(i)."""
    return account(AccountKind.BONUS, issuer)


@cache
def clearing_account(participant: int) -> Account:
    """Claims on and of a participant within a window: CLEARING(p)."""
    return account(AccountKind.CLEARING, participant)


@cache
def transit_account(issuer: int) -> Account:
    """What of `issuer`'s lots is under way between two wallets: TRANSIT(i)."""
    return account(AccountKind.TRANSIT, issuer)


@cache
def pass_account(issuer: int) -> Account:
    """Visits that `issuer` has sold and still owes, of unit VISITS: PASS(i)."""
    return account(AccountKind.PASS, issuer)


@cache
def points_account(debtor: int) -> Account:
    """Points that `debtor` has granted and still owes, of the unit of their programme: POINTS(i)."""
    return account(AccountKind.POINTS, debtor)


@cache
def due_account(participant: int) -> Account:
    """What a participant owes or is owed once a window is netted: DUE(p)."""
    return account(AccountKind.DUE, participant)
