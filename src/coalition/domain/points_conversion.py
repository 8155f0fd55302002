"""Points become value: a lot that their programme names, stored value or a voucher (SUMS section 5).

The lot is spent, refunded and ended as any. Pure: what a conversion posts, and what its reversal does.
"""

from coalition.domain.accounts import POINTS_HELD, TransferCode, points_account
from coalition.domain.accounts import points_unit as unit_numbered
from coalition.domain.agreements import Terms, Version
from coalition.domain.books import Books, Original, Wallet
from coalition.domain.calendars import months_later
from coalition.domain.commands import Command, ConvertPoints, Funding
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import AllocationRow, Transfer
from coalition.domain.limits import check_own_limits
from coalition.domain.lots import Lot
from coalition.domain.opening import Opened
from coalition.domain.pin_rule import check_pin
from coalition.domain.points import PointsChange
from coalition.domain.points_programme import Conversion, PointsProgramme
from coalition.domain.points_rules import debtor_of, put_points
from coalition.domain.postings import Postings
from coalition.domain.programme import Participant
from coalition.domain.reasons import Reason
from coalition.domain.sponsorship import is_held, own_part, take_on
from coalition.domain.top_up import check_funding

CONVERSION = TransferCode.POINTS_CONVERSION


class Converted(Opened):
    """A lot that points became; a voucher is bonus, of which a sponsor takes on its part."""

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """See Decision.apply."""
        super().apply(books, command, entry_id)
        lot = self.opens
        if lot is not None:
            take_on(books.programme.terms_sold(lot.terms_id, lot.terms_version), lot, books.taken_on)


def decide_convert_points(command: ConvertPoints, books: Books, entry_id: int) -> Decision:
    """`POINTS->POINTS(E) n`; stored value `FLOAT(k,A)->WALLET`, which E pays, `E=>k`; a voucher `BONUS(E)->WALLET`.

    Refused besides what stands in a card's way: POINTS_PROGRAMME_UNKNOWN, POINTS_NOT_CONVERTIBLE, POINTS_TOO_FEW,
    TERMS_UNKNOWN, TERMS_NOT_SOLD_HERE (the issuer lets the debtor sell nothing), SUSPENDED (the issuer),
    PARTICIPANT_CAPPED (the debtor), and what a top-up of so much would be refused for.
    """
    programme, day = books.programme, books.business_date
    card, wallet = books.card_and_wallet(command)
    version, content = programme.points_honoured_at(command.participant_id, command.programme_code, day)
    conversion = _agreed(content, command.points)
    worth = conversion.worth(command.points)
    check_pin(command, card, wallet, books, worth)
    check_own_limits(card, "POINTS")
    held = books.points_book().spendable(wallet.wallet_id, version.agreement_id, day)
    if command.points > held:
        raise Refused(Reason.POINTS_TOO_FEW, metadata={"points": str(held)})
    lot = _lot(command, wallet, conversion, debtor_of(books, content), books, entry_id)
    own = {} if lot.sponsored is None else {"sponsored_minor": str(lot.sponsored)}
    decision = Converted(
        wallet=wallet,
        amount_minor=worth,
        principal_minor=lot.principal,
        bonus_minor=lot.bonus,
        balance_change=worth,
        transfers=_value(lot, books, gives=True),
        last_four=card.last_four,
        card_id=card.card_id,
        opens=lot,
        agreement_id=version.agreement_id,
        agreement_version=version.version,
        facts={"terms": f"{lot.terms_id}/{lot.terms_version}", **own},
    )
    _put(decision, wallet, -command.points, version, content, books, None)
    return decision


def reverse_conversion(original: Original, books: Books) -> Decision | None:
    """The mirror, while nothing of its lot is spent, reserved or ended; None where it was reversed already.

    Raises Refused(LOT_TOUCHED): the purchases made with it are refunded first.
    """
    wallet = books.wallets[original.wallet_id or 0]
    lot = wallet.lots[original.entry_id]
    if lot.is_reversed:
        return None
    if lot.reserved or lot.face != lot.face_sold:
        left = {"sold_minor": str(lot.face_sold), "left_minor": str(lot.spendable)}
        raise Refused(Reason.LOT_TOUCHED, metadata=left)
    move = books.points_book().moves[original.entry_id]
    version, content = books.programme.points_version(move.programme_id, move.version)
    decision = Decision(
        wallet=wallet,
        amount_minor=lot.face,
        principal_minor=lot.principal,
        bonus_minor=lot.bonus,
        balance_change=-lot.face,
        transfers=_value(lot, books, gives=False),
        last_four=original.last_four,
        changes=[(lot, -lot.face, -lot.principal)],
        reverses=lot,
        allocations=[AllocationRow(lot.lot_id, 0, lot.face, lot.principal, None, None)],
        original=original,
        agreement_id=version.agreement_id,
        agreement_version=version.version,
    )
    _put(decision, wallet, move.points, version, content, books, original.entry_id)
    return decision


