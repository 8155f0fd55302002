"""The return of a top-up: within days of paying and untouched, the whole lot is undone (SUMS section 3).

Untouched means that nothing of the lot is spent, reserved or expired now. A purchase that was refunded in full has left
no trace: its refund is its exact inverse.
"""

from datetime import timedelta

from coalition.domain.books import Books
from coalition.domain.commands import TopUpReturn
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.domain.top_up_reversal import own_top_up, take_back_top_up


def decide_top_up_return(command: TopUpReturn, books: Books) -> Decision:
    """Take the whole lot; its custodian owes the principal to the seller, who pays it out, the commission returns.

    The days are those of the card rules that held when it was sold: what the member was promised then. Without a rule
    there is no last day.
    """
    original, lot = own_top_up(command, books)
    rules = books.programme.card_rules(original.business_date)
    if rules is not None and rules.return_days is not None:
        last_day = original.business_date + timedelta(days=rules.return_days)
        if books.business_date > last_day:
            raise Refused(Reason.RETURN_TOO_LATE, metadata={"last_day": last_day.isoformat()})
    if lot.reserved or lot.face != lot.face_sold:
        left = {"sold_minor": str(lot.face_sold), "left_minor": str(lot.spendable)}
        raise Refused(Reason.LOT_TOUCHED, metadata=left)
    return take_back_top_up(original, books, commission_back=True)
