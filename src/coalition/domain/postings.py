"""Postings: the transfers of one entry under construction, and the claims that follow a draw (SUMS section 3).

`Postings` adds up transfers that are alike and leaves out those of nothing or of a party to itself. What a purchase
posts whole, a refund posts as the difference between two states of being returned, so any slicing of a full refund is
the exact inverse.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from coalition.domain.accounts import (
    WALLET,
    Account,
    TransferCode,
    Unit,
    bonus_account,
    clearing_account,
    float_account,
)
from coalition.domain.agreements import RECRUITER, Acceptance, Acquiring
from coalition.domain.errors import LedgerBroken, NoOpenWindow
from coalition.domain.journal import Transfer
from coalition.domain.lots import Lot
from coalition.domain.programme import AcceptanceInForce, Programme

PRINCIPAL, BONUS = TransferCode.PRINCIPAL, TransferCode.BONUS


class Postings:
    """The legs of one entry under construction. `windows` maps calendar_id to its open window.

    `successors` says who stands for a participant that has left, whatever its lots and agreements say (SUMS section 4).
    """

    __slots__ = ("_amounts", "_successors", "_windows")

    def __init__(self, windows: Mapping[int, int], successors: Mapping[int, int]) -> None:
        self._windows = windows
        self._successors = successors
        self._amounts: dict[tuple[Account, Account, TransferCode, int | None], int] = {}

    def post(self, debit: Account, credit: Account, amount: int, code: TransferCode, window: int | None = None) -> None:
        """Add `debit -> credit amount`. Nothing is posted for 0 or between an account and itself."""
        if amount < 0:
            raise LedgerBroken(f"a transfer of {amount} was computed for code {code.name}")
        if amount and debit != credit:
            key = (debit, credit, code, window)
            self._amounts[key] = self._amounts.get(key, 0) + amount

    def claim(self, debtor: int, creditor: int, amount: int, code: TransferCode, calendar_id: int) -> None:
        """Add a claim `debtor => creditor` in the open window of the calendar. Raises NoOpenWindow."""
        if self._successors:
            debtor, creditor = self._successors.get(debtor, debtor), self._successors.get(creditor, creditor)
        if amount and debtor != creditor:
            try:
                window = self._windows[calendar_id]
            except KeyError:
                raise NoOpenWindow(calendar_id) from None
            self.post(clearing_account(debtor), clearing_account(creditor), amount, code, window)

    def spend(self, lot: Lot, principal: int, bonus: int) -> None:
        """`WALLET -> FLOAT` and `WALLET -> BONUS`: value of a lot leaves the wallet."""
        custodian_id, issuer_id = self._owing(lot)
        self.post(WALLET, float_account(custodian_id, issuer_id), principal, PRINCIPAL)
        self.post(WALLET, bonus_account(issuer_id), bonus, BONUS)

    def restore(self, lot: Lot, principal: int, bonus: int) -> None:
        """The mirror of `spend`: value comes back to the wallet."""
        custodian_id, issuer_id = self._owing(lot)
        self.post(float_account(custodian_id, issuer_id), WALLET, principal, PRINCIPAL)
        self.post(bonus_account(issuer_id), WALLET, bonus, BONUS)

    def expire(self, lot: Lot, bonus: int) -> None:
        """`WALLET -> BONUS`: the bonus has ended."""
        self.post(WALLET, bonus_account(self._owing(lot)[1]), bonus, TransferCode.EXPIRY)

    def _owing(self, lot: Lot) -> tuple[int, int]:
        """Who holds the lot's principal and who issued it, today."""
        if not self._successors:
            return lot.custodian_id, lot.issuer_id
        successors = self._successors
        return (
            successors.get(lot.custodian_id, lot.custodian_id),
            successors.get(lot.issuer_id, lot.issuer_id),
        )

    def transfers(self) -> list[Transfer]:
        made, money = tuple.__new__, Unit.MONEY  # what a NamedTuple's constructor does, which takes twice as long
        return [
            made(Transfer, (debit, credit, amount, code, window, money))
            for (debit, credit, code, window), amount in self._amounts.items()
        ]


def claims_of_draw(
    postings: Postings,
    programme: Programme,
    lot: Lot,
    held: AcceptanceInForce,
    acquirer_id: int,
    principal: int,
    bonus: int,
) -> None:
    """`k => C principal` and `bearers => C bonus`; on-us only a foreign custodian and a sponsor still owe."""
    terms = programme.bearing(lot, held)
    postings.claim(lot.custodian_id, acquirer_id, principal, PRINCIPAL, terms.principal_calendar_id)
    if bonus:
        share = terms.shares(bonus)
        postings.claim(lot.issuer_id, acquirer_id, share.issuer, BONUS, terms.calendar_id)
        postings.claim(terms.sponsor_id, acquirer_id, share.sponsor, BONUS, terms.calendar_id)


def claims_of_return(
    postings: Postings,
    programme: Programme,
    lot: Lot,
    held: AcceptanceInForce,
    acquirer_id: int,
    principal: int,
    bonus_whole: int,
    bonus_before: int,
    bonus_after: int,
) -> None:
    """The mirror of `claims_of_draw` for the part of a draw that a refund returns."""
    terms = programme.bearing(lot, held)
    share = terms.shares_returned(bonus_whole, bonus_before, bonus_after)
    postings.claim(acquirer_id, lot.custodian_id, principal, PRINCIPAL, terms.principal_calendar_id)
    postings.claim(acquirer_id, lot.issuer_id, share.issuer, BONUS, terms.calendar_id)
    postings.claim(acquirer_id, terms.sponsor_id, share.sponsor, BONUS, terms.calendar_id)


@dataclass(slots=True)
class Portion:
    """What an entry drew of one issuer under one acceptance version: the base of its interchange."""

    issuer_id: int
    content: Acceptance
    face: int = 0
    principal: int = 0

    def fee(self) -> int:
        """The interchange of the whole portion, half-even once."""
        base = self.face if self.content.interchange_base == "GROSS" else self.principal
        return self.content.interchange.half_even(base)


PortionKey = tuple[int, int, int]


def add_to_portion(
    portions: dict[PortionKey, Portion], held: AcceptanceInForce, issuer_id: int, face: int, principal: int
) -> PortionKey | None:
    """Count a draw into the portion of its (agreement, version, issuer); None on-us, where no interchange is owed."""
    version, content = held.version, held.content
    if version is None or content is None:
        return None
    key = (version.agreement_id, version.version, issuer_id)
    portion = portions.get(key)
    if portion is None:
        portion = portions[key] = Portion(issuer_id, content)
    portion.face += face
    portion.principal += principal
    return key


class EntryFees(NamedTuple):
    """What the acquirer owes per purchase, minor units; `payee_id` receives the commission."""

    operator_fee: int
    commission: int
    payee_id: int


def entry_fees(programme: Programme, content: Acquiring, recruiter_id: int, face: int, principal: int) -> EntryFees:
    """The operator's fee and the commission of one purchase, each rounded half-even once."""
    base = face if content.fee_base == "GROSS" else principal
    payee_id = recruiter_id
    if content.commission_to != RECRUITER:
        payee_id = programme.participant_by_code[content.commission_to].participant_id
    return EntryFees(content.operator_fee.half_even(base), content.commission.half_even(base), payee_id)
