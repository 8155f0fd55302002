"""A bonus whose last day is over goes back to its issuer; principal never expires (SUMS section 3)."""

from coalition.domain.books import Books
from coalition.domain.commands import BonusExpiry
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import AllocationRow
from coalition.domain.postings import Postings
from coalition.domain.reasons import Reason


def decide_bonus_expiry(command: BonusExpiry, books: Books) -> Decision:
    """`WALLET -> BONUS`, no claim. Refused while a hold reserves part of the lot: ask again when it is resolved.

    Taking the bonus beside a reservation would make the capture split at another ratio than the lot was sold at, at the
    expense of the member's principal.
    """
    original = books.original_of(command)
    if original is None or original.wallet_id is None:
        raise Refused(Reason.ORIGINAL_UNKNOWN)
    wallet = books.wallets[original.wallet_id]
    # A lot has the id of the entry that opened it.
    lot = wallet.lots.get(original.entry_id)
    if lot is None or not lot.bonus or not lot.bonus_expired(books.business_date):
        raise Refused(Reason.LOT_NOT_OPEN)
    if lot.reserved:
        raise Refused(Reason.WALLET_HAS_HOLDS)
    bonus = lot.bonus
    postings = Postings(books.windows, books.programme.successors)
    postings.expire(lot, bonus)
    return Decision(
        wallet=wallet,
        amount_minor=bonus,
        principal_minor=0,
        bonus_minor=bonus,
        balance_change=-bonus,
        transfers=postings.transfers(),
        last_four="",
        changes=[(lot, -bonus, 0)],
        allocations=[AllocationRow(lot.lot_id, 0, bonus, 0, None, None)],
        original=original,
        agreement_id=lot.terms_id,
        agreement_version=lot.terms_version,
    )
