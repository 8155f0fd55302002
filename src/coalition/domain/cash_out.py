"""A cash-out: the member gets what was paid of every lot, the bonus of the rest goes back (SUMS section 3).

It may close the wallet. A closed wallet still takes refunds; what they bring is paid out by another cash-out.
"""

from typing import Final

from coalition.domain.accounts import TransferCode
from coalition.domain.books import Books
from coalition.domain.commands import CashOut
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.limits import check_own_limits
from coalition.domain.pass_rules import check_no_passes
from coalition.domain.pin_rule import check_pin
from coalition.domain.postings import Postings
from coalition.domain.reasons import Reason

CLOSED: Final = {"wallet_state": "CLOSED"}
"""What the journal and the receipt say where the wallet is closed now."""


def decide_cash_out(command: CashOut, books: Books) -> Decision:
    """Empty every lot; each custodian owes the principal to the participant that hands the cash over.

    Open holds block it, and passes the closing of the wallet. `amount_minor` of the decision is the cash to hand over;
    0 only where an empty wallet is closed.
    """
    programme, payer_id = books.programme, command.participant_id
    card, wallet = books.card_and_wallet(command, closed_too=True)
    lots = wallet.open_lots()
    principal = sum(lot.principal for lot in lots)
    check_pin(command, card, wallet, books, principal)
    check_own_limits(card, "CASH_OUT")
    if not lots and not (command.closes and wallet.state == "OPEN"):
        raise Refused(Reason.INSUFFICIENT_FUNDS)
    if command.closes:
        check_no_passes(books, wallet)
    if any(lot.reserved for lot in lots):
        raise Refused(Reason.WALLET_HAS_HOLDS)
    for lot in lots if programme.stopped else ():
        custodian_id = programme.standing_for(lot.custodian_id)
        if custodian_id in programme.stopped and custodian_id != payer_id:
            code = programme.participants[custodian_id].code
            raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": code})
    postings = Postings(books.windows, books.programme.successors)
    for lot in lots:
        calendar_id = programme.calendar_id(programme.terms_sold(lot.terms_id, lot.terms_version).calendar)
        postings.spend(lot, lot.principal, lot.bonus)
        postings.claim(lot.custodian_id, payer_id, lot.principal, TransferCode.CASH_OUT, calendar_id)
    face = sum(lot.face for lot in lots)
    return Decision(
        wallet=wallet,
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=face - principal,
        balance_change=-face,
        transfers=postings.transfers(),
        last_four=card.last_four,
        card_id=card.card_id,
        changes=[(lot, -lot.face, -lot.principal) for lot in lots],
        allocations=[
            AllocationRow(lot.lot_id, place, lot.face, lot.principal, None, None) for place, lot in enumerate(lots)
        ],
        facts=CLOSED if command.closes or wallet.state != "OPEN" else None,
        closes=command.closes and wallet.state == "OPEN",
    )
