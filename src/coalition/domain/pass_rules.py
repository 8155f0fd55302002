"""What is decided of passes: sold, visited, a visit returned, what is left paid out (SUMS sections 3 and 5).

Money and visits move together: `FLOAT(k,A)->PASS P` and `PASS(A)->PASS F` when one is sold, and the other way round
when it is used. No rule here touches a lot or a balance.
"""

from datetime import timedelta
from typing import Final

from coalition.domain.accounts import PASSES, TransferCode, Unit, float_account, pass_account
from coalition.domain.agreements import Acquiring
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.commands import ReturnPass, ReturnVisit, SellPass, VisitPass
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import Transfer
from coalition.domain.kinds import Kind
from coalition.domain.limits import check_own_limits
from coalition.domain.pass_decision import PassDecision
from coalition.domain.passes import Pass, Visit, principal_of_visits
from coalition.domain.pin_rule import check_pin
from coalition.domain.postings import Postings, entry_fees
from coalition.domain.programme import AcceptanceInForce, Programme
from coalition.domain.purchase import acquiring_in_force
from coalition.domain.reasons import Reason
from coalition.domain.top_up import check_funding

PASS: Final = TransferCode.PASS


def decide_sell_pass(command: SellPass, books: Books, entry_id: int) -> Decision:
    """`FLOAT -> PASS` the price and `PASS(A) -> PASS` the visits; who took the cash owes the custodian.

    What is asked of a top-up's payment is asked of a pass's. Refused besides: PASS_UNKNOWN, PASS_PRICE_DIFFERS.
    """
    programme, day, seller_id = books.programme, books.business_date, command.participant_id
    card, wallet = books.card_and_wallet(command)
    version, terms = programme.pass_sold(command.issuer_id, command.terms_code, day)
    issuer = programme.participants[command.issuer_id]
    if not issuer.is_active:
        raise Refused(Reason.SUSPENDED)
    if not any(party in terms.sellers for party in programme.participants[seller_id].parties):
        raise Refused(Reason.TERMS_NOT_SOLD_HERE)
    price = terms.price_minor
    if command.amount_minor != price:
        raise Refused(Reason.PASS_PRICE_DIFFERS, metadata={"price_minor": str(price)})
    rules = programme.card_rules(day)
    if rules is not None:
        in_passes = sum(held.principal for held in books.passes.open_of(wallet.wallet_id))
        check_funding(rules, wallet, None, command.funding, price, in_passes + price)
    custodian_id = programme.custodian(terms, issuer.participant_id)
    if seller_id in programme.stopped and custodian_id != seller_id:
        raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": programme.participants[seller_id].code})
    held = Pass(
        lane=wallet.lane,
        pass_id=entry_id,
        wallet_id=wallet.wallet_id,
        issuer_id=issuer.participant_id,
        custodian_id=custodian_id,
        seller_id=seller_id,
        terms_id=version.agreement_id,
        terms_version=version.version,
        last_day=terms.last_day(day),
        visits_sold=terms.visits,
        price_minor=price,
        visits=terms.visits,
        principal=price,
    )
    postings = Postings(books.windows, programme.successors)
    postings.post(float_account(*_owing(programme, held)), PASSES, price, PASS)
    calendar_id = programme.calendar_id(terms.calendar)
    postings.claim(seller_id, custodian_id, price, TransferCode.TOP_UP_CASH, calendar_id)
    commission = terms.seller_commission.half_even(price)
    postings.claim(held.issuer_id, seller_id, commission, TransferCode.SELLER_COMMISSION, calendar_id)
    visits = Transfer(pass_account(_owing(programme, held)[1]), PASSES, terms.visits, PASS, unit=Unit.VISITS)
    return PassDecision(
        wallet=wallet,
        amount_minor=price,
        principal_minor=price,
        bonus_minor=0,
        balance_change=0,
        transfers=[*postings.transfers(), visits],
        last_four=card.last_four,
        card_id=card.card_id,
        agreement_id=version.agreement_id,
        agreement_version=version.version,
        held=held,
        visits_change=terms.visits,
        principal_change=price,
        opens_pass=True,
        facts=None if command.funding is command.funding.CASH else {"funding": command.funding.value},
    )


