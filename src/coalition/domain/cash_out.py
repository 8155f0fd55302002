"""A cash-out: the member gets what was paid of every lot, the bonus of the rest goes back (SUMS section 3)."""

from coalition.domain.accounts import TransferCode
from coalition.domain.books import Books
from coalition.domain.commands import CashOut
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.postings import Postings
from coalition.domain.reasons import Reason


def decide_cash_out(command: CashOut, books: Books) -> Decision:
    """Empty every lot; each custodian owes the principal to the participant that hands the cash over.

    Open holds block it. `amount_minor` of the decision is the cash to hand over.
    """
    programme, payer_id = books.programme, command.participant_id
    card, wallet = books.paying(command)
    lots = wallet.open_lots()
    if not lots:
        raise Refused(Reason.INSUFFICIENT_FUNDS)
    if any(lot.reserved for lot in lots):
        raise Refused(Reason.WALLET_HAS_HOLDS)
    postings = Postings(books.windows)
    for lot in lots:
        calendar_id = programme.calendar_id(programme.terms_sold(lot.terms_id, lot.terms_version).calendar)
        postings.spend(lot, lot.principal, lot.bonus)
        postings.claim(lot.custodian_id, payer_id, lot.principal, TransferCode.CASH_OUT, calendar_id)
    principal = sum(lot.principal for lot in lots)
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
    )
