"""What is decided of points: earned and clawed back in the entry that caused it, spent, returned (SUMS section 5).

Claims in points are told in the unit of the version they were made under, and become money when the window is netted.
"""

from collections.abc import Mapping
from typing import Final

from coalition.domain.accounts import (
    POINTS_HELD,
    TransferCode,
    clearing_account,
    points_account,
    points_unit,
)
from coalition.domain.agreements import Version
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.commands import Capture, Command, PointsExpiry, Purchase, ReturnPoints, SpendPoints, Upload
from coalition.domain.decision import Decision
from coalition.domain.errors import NoOpenWindow, Refused
from coalition.domain.journal import NO_FACTS, Transfer
from coalition.domain.kinds import Kind
from coalition.domain.limits import check_own_limits
from coalition.domain.pin_rule import check_pin
from coalition.domain.points import PointsBook, PointsChange
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.reasons import Reason

EARNS: Final = (Purchase, Capture, Upload)
EARNED: Final = frozenset(command.kind for command in EARNS)
POINTS: Final = TransferCode.POINTS


def add_points(decision: Decision, command: Command, books: Books, book: PointsBook) -> None:
    """Put the points of an accepted command into its decision: what a sale earns, what giving it back takes again.

    Nothing of it declines a sale. Raises NoOpenWindow.
    """
    wallet, original = decision.wallet, decision.original
    if wallet is None:
        return
    if isinstance(command, EARNS):
        agreed = books.programme.points_earned_at(command.participant_id, books.business_date)
        if agreed is not None:
            _earn(decision, wallet, command.participant_id, *agreed, books, book)
    elif (
        original is not None and decision.points is None and original.kind in EARNED and original.entry_id in book.moves
    ):
        _claw_back(decision, wallet, original, books, book)


def _earn(
    decision: Decision,
    wallet: Wallet,
    acquirer_id: int,
    version: Version,
    content: PointsProgramme,
    books: Books,
    book: PointsBook,
) -> None:
    """`POINTS(E)->POINTS n`; where the acquirer bears them, it owes E what they are worth."""
    points = content.earned(decision.amount_minor)
    if not points:
        return
    debtor_id = debtor_of(books, content)
    unit = books.programme.points_unit(version.agreement_id)
    legs = [Transfer(points_account(debtor_id), POINTS_HELD, points, POINTS, unit=points_unit(unit))]
    if content.borne_by == "ACQUIRER":
        legs += claim_in_points(books, (acquirer_id, debtor_id), points, version, content)
    last_day = content.last_day(books.business_date)
    change = PointsChange(version.agreement_id, version.version, points, last_day=last_day)
    put_points(decision, wallet, change, legs, version, book)


def _claw_back(decision: Decision, wallet: Wallet, original: Original, books: Books, book: PointsBook) -> None:
    """What the rule of the sale's own version gives for what is left of it is kept, the rest goes; once.

    Of those that have ended already the member loses none a second time; who paid for them is paid back all the same.
    The member may have spent them: then the points fall below zero, and what is earned next fills that up.
    """
    move = book.moves[original.entry_id]
    version, content = books.programme.points_version(move.programme_id, move.version)
    left = original.amount_minor - original.returned - decision.amount_minor
    points = move.points - content.earned(left) - move.given_back
    if points <= 0:
        return
    debtor_id = debtor_of(books, content)
    unit = books.programme.points_unit(version.agreement_id)
    taken = points - move.ended_of(points)
    legs = [Transfer(POINTS_HELD, points_account(debtor_id), taken, POINTS, unit=points_unit(unit))] if taken else []
    if content.borne_by == "ACQUIRER":
        legs += claim_in_points(books, (debtor_id, original.participant_id), points, version, content)
    change = PointsChange(version.agreement_id, version.version, -taken, original.entry_id, points)
    put_points(decision, wallet, change, legs, version, book)


def decide_spend_points(command: SpendPoints, books: Books) -> Decision:
    """`POINTS->POINTS(E) n`, and `E=>C n`: the merchant is paid what they are worth. They earn no points.

    Refused besides what stands in a card's way: POINTS_PROGRAMME_UNKNOWN, POINTS_TOO_FEW.
    """
    card, wallet = books.card_and_wallet(command)
    version, content = books.programme.points_honoured_at(
        command.participant_id, command.programme_code, books.business_date
    )
    worth = content.value.half_even(command.points)
    check_pin(command, card, wallet, books, worth)
    check_own_limits(card, "POINTS")
    book = books.points_book()
    held = book.spendable(wallet.wallet_id, version.agreement_id, books.business_date)
    if command.points > held:
        raise Refused(Reason.POINTS_TOO_FEW, metadata={"points": str(held)})
    debtor_id = debtor_of(books, content)
    unit = books.programme.points_unit(version.agreement_id)
    legs = [
        Transfer(POINTS_HELD, points_account(debtor_id), command.points, POINTS, unit=points_unit(unit)),
        *claim_in_points(books, (debtor_id, command.participant_id), command.points, version, content),
    ]
    decision = points_decision(wallet, card.last_four, version, None)
    decision.card_id = card.card_id
    change = PointsChange(version.agreement_id, version.version, -command.points)
    put_points(decision, wallet, change, legs, version, book, worth)
    return decision


