"""A hold keeps parts of lots aside for one merchant until it is captured, voided, reversed or expires (SUMS section 3).

Each hold ends once. Its time ends it for the merchant at once, whether or not the job that writes the expiry has run.
"""

from datetime import timedelta

from coalition.domain.books import Books, HeldValue, Reservation
from coalition.domain.commands import Capture, FollowUp, Hold, HoldExpiry, Void
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.limits import check_spend, facts_of, tier_of
from coalition.domain.lots import Draw, principal_of_spend
from coalition.domain.pin_rule import check_pin
from coalition.domain.postings import Postings
from coalition.domain.purchase import Accepted, acquiring_in_force, draw_here, spend
from coalition.domain.reasons import Reason
from coalition.domain.top_up_reversal import take_reversed


def decide_hold(command: Hold, books: Books) -> Decision:
    """Reserve what a purchase would draw now; nothing is posted and nothing split before the capture.

    The journal keeps the reservations as the entry's allocations, of no principal: they are faces, in their order.
    """
    card, wallet = books.card_and_wallet(command)
    check_pin(command, card, wallet, books)
    acquiring_in_force(books, command.participant_id)
    tier = tier_of(card, with_pin=command.pin is not None)
    check_spend(books, wallet, card, command.amount_minor, tier)
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
        hold_expire_time=books.time + timedelta(seconds=command.hold_seconds),
        allocations=[
            AllocationRow(part.lot.lot_id, place, part.face, 0, None, None) for place, part in enumerate(draws)
        ],
        facts=facts_of(tier),
    )


def decide_capture(command: Capture, books: Books) -> Decision:
    """Spend of the reservations in their order, under today's agreements; the rest is released. Once, never above."""
    hold = _open_hold(command, books)
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
    decision.original = books.original_of(command)
    decision.resolves = hold
    return decision


def decide_void(command: Void, books: Books) -> Decision:
    """Release the hold whole."""
    return release(_open_hold(command, books), command, books)


def decide_hold_expiry(command: HoldExpiry, books: Books) -> Decision:
    """Release a hold whose time is over. Raises LedgerBroken before: its request id is not to be used up."""
    hold = _named_hold(command, books)
    if not hold.is_open:
        raise Refused(Reason.HOLD_RESOLVED)
    if books.time < hold.expire_time:
        raise LedgerBroken(f"hold {hold.entry_id} has time until {hold.expire_time.isoformat()}")
    return release(hold, command, books)


def release(hold: HeldValue, command: FollowUp, books: Books) -> Decision:
    """End a hold without spending of it. The amount of the decision is what was reserved."""
    decision = Decision(
        wallet=hold.wallet,
        amount_minor=hold.amount_minor,
        principal_minor=0,
        bonus_minor=0,
        balance_change=0,
        transfers=[],
        last_four=hold.last_four,
        card_id=hold.card_id,
        original=books.original_of(command),
        resolves=hold,
    )
    _take_released(decision, books, hold, [])
    return decision


def _open_hold(command: Capture | Void, books: Books) -> HeldValue:
    """The hold a merchant names: its own, not ended, its time not over."""
    hold = _named_hold(command, books)
    if hold.participant_id != command.participant_id:
        raise Refused(Reason.HOLD_UNKNOWN)
    if not hold.is_open or books.time >= hold.expire_time:
        raise Refused(Reason.HOLD_RESOLVED)
    return hold


def _named_hold(command: FollowUp, books: Books) -> HeldValue:
    original = books.original_of(command)
    hold = books.holds.get(original.entry_id) if original else None
    if hold is None:
        raise Refused(Reason.HOLD_UNKNOWN)
    return hold


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
    postings = Postings(books.windows, books.programme.successors)
    for lot, reserved in hold.reservations:
        captured = drawn.get(lot.lot_id, Draw(lot, 0, 0))
        face = reserved - captured.face
        if lot.is_reversed and face:
            principal = principal_of_spend(lot, reserved) - captured.principal
            take_reversed(postings, books.programme, lot, face, principal)
            decision.changes.append((lot, -face, -principal))
            decision.balance_change -= face
    decision.transfers += postings.transfers()
