"""A reversal: an operation whose answer never came is undone, whatever became of it (SUMS section 3).

An accepted reversal means that the original has no effect now and never will have one.
"""

from collections.abc import Callable, Mapping
from typing import Final

from coalition.domain.books import Books, Original
from coalition.domain.commands import Reverse
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.hold import release
from coalition.domain.kinds import Kind
from coalition.domain.pass_rules import reverse_of_pass
from coalition.domain.points_conversion import reverse_conversion
from coalition.domain.points_rules import reverse_of_points
from coalition.domain.reasons import Reason
from coalition.domain.refund import REFUNDABLE, give_value_back
from coalition.domain.top_up_reversal import take_back_top_up

MIRRORS: Final[Mapping[Kind, Callable[[Original, Books], Decision | None]]] = {
    Kind.PASS_SALE: reverse_of_pass,
    Kind.PASS_VISIT: reverse_of_pass,
    Kind.POINTS_SPEND: reverse_of_points,
    Kind.POINTS_CONVERSION: reverse_conversion,
}
"""What is left of such an entry, undone; None where nothing is."""


def decide_reverse(command: Reverse, books: Books) -> Decision:
    """Mirror what is left of the original, its fees always; accepted with amount 0 where nothing is left.

    An unknown original must have been killed before (`Reverse.kills`). A refund, a void, a reversal and a hold that was
    captured are not undone: what they did is corrected by an operation of its own.
    """
    original = books.original_of(command)
    if command.original_request_id == command.request_id:
        raise Refused(Reason.ORIGINAL_NOT_REVERSIBLE)
    if original is None:
        raise LedgerBroken(f"the unknown original of reversal {command.request_id} was not killed first")
    if original.reason is not Reason.ACCEPTED:
        return _nothing_left(original, books)
    if original.kind in REFUNDABLE:
        left = original.amount_minor - original.returned
        return give_value_back(original, left, books, fees_always=True) if left else _nothing_left(original, books)
    if original.kind is Kind.TOP_UP and original.wallet_id is not None:
        lot = books.wallets[original.wallet_id].lots[original.entry_id]
        if lot.is_reversed:
            return _nothing_left(original, books)
        return take_back_top_up(original, books, commission_back=True)
    if (mirror := MIRRORS.get(original.kind)) is not None:
        return mirror(original, books) or _nothing_left(original, books)
    if original.kind is Kind.HOLD:
        hold = books.holds[original.entry_id]
        if hold.is_open:
            return release(hold, command, books)
        if hold.resolved_kind is not Kind.CAPTURE:
            return _nothing_left(original, books)
    raise Refused(Reason.ORIGINAL_NOT_REVERSIBLE)


def _nothing_left(original: Original, books: Books) -> Decision:
    """The original had no effect, or has none any more."""
    return Decision(
        wallet=books.wallets[original.wallet_id] if original.wallet_id is not None else None,
        amount_minor=0,
        principal_minor=0,
        bonus_minor=0,
        balance_change=0,
        transfers=[],
        last_four=original.last_four,
        original=original,
    )