def decide_return_points(command: ReturnPoints, books: Books) -> Decision:
    """Give points that were spent back, at most what is left of them: the mirror, under the version they were spent."""
    original = books.original_of(command)
    if original is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    if original.kind is not Kind.POINTS_SPEND or original.reason is not Reason.ACCEPTED:
        raise Refused(Reason.ORIGINAL_NOT_REFUNDABLE)
    if command.participant_id not in {original.participant_id, books.programme.standing_for(original.participant_id)}:
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)
    left = books.points_book().moves[original.entry_id].left
    points = command.points or left
    if points > left or not left:
        raise Refused(Reason.REFUND_EXCEEDS_ORIGINAL, metadata={"points": str(left)})
    return give_points_back(original, points, books)


def give_points_back(original: Original, points: int, books: Books) -> Decision:
    """The mirror of an accepted spend of points, of at most what is left of it."""
    book = books.points_book()
    move = book.moves[original.entry_id]
    version, content = books.programme.points_version(move.programme_id, move.version)
    wallet = books.wallets[original.wallet_id or 0]
    debtor_id = debtor_of(books, content)
    unit = books.programme.points_unit(version.agreement_id)
    legs = [
        Transfer(points_account(debtor_id), POINTS_HELD, points, POINTS, unit=points_unit(unit)),
        *claim_in_points(books, (original.participant_id, debtor_id), points, version, content),
    ]
    decision = points_decision(wallet, original.last_four, version, original)
    change = PointsChange(version.agreement_id, version.version, points, original.entry_id, points)
    put_points(decision, wallet, change, legs, version, book, content.value.half_even(points))
    return decision


def reverse_of_points(original: Original, books: Books) -> Decision | None:
    """What a reversal undoes of a spend of points; None where nothing is left of it."""
    left = books.points_book().moves[original.entry_id].left
    return give_points_back(original, left, books) if left else None


def decide_points_expiry(command: PointsExpiry, books: Books) -> Decision:
    """`POINTS->POINTS(E) n`, no claim: what has ended is owed no more. Refused(LOT_NOT_OPEN) where nothing has."""
    original = books.original_of(command)
    move = books.points_book().moves.get(original.entry_id) if original is not None else None
    if original is None or original.wallet_id is None or move is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    points = move.there
    if not points or not move.has_ended(books.business_date):
        raise Refused(Reason.LOT_NOT_OPEN)
    version, content = books.programme.points_version(move.programme_id, move.version)
    unit = points_unit(books.programme.points_unit(version.agreement_id))
    legs = [Transfer(POINTS_HELD, points_account(debtor_of(books, content)), points, POINTS, unit=unit)]
    wallet = books.wallets[original.wallet_id]
    decision = points_decision(wallet, "", version, original)
    change = PointsChange(version.agreement_id, version.version, -points, original.entry_id, ends=True)
    put_points(decision, wallet, change, legs, version, books.points_book())
    return decision


def points_decision(wallet: Wallet, last_four: str, version: Version, original: Original | None) -> Decision:
    """A decision that moves points and no money."""
    return Decision(
        wallet=wallet,
        amount_minor=0,
        principal_minor=0,
        bonus_minor=0,
        balance_change=0,
        transfers=[],
        last_four=last_four,
        original=original,
        agreement_id=version.agreement_id,
        agreement_version=version.version,
    )


def debtor_of(books: Books, content: PointsProgramme) -> int:
    """Who owes the points today."""
    return books.programme.standing_for(books.programme.participant_by_code[content.debtor].participant_id)


def claim_in_points(
    books: Books,
    parties: tuple[int, int],
    points: int,
    version: Version,
    content: PointsProgramme,
    code: TransferCode = POINTS,
) -> list[Transfer]:
    """`D=>C n`, in the unit of the version; nothing of a party to itself. Raises NoOpenWindow."""
    debtor, creditor = map(books.programme.standing_for, parties)
    if debtor == creditor:
        return []
    calendar_id = books.programme.calendar_id(content.calendar)
    window = books.windows.get(calendar_id)
    if window is None:
        raise NoOpenWindow(calendar_id)
    unit = points_unit(books.programme.unit_of(version))
    return [Transfer(clearing_account(debtor), clearing_account(creditor), points, code, window, unit)]


def put_points(
    decision: Decision,
    wallet: Wallet,
    change: PointsChange,
    legs: list[Transfer],
    version: Version,
    book: PointsBook,
    worth: int | None = None,
) -> None:
    """Into the decision: the legs, the change, and what the journal and the receipt say of it."""
    decision.points = change
    decision.transfers += legs
    decision.facts = {
        **(decision.facts or NO_FACTS),
        **_told(wallet, change, version, book),
        **({} if worth is None else {"points_worth_minor": str(worth)}),
    }


def _told(wallet: Wallet, change: PointsChange, version: Version, book: PointsBook) -> Mapping[str, str]:
    """By the programme's code and version: the history of a wallet's points can be told from the log alone."""
    after = book.of(wallet.wallet_id, change.programme_id) + change.points
    ends = {} if change.last_day is None else {"points_last_day": change.last_day.isoformat()}
    return {
        **ends,
        "points": str(change.points),
        "points_balance": str(after),
        "points_programme": version.code,
        "points_version": f"{version.agreement_id}/{version.version}",
    }
