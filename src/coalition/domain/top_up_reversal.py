"""A top-up whose money bounced: what is left of its lot is taken, somebody bears what was spent (SUMS section 3)."""

from coalition.domain.accounts import TransferCode
from coalition.domain.agreements import Terms
from coalition.domain.books import Books, Original
from coalition.domain.commands import TopUpReturn, TopUpReversal
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.kinds import Kind
from coalition.domain.lots import Lot, principal_of_spend
from coalition.domain.postings import Postings
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason


def decide_top_up_reversal(command: TopUpReversal, books: Books) -> Decision:
    """Take what is left of the lot and give the cash taker its principal; never declined for what was spent.

    Who sold it asks, whose value it is, or the operator: each of them may be the first to hear from the bank.
    """
    original, lot = _named_top_up(command, books)
    concerned = {lot.seller_id, lot.issuer_id, books.programme.standing_for(lot.issuer_id)}
    if command.participant_id not in concerned | {books.programme.scheme.operator_id}:
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)
    _still_there(lot)
    return take_back_top_up(original, books)


def own_top_up(command: TopUpReturn, books: Books) -> tuple[Original, Lot]:
    """The participant's own accepted top-up that the command names, and its lot, which is not reversed.

    Refused: ORIGINAL_UNKNOWN, ORIGINAL_NOT_REFUNDABLE, ORIGINAL_OF_OTHER_PARTICIPANT, LOT_NOT_OPEN.
    """
    original, lot = _named_top_up(command, books)
    if original.participant_id != command.participant_id:
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)
    _still_there(lot)
    return original, lot


def _named_top_up(command: TopUpReversal | TopUpReturn, books: Books) -> tuple[Original, Lot]:
    original = books.original_of(command)
    if original is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    if original.kind is not Kind.TOP_UP or original.reason is not Reason.ACCEPTED or original.wallet_id is None:
        raise Refused(Reason.ORIGINAL_NOT_REFUNDABLE)
    # A lot has the id of the entry that opened it.
    return original, books.wallets[original.wallet_id].lots[original.entry_id]


def _still_there(lot: Lot) -> None:
    if lot.is_reversed:
        raise Refused(Reason.LOT_NOT_OPEN)


def take_back_top_up(original: Original, books: Books, *, commission_back: bool = False) -> Decision:
    """Take what is left of an accepted top-up's lot; with `commission_back` the seller's commission returns, too.

    What a hold has promised to a merchant stays until it is captured or released; released, it is taken then.
    """
    if original.wallet_id is None:
        raise LedgerBroken(f"top-up {original.entry_id} names no wallet")
    wallet = books.wallets[original.wallet_id]
    lot = wallet.lots[original.entry_id]
    terms = books.programme.terms_sold(lot.terms_id, lot.terms_version)
    calendar_id = books.programme.calendar_id(terms.calendar)
    face = lot.spendable
    principal = principal_of_spend(lot, face)
    postings = Postings(books.windows, books.programme.successors)
    postings.spend(lot, principal, face - principal)
    postings.claim(lot.custodian_id, lot.seller_id, principal, TransferCode.TOP_UP_CASH, calendar_id)
    if terms.top_up_loss == "ISSUER":
        loss = lot.principal_sold - principal
        postings.claim(lot.issuer_id, lot.seller_id, loss, TransferCode.TOP_UP_LOSS, calendar_id)
    if commission_back:
        commission = terms.seller_commission.half_even(lot.principal_sold)
        postings.claim(lot.seller_id, lot.issuer_id, commission, TransferCode.SELLER_COMMISSION, calendar_id)
    return Decision(
        wallet=wallet,
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=face - principal,
        balance_change=-face,
        transfers=postings.transfers(),
        last_four=original.last_four,
        changes=[(lot, -face, -principal)],
        reverses=lot,
        allocations=[AllocationRow(lot.lot_id, 0, face, principal, None, None)] if face else [],
        original=original,
        agreement_id=lot.terms_id,
        agreement_version=lot.terms_version,
    )


def take_reversed(postings: Postings, programme: Programme, lot: Lot, face: int, principal: int) -> None:
    """Value that comes back to a reversed lot is taken at once, and its cash passed on to who bore the loss."""
    terms = programme.terms_sold(lot.terms_id, lot.terms_version)
    calendar_id = programme.calendar_id(terms.calendar)
    postings.spend(lot, principal, face - principal)
    postings.claim(lot.custodian_id, loss_bearer(terms, lot), principal, TransferCode.TOP_UP_CASH, calendar_id)


def loss_bearer(terms: Terms, lot: Lot) -> int:
    """Who bears what was spent of a reversed lot: who took the payment, unless the terms say the issuer."""
    return lot.issuer_id if terms.top_up_loss == "ISSUER" else lot.seller_id
