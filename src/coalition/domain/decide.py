"""Every decision of the desk. Pure: no I/O, no clock, no randomness.

`decide` looks at a command and the books and returns a `Decision`; nothing is changed until `Decision.apply`. A decline
is raised as Refused. Precedence: who asks, the card, its state, its wallet, the terms or agreements, then the balance.
"""

from coalition.domain.bonus_expiry import decide_bonus_expiry
from coalition.domain.books import Books
from coalition.domain.cash_out import decide_cash_out
from coalition.domain.commands import (
    BonusExpiry,
    Capture,
    CashOut,
    Command,
    Hold,
    Purchase,
    Refund,
    TopUp,
    TopUpReversal,
)
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.hold import decide_capture, decide_hold
from coalition.domain.purchase import decide_purchase
from coalition.domain.reasons import Reason
from coalition.domain.refund import decide_refund
from coalition.domain.top_up import decide_top_up
from coalition.domain.top_up_reversal import decide_top_up_reversal


def decide(command: Command, books: Books, entry_id: int) -> Decision:
    """What `command` does to `books`. `entry_id` names the lot that a top-up opens.

    Raises Refused with a stored reason for a decline, NoOpenWindow when a claim's calendar has no open window.
    """
    if not books.programme.may_operate(command.participant_id, command.terminal_id):
        raise Refused(Reason.SUSPENDED)
    match command:
        case Purchase():
            return decide_purchase(command, books)
        case TopUp():
            return decide_top_up(command, books, entry_id)
        case Refund():
            return decide_refund(command, books)
        case Hold():
            return decide_hold(command, books)
        case Capture():
            return decide_capture(command, books)
        case CashOut():
            return decide_cash_out(command, books)
        case TopUpReversal():
            return decide_top_up_reversal(command, books)
        case BonusExpiry():
            return decide_bonus_expiry(command, books)
    raise LedgerBroken(f"no rule decides a {type(command).__name__}")
