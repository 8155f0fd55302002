"""A hold keeps parts of lots aside for one merchant; a capture spends of them, releases the rest (SUMS section 3)."""

from coalition.domain.books import Books, HeldValue, Reservation
from coalition.domain.commands import Capture, Hold
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.lots import Draw, principal_of_spend
from coalition.domain.postings import Postings
from coalition.domain.purchase import Accepted, acquiring_in_force, draw_here, spend
from coalition.domain.reasons import Reason
from coalition.domain.top_up_reversal import take_reversed


def decide_hold(command: Hold, books: Books) -> Decision:
    """Reserve what a purchase would draw now; nothing is posted and nothing split before the capture."""
    card, wallet = books.card_and_wallet(command.token)
    acquiring_in_force(books, command.participant_id)
    draws, _ = draw_here(books, wallet, command.participant_id, command.amount_minor)
    return Decision(
        wallet=wallet,
        amount_minor=command.amount_minor,
        principal_minor=0,
        bonus_minor=0,
        balance_change=0,
        transfers=[],
        last_four=card.last_four,
        card_id=card.card_id,
        reserves=[Reservation(part.lot, part.face) for part in draws],
    )


def decide_capture(command: Capture, books: Books) -> Decision:
    """Spend of the reservations in their order, under today's agreements; the rest is released. Once, never above."""
    hold = books.holds.get(command.hold_entry_id)
    if hold is None or hold.participant_id != command.participant_id:
        raise Refused(Reason.HOLD_UNKNOWN)
    if not hold.is_open:
        raise Refused(Reason.HOLD_RESOLVED)
    if command.amount_minor > hold.amount_minor:
        raise Refused(Reason.CAPTURE_EXCEEDS_HOLD, metadata={"hold_minor": str(hold.amount_minor)})
    acquiring = acquiring_in_force(books, command.participant_id)
    draws = _draw_reserved(hold, command.amount_minor)
    accepted: Accepted = {}
    for part in draws:
        held = books.programme.acceptance(part.lot.issuer_id, command.participant_id, books.business_date)
        if held is None:
            raise Refused(Reason.NOT_ACCEPTED_HERE)
        accepted[part.lot.lot_id] = held
    decision = spend(books, hold.wallet, command.participant_id, acquiring, draws, accepted)
    _take_released(decision, books, hold, draws)
    decision.last_four = hold.last_four
    decision.card_id = hold.card_id
    decision.captures = hold
    return decision


def _draw_reserved(hold: HeldValue, amount: int) -> list[Draw]:
    draws = []
    for lot, reserved in hold.reservations:
        face = min(amount, reserved)
        if face:
            draws.append(Draw(lot, face, principal_of_spend(lot, face)))
            amount -= face
    return draws


def _take_released(decision: Decision, books: Books, hold: HeldValue, draws: list[Draw]) -> None:
    """What is released to a lot that was reversed meanwhile is taken in the same entry."""
    drawn = {part.lot.lot_id: part for part in draws}
    postings = Postings(books.windows)
    for lot, reserved in hold.reservations:
        captured = drawn.get(lot.lot_id, Draw(lot, 0, 0))
        face = reserved - captured.face
        if lot.is_reversed and face:
            principal = principal_of_spend(lot, reserved) - captured.principal
            take_reversed(postings, books.programme, lot, face, principal)
            decision.changes.append((lot, -face, -principal))
            decision.balance_change -= face
    decision.transfers += postings.transfers()
