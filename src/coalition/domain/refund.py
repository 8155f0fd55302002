"""A refund: the mirrored transfers of a purchase, in proportion, under the agreements stored on it (SUMS section 3)."""

from coalition.domain.accounts import TransferCode
from coalition.domain.agreements import Acquiring
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.commands import Goods, Refund
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.kinds import Kind
from coalition.domain.lots import Lot, Return, give_back
from coalition.domain.postings import Portion, PortionKey, Postings, add_to_portion, claims_of_return, entry_fees
from coalition.domain.programme import Programme
from coalition.domain.rates import returned
from coalition.domain.reasons import Reason
from coalition.domain.return_elsewhere import check_return_elsewhere, price_of_goods
from coalition.domain.shortfall import return_shortfall, shortfall_facts
from coalition.domain.top_up_reversal import take_reversed

REFUNDABLE = (Kind.PURCHASE, Kind.CAPTURE, Kind.UPLOAD)


def decide_refund(command: Refund, books: Books) -> Decision:
    """Give a purchase back to its original lots under the agreements stored on it; last allocation first.

    The card may be frozen or replaced by now and the wallet closed: what was paid comes back all the same.
    """
    original = books.original_of(command)
    if original is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    if original.kind not in REFUNDABLE or original.reason is not Reason.ACCEPTED or original.wallet_id is None:
        raise Refused(Reason.ORIGINAL_NOT_REFUNDABLE)
    # What a participant sold that has left is given back by whoever stands for it.
    elsewhere = command.participant_id not in {
        original.participant_id,
        books.programme.standing_for(original.participant_id),
    }
    if elsewhere:
        check_return_elsewhere(command, original, books.programme)
    left = original.amount_minor - original.returned
    if command.amount_minor > left:
        raise Refused(Reason.REFUND_EXCEEDS_ORIGINAL, metadata={"refundable_minor": str(left)})
    decision = give_value_back(original, command.amount_minor, books)
    if elsewhere and command.goods is Goods.KEPT:
        decision.transfers += price_of_goods(command.participant_id, original, decision.transfers, books)
    return decision


def give_value_back(original: Original, amount: int, books: Books, *, fees_always: bool = False) -> Decision:
    """Return `amount` of an accepted purchase, capture or upload, at most what is left of it.

    What the wallet could not give comes back first, to who bore it: as the last allocation.

    Fees come back if the purchase's agreements say so; with `fees_always` whatever they say, for what is undone.
    """
    if original.wallet_id is None:
        raise LedgerBroken(f"entry {original.entry_id} of kind {original.kind.name} names no wallet")
    wallet = books.wallets[original.wallet_id]
    returns = give_back(original.allocations, amount)
    postings = Postings(books.windows, books.programme.successors)
    _return_interchange(postings, books.programme, wallet, original, returns, fees_always=fees_always)
    _return_entry_fees(postings, books.programme, wallet, original, amount, fees_always=fees_always)
    changes, short, bearer_id = [], 0, None
    for part in returns:
        if part.allocation.is_shortfall:
            short, bearer_id = part.face, return_shortfall(postings, books.programme, original, part)
        else:
            changes.append(_return_draw(postings, books, wallet, original, part))
    principal = sum(part.principal for part in returns)
    return Decision(
        wallet=wallet,
        amount_minor=amount,
        principal_minor=principal,
        bonus_minor=amount - short - principal,
        balance_change=sum(face for _, face, _ in changes),
        transfers=postings.transfers(),
        last_four=original.last_four,
        changes=changes,
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
        facts=shortfall_facts(books.programme, short, bearer_id) if bearer_id is not None else None,
    )


def _return_draw(
    postings: Postings, books: Books, wallet: Wallet, original: Original, part: Return
) -> tuple[Lot, int, int]:
    """The legs of one returned draw; what stays in its lot as (lot, face, principal)."""
    allocation, bonus = part.allocation, part.face - part.principal
    lot = wallet.lots[allocation.lot_id]
    bonus_before = allocation.returned_face - allocation.returned_principal
    postings.restore(lot, part.principal, bonus)
    claims_of_return(
        postings,
        books.programme,
        lot,
        books.programme.held_then(allocation.agreement_id, allocation.agreement_version),
        original.participant_id,
        part.principal,
        allocation.face - allocation.principal,
        bonus_before,
        bonus_before + bonus,
    )
    if lot.is_reversed:
        take_reversed(postings, books.programme, lot, part.face, part.principal)
        return lot, 0, 0
    if lot.bonus_expired(books.business_date):
        # EXPIRED_ON_RETURN: the bonus comes back and is gone in the same entry.
        postings.expire(lot, bonus)
        return lot, part.principal, part.principal
    return lot, part.face, part.principal


def _return_interchange(
    postings: Postings,
    programme: Programme,
    wallet: Wallet,
    original: Original,
    returns: list[Return],
    *,
    fees_always: bool,
) -> None:
    """Each issuer gives back of its interchange by the cumulative floor over its whole portion of the purchase."""
    back = {part.allocation.place: part.face for part in returns}
    portions: dict[PortionKey, Portion] = {}
    before: dict[PortionKey, int] = {}
    after: dict[PortionKey, int] = {}
    for allocation in original.allocations:
        if allocation.is_shortfall:
            continue
        held = programme.held_then(allocation.agreement_id, allocation.agreement_version)
        issuer_id = wallet.lots[allocation.lot_id].issuer_id
        key = add_to_portion(portions, held, issuer_id, allocation.face, allocation.principal)
        if key is not None:
            before[key] = before.get(key, 0) + allocation.returned_face
            after[key] = after.get(key, 0) + allocation.returned_face + back.get(allocation.place, 0)
    for key, portion in portions.items():
        if fees_always or portion.content.fees_return:
            fee = returned(portion.fee(), before[key], after[key], portion.face)
            calendar_id = programme.calendar_id(portion.content.calendar)
            postings.claim(portion.issuer_id, original.participant_id, fee, TransferCode.INTERCHANGE, calendar_id)


def _return_entry_fees(
    postings: Postings, programme: Programme, wallet: Wallet, original: Original, amount: int, *, fees_always: bool
) -> None:
    """The operator's fee and the commission come back in proportion, if the purchase's agreement says so."""
    if original.agreement_id is None or original.agreement_version is None:
        raise LedgerBroken(f"purchase {original.entry_id} names no acquiring agreement")
    content = programme.version(original.agreement_id, original.agreement_version).content
    if not isinstance(content, Acquiring) or not (fees_always or content.fees_return):
        return
    principal = sum(each.face if each.is_shortfall else each.principal for each in original.allocations)
    fees = entry_fees(programme, content, wallet.recruiter_id, original.amount_minor, principal)
    span = (original.returned, original.returned + amount, original.amount_minor)
    calendar_id = programme.calendar_id(content.calendar)
    for payee_id, fee, code in (
        (programme.scheme.operator_id, fees.operator_fee, TransferCode.OPERATOR_FEE),
        (fees.payee_id, fees.commission, TransferCode.COMMISSION),
    ):
        postings.claim(payee_id, original.participant_id, returned(fee, *span), code, calendar_id)
