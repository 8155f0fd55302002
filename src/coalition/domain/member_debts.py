"""What a member owes for a sale that was approved offline: the shortfall, until it is paid, given up or comes back.

It is borne from the first by whom the agreement said (shortfall.py). The member pays it at a counter, or there from its
wallet by a purchase like any other; nothing is ever taken by itself (SUMS section 3). Pure.
"""

from dataclasses import dataclass
from datetime import date

from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.errors import Refused
from coalition.domain.journal import Transfer
from coalition.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class MemberDebt:
    """One sale's shortfall and what became of it, minor units; `bearer_id` is who stands for its bearer today.

    `repaid_minor` is less what the member got back. `calendar` is whose open window takes the claim of a payment.
    """

    entry_id: int
    business_date: date
    acquirer_id: int
    bearer_id: int
    calendar: str
    shortfall_minor: int
    returned_minor: int
    repaid_minor: int
    written_off_minor: int

    @property
    def kept_minor(self) -> int:
        """What of the shortfall is for goods that the member still has."""
        return self.shortfall_minor - self.returned_minor

    @property
    def owed_minor(self) -> int:
        """What it owes still."""
        return max(0, self.kept_minor - self.repaid_minor - self.written_off_minor)

    @property
    def credit_minor(self) -> int:
        """What it paid above the worth of what it still has: it gets that back."""
        return max(0, self.repaid_minor - self.kept_minor)


def check_repayment(debt: MemberDebt | None, amount_minor: int, taker_id: int, *, back: bool) -> MemberDebt:
    """The debt, if `taker_id` may take so much for it, or give so much `back`.

    Refused: DEBT_UNKNOWN, DEBT_EXCEEDED, FIELD_INVALID where another than who bears it gives back.
    """
    if debt is None:
        raise Refused(Reason.DEBT_UNKNOWN, "entry_id")
    if back and taker_id != debt.bearer_id:
        raise Refused(Reason.FIELD_INVALID, "participant", {"expected": "who bears the debt: nobody else gives back"})
    check_amount(debt, amount_minor, debt.credit_minor if back else debt.owed_minor)
    return debt


def check_write_off(debt: MemberDebt | None, amount_minor: int) -> MemberDebt:
    """The debt, if so much of it may be given up. Refused: DEBT_UNKNOWN, DEBT_EXCEEDED."""
    if debt is None:
        raise Refused(Reason.DEBT_UNKNOWN, "entry_id")
    check_amount(debt, amount_minor, debt.owed_minor)
    return debt


def check_amount(debt: MemberDebt, amount_minor: int, most_minor: int) -> None:
    """Refused: DEBT_EXCEEDED, with what is owed and what is to be given back."""
    if amount_minor > most_minor:
        facts = {"owed_minor": str(debt.owed_minor), "credit_minor": str(debt.credit_minor)}
        raise Refused(Reason.DEBT_EXCEEDED, "amount_minor", facts)


def repayment(debt: MemberDebt, taker_id: int, amount_minor: int, window_id: int) -> list[Transfer]:
    """`taker => bearer`; nothing where they are one (SUMS section 2)."""
    if taker_id == debt.bearer_id:
        return []
    debit, credit = clearing_account(taker_id), clearing_account(debt.bearer_id)
    return [Transfer(debit, credit, amount_minor, TransferCode.DEBT_REPAID, window_id)]
