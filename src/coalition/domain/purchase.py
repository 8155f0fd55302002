"""A purchase: draw from the lots accepted here; custodians, bonus bearers and fees follow (SUMS section 3)."""

from coalition.domain.accounts import TransferCode
from coalition.domain.agreements import Acquiring
from coalition.domain.books import Books
from coalition.domain.commands import Purchase
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.lots import Draw, draw
from coalition.domain.postings import (
    Portion,
    Postings,
    add_to_portion,
    claims_of_draw,
    entry_fees,
    post_entry_fees,
)
from coalition.domain.programme import AcceptanceInForce, Programme
from coalition.domain.reasons import Reason


def decide_purchase(command: Purchase, books: Books) -> Decision:
    """Draw the amount from the lots accepted here, oldest expiry first; custodians and bearers owe the acquirer."""
    programme, day, acquirer_id = books.programme, books.business_date, command.participant_id
    card, wallet = books.card_and_wallet(command.token)
    acquiring = programme.acquiring(acquirer_id, day)
    if acquiring is None or not isinstance(acquiring.content, Acquiring):
        raise Refused(Reason.NO_ACQUIRING_AGREEMENT)
    accepted: dict[int, AcceptanceInForce] = {}
    for lot in wallet.open_lots():
        held = programme.acceptance(lot.issuer_id, acquirer_id, day)
        if held is not None:
            accepted[lot.lot_id] = held
    draws = draw([wallet.lots[lot_id] for lot_id in accepted], command.amount_minor)
    if sum(part.face for part in draws) < command.amount_minor:
        spendable = sum(lot.spendable for lot in wallet.lots.values())
        enough = spendable >= command.amount_minor
        raise Refused(
            Reason.NOT_ACCEPTED_HERE if enough else Reason.INSUFFICIENT_FUNDS,
            metadata={
                "balance_minor": str(wallet.balance_minor),
                "balance_here_minor": str(books.balance_here(wallet, acquirer_id)),
            },
        )
    postings = Postings(books.windows)
    post_purchase(postings, programme, draws, accepted, acquirer_id)
    principal = sum(part.principal for part in draws)
    fees = entry_fees(programme, acquiring.content, wallet.recruiter_id, command.amount_minor, principal)
    calendar_id = programme.calendar_id(acquiring.content.calendar)
    post_entry_fees(postings, programme, fees, acquirer_id, calendar_id, refund=False)
    return Decision(
        wallet=wallet,
        amount_minor=command.amount_minor,
        principal_minor=principal,
        bonus_minor=command.amount_minor - principal,
        balance_change=-command.amount_minor,
        transfers=postings.transfers(),
        last_four=card.last_four,
        card_id=card.card_id,
        changes=[(part.lot, -part.face, -part.principal) for part in draws],
        allocations=[_allocation(place, part, accepted) for place, part in enumerate(draws)],
        agreement_id=acquiring.agreement_id,
        agreement_version=acquiring.version,
    )


def post_purchase(
    postings: Postings,
    programme: Programme,
    draws: list[Draw],
    accepted: dict[int, AcceptanceInForce],
    acquirer_id: int,
) -> None:
    """The legs of a purchase but for the entry's fees: value leaves the wallet, claims and interchange arise."""
    portions: dict[tuple[int, int], Portion] = {}
    for part in draws:
        lot, bonus, held = part.lot, part.face - part.principal, accepted[part.lot.lot_id]
        postings.spend(lot, part.principal, bonus)
        claims_of_draw(postings, programme, lot, held, acquirer_id, part.principal, bonus)
        add_to_portion(portions, held, lot.issuer_id, part.face, part.principal)
    for portion in portions.values():
        calendar_id = programme.calendar_id(portion.content.calendar)
        postings.claim(acquirer_id, portion.issuer_id, portion.fee(), TransferCode.INTERCHANGE, calendar_id)


def _allocation(place: int, part: Draw, accepted: dict[int, AcceptanceInForce]) -> AllocationRow:
    version = accepted[part.lot.lot_id].version
    return AllocationRow(
        part.lot.lot_id,
        place,
        part.face,
        part.principal,
        version.agreement_id if version else None,
        version.version if version else None,
    )
