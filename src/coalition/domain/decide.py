"""Every decision of the desk. Pure: no I/O, no clock, no randomness.

`decide` looks at a command and the books and returns a `Decision`; nothing is changed until `Decision.apply`. A decline
is raised as Refused. Precedence: who asks, the day's limit, the sale's reference, the card, its state, its wallet, its
payment code, the PIN, the terms or agreements, limits, then the balance.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from coalition.domain.bonus_expiry import decide_bonus_expiry
from coalition.domain.books import Books
from coalition.domain.cash_out import decide_cash_out
from coalition.domain.commands import (
    BonusExpiry,
    Capture,
    CashOut,
    Command,
    ConvertPoints,
    Hold,
    HoldExpiry,
    MergeIn,
    MergeOut,
    OpenLot,
    PointsExpiry,
    Purchase,
    Refund,
    RepayPoints,
    Resolve,
    ReturnPass,
    ReturnPoints,
    ReturnVisit,
    Reverse,
    SellPass,
    SpendPoints,
    TopUp,
    TopUpReturn,
    TopUpReversal,
    Upload,
    VisitPass,
    Void,
)
from coalition.domain.day_limits import FLOW_OF
from coalition.domain.decision import Decision
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.hold import decide_capture, decide_hold, decide_hold_expiry, decide_void
from coalition.domain.merge import decide_merge_in, decide_merge_out
from coalition.domain.opening import decide_opening
from coalition.domain.pass_rules import (
    decide_return_pass,
    decide_return_visit,
    decide_sell_pass,
    decide_visit,
)
from coalition.domain.points_conversion import decide_convert_points
from coalition.domain.points_repayment import decide_repay_points
from coalition.domain.points_rules import (
    add_points,
    decide_points_expiry,
    decide_return_points,
    decide_spend_points,
)
from coalition.domain.purchase import decide_purchase
from coalition.domain.reasons import Reason
from coalition.domain.refund import decide_refund
from coalition.domain.reversal import decide_reverse
from coalition.domain.top_up import decide_top_up
from coalition.domain.top_up_return import decide_top_up_return
from coalition.domain.top_up_reversal import decide_top_up_reversal
from coalition.domain.upload import decide_upload

Rule = Callable[[Any, Books], Decision]
Opening = Callable[[Any, Books, int], Decision]
"""A rule that names what it opens by the entry's id."""


def decide(command: Command, books: Books, entry_id: int) -> Decision:
    """What `command` does to `books`. `entry_id` names the lot that is opened.

    Raises Refused with a stored reason for a decline, NoOpenWindow when a claim's calendar has no open window.
    """
    decision = _decided(command, books, entry_id)
    if books.points is not None:
        add_points(decision, command, books, books.points)
    return decision


def _decided(command: Command, books: Books, entry_id: int) -> Decision:
    """What it does to money and passes."""
    if not books.programme.may_operate(command.participant_id, command.terminal_id) and not isinstance(
        command, Resolve
    ):
        raise Refused(Reason.SUSPENDED)
    flow = FLOW_OF.get(type(command))
    if flow is not None:
        full = books.programme.day_is_full(command.participant_id, command.terminal_id, flow, books.business_date)
        if full is not None:
            raise Refused(Reason.DAY_LIMIT_REACHED, metadata={"subject": full.name, "flow": flow.name})
    if command.sale_reference is not None and (sale := command.sale) is not None:
        books.sales.check_free(sale)
    rule = RULES.get(type(command))
    if rule is not None:
        return rule(command, books)
    opening = OPENINGS.get(type(command))
    if opening is None:
        raise LedgerBroken(f"no rule decides a {type(command).__name__}")
    return opening(command, books, entry_id)


def decide_resolve(_command: Resolve, _books: Books) -> Decision:
    """Asked only where nothing is stored under the request id: now something is, and nothing else ever will be."""
    raise Refused(Reason.KILLED)


RULES: Final[Mapping[type[Command], Rule]] = {
    Purchase: decide_purchase,
    Upload: decide_upload,
    Refund: decide_refund,
    Hold: decide_hold,
    Capture: decide_capture,
    Void: decide_void,
    Reverse: decide_reverse,
    Resolve: decide_resolve,
    HoldExpiry: decide_hold_expiry,
    CashOut: decide_cash_out,
    TopUpReversal: decide_top_up_reversal,
    TopUpReturn: decide_top_up_return,
    BonusExpiry: decide_bonus_expiry,
    MergeOut: decide_merge_out,
    VisitPass: decide_visit,
    ReturnVisit: decide_return_visit,
    ReturnPass: decide_return_pass,
    SpendPoints: decide_spend_points,
    RepayPoints: decide_repay_points,
    ReturnPoints: decide_return_points,
    PointsExpiry: decide_points_expiry,
}
OPENINGS: Final[Mapping[type[Command], Opening]] = {
    TopUp: decide_top_up,
    MergeIn: decide_merge_in,
    OpenLot: decide_opening,
    SellPass: decide_sell_pass,
    ConvertPoints: decide_convert_points,
}
