"""A purchase: draw from the lots accepted here; custodians, bonus bearers and fees follow (SUMS section 3)."""

from collections.abc import Callable
from datetime import date

from coalition.domain.accounts import TransferCode
from coalition.domain.agreements import Acquiring, Version
from coalition.domain.books import Books, Wallet
from coalition.domain.commands import Purchase
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.limits import check_spend, facts_of, tier_of
from coalition.domain.lots import Draw, Lot, draw
from coalition.domain.pin_rule import check_pin
from coalition.domain.postings import Portion, PortionKey, Postings, add_to_portion, claims_of_draw, entry_fees
from coalition.domain.programme import AcceptanceInForce
from coalition.domain.reasons import Reason
from coalition.domain.shortfall import Shortfall

Accepted = dict[int, AcceptanceInForce]


def decide_purchase(command: Purchase, books: Books) -> Decision:
    """Draw the amount from the lots accepted here, oldest expiry first; custodians and bearers owe the acquirer."""
    card, wallet = books.card_and_wallet(command)
    check_pin(command, card, wallet, books)
    acquiring = acquiring_in_force(books, command.participant_id)
    tier = tier_of(card, with_pin=command.pin is not None)
    check_spend(books, wallet, card, command.amount_minor, tier)
    draws, accepted = draw_here(books, wallet, command.participant_id, command.amount_minor)
    decision = spend(books, wallet, command.participant_id, acquiring, draws, accepted)
    decision.last_four = card.last_four
    decision.card_id = card.card_id
    decision.facts = facts_of(tier)
    return decision


def acquiring_in_force(books: Books, acquirer_id: int) -> Version:
    """The agreement that says what the acquirer pays. Raises Refused(NO_ACQUIRING_AGREEMENT)."""
    acquiring = books.programme.acquiring(acquirer_id, books.business_date)
    if acquiring is None:
        raise Refused(Reason.NO_ACQUIRING_AGREEMENT)
    return acquiring


def draw_here(books: Books, wallet: Wallet, acquirer_id: int, amount: int) -> tuple[list[Draw], Accepted]:
    """The draws of `amount` from what is accepted here, and under what. Raises Refused where that is too little."""
    lots, accepted = lots_here(books, wallet, acquirer_id, books.programme.taken)
    draws = draw(lots, amount)
    drawn = 0
    for part in draws:
        drawn += part.face
    if drawn < amount:
        reason, facts = _why_too_little(books, wallet, acquirer_id, amount)
        raise Refused(
            reason,
            metadata={
                **facts,
                "balance_minor": str(wallet.balance_minor),
                "balance_here_minor": str(books.balance_here(wallet, acquirer_id)),
            },
        )
    return draws, accepted


def _why_too_little(books: Books, wallet: Wallet, acquirer_id: int, amount: int) -> tuple[Reason, dict[str, str]]:
    """Why a wallet does not give `amount` here, with whose cap is in the way if that is it."""
    if sum(lot.spendable for lot in wallet.lots.values()) < amount:
        return Reason.INSUFFICIENT_FUNDS, {}
    programme, day = books.programme, books.business_date
    for lot in wallet.open_lots() if programme.stopped else ():
        owing_id = programme.standing_for(lot.issuer_id)
        if owing_id in programme.stopped and programme.acceptance(lot.issuer_id, acquirer_id, day) is not None:
            return Reason.PARTICIPANT_CAPPED, {"participant": programme.participants[owing_id].code}
    return Reason.NOT_ACCEPTED_HERE, {}


def lots_here(
    books: Books, wallet: Wallet, acquirer_id: int, acceptance: Callable[[int, int, date], AcceptanceInForce | None]
) -> tuple[list[Lot], Accepted]:
    """The open lots that are accepted here, in the order they are consumed, and under what each is."""
    day = books.business_date
    accepted: Accepted = {}
    lots = []
    for lot in wallet.open_lots():
        held = acceptance(lot.issuer_id, acquirer_id, day)
        if held is not None:
            accepted[lot.lot_id] = held
            lots.append(lot)
    return lots, accepted


def spend(
    books: Books,
    wallet: Wallet,
    acquirer_id: int,
    acquiring: Version,
    draws: list[Draw],
    accepted: Accepted,
    shortfall: Shortfall | None = None,
) -> Decision:
    """Value leaves the wallet; custodians and bearers owe the acquirer, the acquirer owes interchange and fees.

    The fees of the entry are on its whole amount, interchange on what was drawn: a `shortfall` is part of the first.
    """
    programme, content = books.programme, acquiring.content
    postings = Postings(books.windows, books.programme.successors)
    portions: dict[PortionKey, Portion] = {}
    allocations, changes = [], []
    amount = principal_sum = 0
    for place, (lot, face, principal) in enumerate(draws):
        held, bonus = accepted[lot.lot_id], face - principal
        postings.spend(lot, principal, bonus)
        claims_of_draw(postings, programme, lot, held, acquirer_id, principal, bonus)
        add_to_portion(portions, held, lot.issuer_id, face, principal)
        version = held.version
        under = (version.agreement_id, version.version) if version else (None, None)
        allocations.append(AllocationRow(lot.lot_id, place, face, principal, *under))
        changes.append((lot, -face, -principal))
        amount += face
        principal_sum += principal
    drawn, fee_principal = amount, principal_sum
    if shortfall is not None:
        shortfall.post(postings, programme, acquirer_id)
        allocations.append(shortfall.allocation(len(draws)))
        amount += shortfall.face
        fee_principal += shortfall.face
    for portion in portions.values():
        calendar_id = programme.calendar_id(portion.content.calendar)
        postings.claim(acquirer_id, portion.issuer_id, portion.fee(), TransferCode.INTERCHANGE, calendar_id)
    if isinstance(content, Acquiring):
        calendar_id = programme.calendar_id(content.calendar)
        fees = entry_fees(programme, content, wallet.recruiter_id, amount, fee_principal)
        operator_id = programme.scheme.operator_id
        postings.claim(acquirer_id, operator_id, fees.operator_fee, TransferCode.OPERATOR_FEE, calendar_id)
        postings.claim(acquirer_id, fees.payee_id, fees.commission, TransferCode.COMMISSION, calendar_id)
    return Decision(
        wallet=wallet,
        amount_minor=amount,
        principal_minor=principal_sum,
        bonus_minor=drawn - principal_sum,
        balance_change=-drawn,
        transfers=postings.transfers(),
        last_four="",
        changes=changes,
        allocations=allocations,
        agreement_id=acquiring.agreement_id,
        agreement_version=acquiring.version,
    )
