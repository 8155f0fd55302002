"""An opening lot: value that a member already held in another system enters the wallet (docs/decisions/0019)."""

from coalition.domain.accounts import WALLET, TransferCode, bonus_account, float_account
from coalition.domain.agreements import Terms
from coalition.domain.books import Books
from coalition.domain.commands import Command, OpenLot
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.lots import Lot
from coalition.domain.postings import Postings
from coalition.domain.reasons import Reason


class Opened(Decision):
    """Its lot is opened by this entry, which is no top-up."""

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """See Decision.apply."""
        super().apply(books, command, entry_id)
        books.opened.add(entry_id)


def decide_opening(command: OpenLot, books: Books, entry_id: int) -> Decision:
    """As a top-up whose cash the issuer has taken, long ago: `FLOAT -> WALLET` and `BONUS -> WALLET` what is told.

    Custody's principal is owed by the issuer, `A => T`. The terms say what the lot is under from now on; they do not
    judge it: neither tiers, minimum and limits nor the commission of a seller, because nothing is sold.
    Refused: WALLET_CLOSED, TERMS_UNKNOWN, SUSPENDED (the issuer), LOT_NOT_OPEN (its bonus has expired).
    """
    programme, day = books.programme, books.business_date
    wallet = books.wallets[command.wallet_id]
    if wallet.state != "OPEN":
        raise Refused(Reason.WALLET_CLOSED)
    version = programme.terms_of(command.issuer_id, command.terms_code, day)
    if version is None or not isinstance(version.content, Terms):
        raise Refused(Reason.TERMS_UNKNOWN)
    issuer = programme.participants[command.issuer_id]
    if not issuer.is_active:
        raise Refused(Reason.SUSPENDED)
    principal, bonus, terms = command.amount_minor, command.bonus_minor, version.content
    is_held_by_custody = command.custody == "OPERATOR_HELD" or (
        command.custody is None and terms.custody == "OPERATOR_HELD"
    )
    lot = Lot(
        lane=wallet.lane,
        lot_id=entry_id,
        wallet_id=wallet.wallet_id,
        issuer_id=issuer.participant_id,
        custodian_id=programme.scheme.custody_id if is_held_by_custody else issuer.participant_id,
        seller_id=issuer.participant_id,
        terms_id=version.agreement_id,
        terms_version=version.version,
        bonus_expiry=command.bonus_expiry if bonus else None,
        face_sold=principal + bonus,
        principal_sold=principal,
        face=principal + bonus,
        principal=principal,
    )
    if lot.bonus_expired(day):
        raise Refused(Reason.LOT_NOT_OPEN)
    postings = Postings(books.windows, books.programme.successors)
    postings.post(float_account(lot.custodian_id, lot.issuer_id), WALLET, principal, TransferCode.PRINCIPAL)
    postings.post(bonus_account(lot.issuer_id), WALLET, bonus, TransferCode.BONUS)
    calendar_id = programme.calendar_id(terms.calendar)
    postings.claim(lot.issuer_id, lot.custodian_id, principal, TransferCode.TOP_UP_CASH, calendar_id)
    return Opened(
        wallet=wallet,
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=bonus,
        balance_change=lot.face,
        transfers=postings.transfers(),
        last_four="",
        opens=lot,
        agreement_id=version.agreement_id,
        agreement_version=version.version,
    )
