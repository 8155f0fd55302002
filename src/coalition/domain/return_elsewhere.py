"""A return at another participant's store: the purchase is mirrored where it was made (SUMS section 3).

The participant that sold the goods agrees to it in its acquiring agreement (`returns_at`), in the version that the
purchase was made under. Where the goods stay with the one that takes them back, it pays the seller their price.
"""

from coalition.domain.accounts import AccountKind, TransferCode, kind_of, parties_of
from coalition.domain.agreements import Acquiring
from coalition.domain.books import Books, Original
from coalition.domain.commands import Goods, Refund
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.journal import Transfer
from coalition.domain.postings import Postings
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason


def check_return_elsewhere(command: Refund, original: Original, programme: Programme) -> None:
    """Raise Refused(ORIGINAL_OF_OTHER_PARTICIPANT) unless it is asked for as such, and its seller has agreed to it."""
    here = programme.participants[command.participant_id].parties
    if command.goods is Goods.OWN or not any(party in _acquiring(original, programme).returns_at for party in here):
        raise Refused(Reason.ORIGINAL_OF_OTHER_PARTICIPANT)


def price_of_goods(taker_id: int, original: Original, mirrored: list[Transfer], books: Books) -> list[Transfer]:
    """`C2=>C1`: what the seller C1 gives back by the mirrored transfers, less the fees that it gets back.

    `taker_id` is C2, where the goods came back.

    So C1 stands as it stood after the sale, and C2 has bought the goods for what C1 had earned by them.
    """
    seller_id = books.programme.standing_for(original.participant_id)
    owed = 0
    for leg in mirrored:
        if kind_of(leg.debit) is AccountKind.CLEARING:
            owed += leg.amount_minor * (parties_of(leg.debit)[0] == seller_id)
            owed -= leg.amount_minor * (parties_of(leg.credit)[0] == seller_id)
    postings = Postings(books.windows, books.programme.successors)
    calendar_id = books.programme.calendar_id(_acquiring(original, books.programme).calendar)
    postings.claim(taker_id, seller_id, max(owed, 0), TransferCode.RETURNED_GOODS, calendar_id)
    return postings.transfers()


def _acquiring(original: Original, programme: Programme) -> Acquiring:
    """The seller's agreement, as it was when the goods were sold."""
    if original.agreement_id is None or original.agreement_version is None:
        raise LedgerBroken(f"purchase {original.entry_id} names no acquiring agreement")
    content = programme.version(original.agreement_id, original.agreement_version).content
    if not isinstance(content, Acquiring):
        raise LedgerBroken(f"purchase {original.entry_id} was not made under an acquiring agreement")
    return content