def decide_visit(command: VisitPass, books: Books) -> Decision:
    """Take visits of the pass that ends first; its custodian owes the acquirer what they take of the price, less fees.

    A visit is a sale of that much at the acquirer: interchange and the fees of the entry are on it.
    """
    programme, acquirer_id = books.programme, command.participant_id
    card, wallet = books.card_and_wallet(command)
    held, taken = _pass_here(command, wallet, books)
    principal = principal_of_visits(held, command.visit_count)
    check_pin(command, card, wallet, books, principal)
    check_own_limits(card, "VISIT")
    acquiring = acquiring_in_force(books, acquirer_id)
    postings = Postings(books.windows, programme.successors)
    postings.post(PASSES, float_account(*_owing(programme, held)), principal, PASS)
    calendar_id = programme.calendar_id(programme.pass_terms_sold(held.terms_id, held.terms_version).calendar)
    postings.claim(held.custodian_id, acquirer_id, principal, PASS, calendar_id)
    if taken.content is not None:
        interchange = taken.content.interchange.half_even(principal)
        calendar_id = programme.calendar_id(taken.content.calendar)
        postings.claim(acquirer_id, held.issuer_id, interchange, TransferCode.INTERCHANGE, calendar_id)
    if isinstance(acquiring.content, Acquiring):
        content = acquiring.content
        fees = entry_fees(programme, content, wallet.recruiter_id, principal, principal)
        calendar_id = programme.calendar_id(content.calendar)
        operator_id = programme.scheme.operator_id
        postings.claim(acquirer_id, operator_id, fees.operator_fee, TransferCode.OPERATOR_FEE, calendar_id)
        postings.claim(acquirer_id, fees.payee_id, fees.commission, TransferCode.COMMISSION, calendar_id)
    version = taken.version
    return PassDecision(
        wallet=wallet,
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=0,
        balance_change=0,
        transfers=[*postings.transfers(), _visits_used(programme, held, command.visit_count)],
        last_four=card.last_four,
        card_id=card.card_id,
        agreement_id=acquiring.agreement_id,
        agreement_version=acquiring.version,
        held=held,
        visits_change=-command.visit_count,
        principal_change=-principal,
        accepted_under=(version.agreement_id, version.version) if version else (None, None),
    )


def _pass_here(command: VisitPass, wallet: Wallet, books: Books) -> tuple[Pass, AcceptanceInForce]:
    """The pass to use here today, and under what it is taken. Raises Refused with why there is none."""
    programme, day = books.programme, books.business_date
    held = [
        each
        for each in books.passes.open_of(wallet.wallet_id)
        if command.terms_code is None or programme.version(each.terms_id, each.terms_version).code == command.terms_code
    ]
    if not held:
        raise Refused(Reason.PASS_UNKNOWN)
    valid = [each for each in held if not each.has_ended(day)]
    if not valid:
        raise Refused(Reason.PASS_EXPIRED, metadata={"last_day": str(max(each.last_day or day for each in held))})
    parties = programme.participants[command.participant_id].parties
    here = []
    for each in valid:
        honoured_at = programme.pass_terms_sold(each.terms_id, each.terms_version).honoured_at
        taken = programme.taken(each.issuer_id, command.participant_id, day)
        if taken is not None and (not honoured_at or any(party in honoured_at for party in parties)):
            here.append((each, taken))
    if not here:
        raise Refused(Reason.NOT_ACCEPTED_HERE, metadata={"visits_left": str(sum(each.visits for each in valid))})
    for each, taken in here:
        if each.visits >= command.visit_count:
            return each, taken
    raise Refused(Reason.VISITS_TOO_FEW, metadata={"visits_left": str(max(each.visits for each, _ in here))})


def decide_return_visit(command: ReturnVisit, books: Books) -> Decision:
    """Give the visits of an entry back to their pass, whole, under the agreements stored on it; once.

    The pass may have ended by now: then it is the money that comes back to it, to be paid out.
    """
    original = books.original_of(command)
    if original is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    if original.kind is not Kind.PASS_VISIT or original.reason is not Reason.ACCEPTED:
        raise Refused(Reason.ORIGINAL_NOT_REFUNDABLE)
    if command.participant_id not in {original.participant_id, books.programme.standing_for(original.participant_id)}:
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)
    visit = books.passes.visits[original.entry_id]
    if visit.is_returned:
        raise Refused(Reason.REFUND_EXCEEDS_ORIGINAL, metadata={"refundable_minor": "0"})
    if books.passes.passes[visit.pass_id].is_over:
        raise Refused(Reason.LOT_NOT_OPEN)
    return give_visit_back(original, visit, books, fees_always=False)


def give_visit_back(original: Original, visit: Visit, books: Books, *, fees_always: bool) -> Decision:
    """The mirror of an accepted visit that was not returned; fees if its agreements say so, or always."""
    programme, acquirer_id = books.programme, original.participant_id
    held = books.passes.passes[visit.pass_id]
    wallet, principal = books.wallets[held.wallet_id], visit.principal
    postings = Postings(books.windows, programme.successors)
    postings.post(float_account(*_owing(programme, held)), PASSES, principal, PASS)
    calendar_id = programme.calendar_id(programme.pass_terms_sold(held.terms_id, held.terms_version).calendar)
    postings.claim(acquirer_id, held.custodian_id, principal, PASS, calendar_id)
    taken = programme.held_then(visit.agreement_id, visit.agreement_version).content
    if taken is not None and (fees_always or taken.fees_return):
        interchange = taken.interchange.half_even(principal)
        calendar_id = programme.calendar_id(taken.calendar)
        postings.claim(held.issuer_id, acquirer_id, interchange, TransferCode.INTERCHANGE, calendar_id)
    if original.agreement_id is None or original.agreement_version is None:
        raise LedgerBroken(f"visit {original.entry_id} names no acquiring agreement")
    content = programme.version(original.agreement_id, original.agreement_version).content
    if isinstance(content, Acquiring) and (fees_always or content.fees_return):
        fees = entry_fees(programme, content, wallet.recruiter_id, principal, principal)
        calendar_id = programme.calendar_id(content.calendar)
        operator_id = programme.scheme.operator_id
        postings.claim(operator_id, acquirer_id, fees.operator_fee, TransferCode.OPERATOR_FEE, calendar_id)
        postings.claim(fees.payee_id, acquirer_id, fees.commission, TransferCode.COMMISSION, calendar_id)
    visits = Transfer(pass_account(_owing(programme, held)[1]), PASSES, visit.visits, PASS, unit=Unit.VISITS)
    return PassDecision(
        wallet=wallet,
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=0,
        balance_change=0,
        transfers=[*postings.transfers(), visits],
        last_four=original.last_four,
        original=original,
        agreement_id=original.agreement_id,
        agreement_version=original.agreement_version,
        held=held,
        visits_change=visit.visits,
        principal_change=principal,
        returns_visit=visit.entry_id,
    )