def _agreed(content: PointsProgramme, points: int) -> Conversion:
    """What these points may become. Raises Refused(POINTS_NOT_CONVERTIBLE), with how many would do where some would."""
    conversion = content.conversion
    if conversion is None:
        raise Refused(Reason.POINTS_NOT_CONVERTIBLE)
    if not conversion.takes(points):
        told = {"minimum_points": str(conversion.minimum_points), "step_points": str(conversion.step_points)}
        raise Refused(Reason.POINTS_NOT_CONVERTIBLE, metadata=told)
    return conversion


def _lot(
    command: ConvertPoints, wallet: Wallet, conversion: Conversion, debtor_id: int, books: Books, entry_id: int
) -> Lot:
    """The lot that is sold, or given, judged as a top-up that the debtor has paid by transfer would be."""
    programme, day = books.programme, books.business_date
    issuer = programme.participant_by_code[conversion.issuer]
    version, terms = _terms(issuer, conversion, debtor_id, books)
    worth, is_voucher = conversion.worth(command.points), conversion.voucher_months is not None
    principal = 0 if is_voucher else worth
    sponsored = own_part(terms, version.agreement_id, worth, books.taken_on) if is_voucher else None
    rules = programme.card_rules(day)
    if rules is not None:
        check_funding(rules, wallet, conversion.voucher_months, Funding.BANK_TRANSFER, principal, worth)
    if terms.balance_limit_minor is not None and wallet.balance_minor + worth > terms.balance_limit_minor:
        raise Refused(Reason.BALANCE_ABOVE_LIMIT, metadata={"balance_limit_minor": str(terms.balance_limit_minor)})
    custodian_id = programme.custodian(terms, issuer.participant_id)
    if principal and debtor_id in programme.stopped and custodian_id != debtor_id:
        raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": programme.participants[debtor_id].code})
    return Lot(
        lane=wallet.lane,
        lot_id=entry_id,
        wallet_id=wallet.wallet_id,
        issuer_id=issuer.participant_id,
        custodian_id=custodian_id,
        seller_id=debtor_id,
        terms_id=version.agreement_id,
        terms_version=version.version,
        bonus_expiry=None if conversion.voucher_months is None else months_later(day, conversion.voucher_months),
        face_sold=worth,
        principal_sold=principal,
        face=worth,
        principal=principal,
        sponsored=sponsored,
    )


def _terms(issuer: Participant, conversion: Conversion, debtor_id: int, books: Books) -> tuple[Version, Terms]:
    """What the issuer lets the debtor sell."""
    programme = books.programme
    version = programme.terms_of(issuer.participant_id, conversion.terms, books.business_date)
    if version is None or not isinstance(version.content, Terms):
        raise Refused(Reason.TERMS_UNKNOWN)
    if not issuer.is_active or issuer.participant_id in programme.successors:
        raise Refused(Reason.SUSPENDED)
    has_ended = version.agreement_id in programme.without_bonus and not is_held(version.content)
    if conversion.voucher_months is not None and has_ended:
        raise Refused(Reason.POINTS_NOT_CONVERTIBLE)  # whoever sponsors these terms has taken on all it agreed to
    if not any(party in version.content.sellers for party in programme.participants[debtor_id].parties):
        raise Refused(Reason.TERMS_NOT_SOLD_HERE)
    return version, version.content


def _value(lot: Lot, books: Books, *, gives: bool) -> list[Transfer]:
    """What the lot brings to the wallet, and what is paid for it; the other way where it is taken back, untouched."""
    programme = books.programme
    postings = Postings(books.windows, programme.successors)
    calendar_id = programme.calendar_id(programme.terms_sold(lot.terms_id, lot.terms_version).calendar)
    if gives:
        postings.restore(lot, lot.principal, lot.bonus)
        postings.claim(lot.seller_id, lot.custodian_id, lot.principal, CONVERSION, calendar_id)
    else:
        postings.spend(lot, lot.principal, lot.bonus)
        postings.claim(lot.custodian_id, lot.seller_id, lot.principal, CONVERSION, calendar_id)
    return postings.transfers()


def _put(
    decision: Decision,
    wallet: Wallet,
    points: int,
    version: Version,
    content: PointsProgramme,
    books: Books,
    of: int | None,
) -> None:
    """The points that go, below 0, or come back, above it."""
    unit = unit_numbered(books.programme.points_unit(version.agreement_id))
    owed, held = points_account(debtor_of(books, content)), POINTS_HELD
    sides = (held, owed) if points < 0 else (owed, held)
    leg = Transfer(*sides, abs(points), TransferCode.POINTS, unit=unit)
    change = PointsChange(version.agreement_id, version.version, points, of, max(points, 0))
    put_points(decision, wallet, change, [leg], version, books.points_book())
