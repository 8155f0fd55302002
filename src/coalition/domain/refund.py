"""A refund: the mirrored transfers of a purchase, in proportion, under the agreements stored on it (SUMS section 3)."""

from coalition.domain.accounts import WALLET, TransferCode, bonus_account
from coalition.domain.agreements import Acceptance, Acquiring, Terms
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.commands import Refund
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.kinds import Kind
from coalition.domain.lots import Allocation, Lot, Return, give_back
from coalition.domain.postings import (
    EntryFees,
    Portion,
    Postings,
    add_to_portion,
    claims_of_return,
    entry_fees,
    post_entry_fees,
)
from coalition.domain.programme import ON_US, AcceptanceInForce, Programme
from coalition.domain.rates import returned
from coalition.domain.reasons import Reason


def decide_refund(command: Refund, books: Books) -> Decision:
    """Give a purchase back to its original lots under the agreements stored on it; last allocation first."""
    original = _original(command, books)
    if original.kind is not Kind.PURCHASE or original.reason is not Reason.ACCEPTED or original.wallet_id is None:
        raise Refused(Reason.ORIGINAL_NOT_REFUNDABLE)
    if original.participant_id != command.participant_id:
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)
    left = original.amount_minor - original.returned
    if command.amount_minor > left:
        raise Refused(Reason.REFUND_EXCEEDS_ORIGINAL, metadata={"refundable_minor": str(left)})
    wallet = books.wallets[original.wallet_id]
    returns = give_back(original.allocations, command.amount_minor)
    postings = Postings(books.windows)
    taken = post_refund(postings, books, wallet, original, returns)
    principal = sum(part.principal for part in returns)
    return Decision(
        wallet=wallet,
        amount_minor=command.amount_minor,
        principal_minor=principal,
        bonus_minor=command.amount_minor - principal,
        balance_change=command.amount_minor - sum(face for face, _ in taken.values()),
        transfers=postings.transfers(),
        last_four=original.last_four,
        changes=[
            (
                wallet.lots[part.allocation.lot_id],
                part.face - taken[part.allocation.place][0],
                part.principal - taken[part.allocation.place][1],
            )
            for part in returns
        ],
        allocations=[
            AllocationRow(
                part.allocation.lot_id,
                part.allocation.place,
                part.face,
                part.principal,
                part.allocation.agreement_id,
                part.allocation.agreement_version,
                original.entry_id,
            )
            for part in returns
        ],
        original=original,
        agreement_id=original.agreement_id,
        agreement_version=original.agreement_version,
    )


def post_refund(
    postings: Postings, books: Books, wallet: Wallet, original: Original, returns: list[Return]
) -> dict[int, tuple[int, int]]:
    """The legs of a refund. Returns, per allocation place, the (face, principal) that is taken again at once.

    Taken again are an expired bonus (EXPIRED_ON_RETURN) and everything of a reversed lot, whose loss passes on.
    """
    programme, acquirer_id = books.programme, original.participant_id
    taken: dict[int, tuple[int, int]] = {}
    portions: dict[tuple[int, int], Portion] = {}
    before: dict[tuple[int, int], int] = {}
    after: dict[tuple[int, int], int] = {}
    back = {part.allocation.place: part.face for part in returns}
    for allocation in original.allocations:
        held = _held_then(programme, allocation)
        issuer_id = wallet.lots[allocation.lot_id].issuer_id
        key = add_to_portion(portions, held, issuer_id, allocation.face, allocation.principal)
        if key is not None:
            before[key] = before.get(key, 0) + allocation.returned_face
            after[key] = after.get(key, 0) + allocation.returned_face + back.get(allocation.place, 0)
    for part in returns:
        allocation, bonus = part.allocation, part.face - part.principal
        lot = wallet.lots[allocation.lot_id]
        postings.restore(lot, part.principal, bonus)
        returned_bonus = allocation.returned_face - allocation.returned_principal
        claims_of_return(
            postings,
            programme,
            lot,
            _held_then(programme, allocation),
            acquirer_id,
            part.principal,
            allocation.face - allocation.principal,
            returned_bonus,
            returned_bonus + bonus,
        )
        taken[allocation.place] = _take_again(postings, books, lot, part)
    for key, portion in portions.items():
        if portion.content.fees_return:
            fee = returned(portion.fee(), before[key], after[key], portion.face)
            calendar_id = programme.calendar_id(portion.content.calendar)
            postings.claim(portion.issuer_id, acquirer_id, fee, TransferCode.INTERCHANGE, calendar_id)
    _return_entry_fees(postings, programme, wallet, original, sum(back.values()))
    return taken


def _return_entry_fees(
    postings: Postings, programme: Programme, wallet: Wallet, original: Original, amount: int
) -> None:
    if original.agreement_id is None or original.agreement_version is None:
        raise LedgerBroken(f"purchase {original.entry_id} names no acquiring agreement")
    content = programme.version(original.agreement_id, original.agreement_version).content
    if not isinstance(content, Acquiring) or not content.fees_return:
        return
    principal = sum(allocation.principal for allocation in original.allocations)
    fees = entry_fees(programme, content, wallet.recruiter_id, original.amount_minor, principal)
    done = original.returned
    span = (done, done + amount, original.amount_minor)
    back = EntryFees(returned(fees.operator_fee, *span), returned(fees.commission, *span), fees.payee_id)
    calendar_id = programme.calendar_id(content.calendar)
    post_entry_fees(postings, programme, back, original.participant_id, calendar_id, refund=True)


def _take_again(postings: Postings, books: Books, lot: Lot, part: Return) -> tuple[int, int]:
    bonus = part.face - part.principal
    if lot.is_reversed:
        postings.spend(lot, part.principal, bonus)
        terms = books.programme.version(lot.terms_id, lot.terms_version).content
        if isinstance(terms, Terms):
            calendar_id = books.programme.calendar_id(terms.calendar)
            postings.claim(lot.custodian_id, lot.seller_id, part.principal, TransferCode.TOP_UP_CASH, calendar_id)
        return part.face, part.principal
    if bonus and lot.bonus_expired(books.business_date):
        postings.post(WALLET, bonus_account(lot.issuer_id), bonus, TransferCode.EXPIRY)
        return bonus, 0
    return 0, 0


def _original(command: Refund, books: Books) -> Original:
    if command.original_entry_id is not None:
        original = books.originals_by_entry.get(command.original_entry_id)
    elif command.original_request_id is not None:
        original = books.originals_by_request.get((command.participant_id, command.original_request_id))
    else:
        original = None
    if original is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    return original


def _held_then(programme: Programme, allocation: Allocation) -> AcceptanceInForce:
    """The acceptance a draw was made under, whatever is in force today."""
    if allocation.agreement_id is None or allocation.agreement_version is None:
        return ON_US
    version = programme.version(allocation.agreement_id, allocation.agreement_version)
    if not isinstance(version.content, Acceptance):
        raise LedgerBroken(f"agreement {allocation.agreement_id} is not an acceptance agreement")
    return AcceptanceInForce(version, version.content)