def decide_return_pass(command: ReturnPass, books: Books) -> Decision:
    """Pay the member what is left of a pass, used or not, ended or not; the pass is over then.

    Its seller or its issuer does it. Within the days of the card rules that held when it was sold, and untouched, the
    sale is undone: the seller's commission goes back, too.
    """
    programme = books.programme
    original = books.original_of(command)
    if original is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    if original.kind is not Kind.PASS_SALE or original.reason is not Reason.ACCEPTED:
        raise Refused(Reason.ORIGINAL_NOT_REFUNDABLE)
    held = books.passes.passes[original.entry_id]
    if command.participant_id not in {held.seller_id, held.issuer_id, programme.standing_for(held.issuer_id)}:
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)
    if held.is_over or not held.principal:
        raise Refused(Reason.LOT_NOT_OPEN)
    custodian_id = programme.standing_for(held.custodian_id)
    if custodian_id in programme.stopped and custodian_id != command.participant_id:
        raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": programme.participants[custodian_id].code})
    rules = programme.card_rules(original.business_date)
    last_day = original.business_date + timedelta(days=rules.return_days) if rules and rules.return_days else None
    in_time = last_day is None or books.business_date <= last_day
    return take_back_pass(original, held, command.participant_id, books, undoes_sale=held.is_untouched and in_time)


def take_back_pass(original: Original, held: Pass, payer_id: int, books: Books, *, undoes_sale: bool) -> Decision:
    """`PASS -> FLOAT` what is left, which the custodian owes to who pays the member; the visits end."""
    programme, principal, visits = books.programme, held.principal, held.visits
    terms = programme.pass_terms_sold(held.terms_id, held.terms_version)
    calendar_id = programme.calendar_id(terms.calendar)
    postings = Postings(books.windows, programme.successors)
    postings.post(PASSES, float_account(*_owing(programme, held)), principal, PASS)
    postings.claim(held.custodian_id, payer_id, principal, TransferCode.CASH_OUT, calendar_id)
    if undoes_sale:
        commission = terms.seller_commission.half_even(held.price_minor)
        postings.claim(held.seller_id, held.issuer_id, commission, TransferCode.SELLER_COMMISSION, calendar_id)
    ended = [_visits_used(programme, held, visits)] if visits else []
    return PassDecision(
        wallet=books.wallets[held.wallet_id],
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=0,
        balance_change=0,
        transfers=[*postings.transfers(), *ended],
        last_four=original.last_four,
        original=original,
        agreement_id=held.terms_id,
        agreement_version=held.terms_version,
        held=held,
        visits_change=-visits,
        principal_change=-principal,
        ends_pass=True,
    )


def reverse_of_pass(original: Original, books: Books) -> Decision | None:
    """What a reversal undoes of a sale or a visit; None where nothing is left of it.

    A visit comes back with its fees. Of a sale what is left is taken back and its seller gets it, who owes the member
    the rest; its commission goes back.
    """
    if original.kind is Kind.PASS_VISIT:
        visit = books.passes.visits[original.entry_id]
        is_left = not visit.is_returned and not books.passes.passes[visit.pass_id].is_over
        return give_visit_back(original, visit, books, fees_always=True) if is_left else None
    held = books.passes.passes[original.entry_id]
    if held.is_over:
        return None
    return take_back_pass(original, held, original.participant_id, books, undoes_sale=True)


def check_no_passes(books: Books, wallet: Wallet) -> None:
    """Raise Refused(WALLET_HAS_PASSES) where the wallet cannot be closed for what its passes hold."""
    left = sum(held.principal for held in books.passes.open_of(wallet.wallet_id))
    if left:
        raise Refused(Reason.WALLET_HAS_PASSES, metadata={"principal_minor": str(left)})


def _visits_used(programme: Programme, held: Pass, visits: int) -> Transfer:
    return Transfer(PASSES, pass_account(_owing(programme, held)[1]), visits, PASS, unit=Unit.VISITS)


def _owing(programme: Programme, held: Pass) -> tuple[int, int]:
    """Who holds the money of the pass and who owes its visits, today."""
    return programme.standing_for(held.custodian_id), programme.standing_for(held.issuer_id)
