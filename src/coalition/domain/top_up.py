"""A top-up: a lot is sold, its bonus granted, and who took the cash owes the custodian (SUMS section 3)."""

from coalition.domain.accounts import WALLET, TransferCode, bonus_account, float_account
from coalition.domain.agreements import Terms
from coalition.domain.books import Books, Wallet
from coalition.domain.card_rules import CardRules
from coalition.domain.commands import Command, Funding, TopUp
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.lots import Lot
from coalition.domain.postings import Postings
from coalition.domain.reasons import Reason
from coalition.domain.sponsorship import is_held, own_part, take_on


def decide_top_up(command: TopUp, books: Books, entry_id: int) -> Decision:
    """Sell a lot: `FLOAT -> WALLET` what was paid, `BONUS -> WALLET` the bonus; the cash taker owes the custodian."""
    programme, day, seller_id = books.programme, books.business_date, command.participant_id
    card, wallet = books.card_and_wallet(command)
    version = programme.terms_of(command.issuer_id, command.terms_code, day)
    if version is None or not isinstance(version.content, Terms):
        raise Refused(Reason.TERMS_UNKNOWN)
    terms = version.content
    issuer = programme.participants[command.issuer_id]
    if not issuer.is_active:
        raise Refused(Reason.SUSPENDED)
    if not any(party in terms.sellers for party in programme.participants[seller_id].parties):
        raise Refused(Reason.TERMS_NOT_SOLD_HERE)
    principal = command.amount_minor
    if principal < terms.minimum_minor:
        raise Refused(Reason.TOP_UP_BELOW_MINIMUM, metadata={"minimum_minor": str(terms.minimum_minor)})
    has_ended = version.agreement_id in programme.without_bonus and not is_held(terms)
    bonus = 0 if has_ended else terms.bonus_for(principal)
    sponsored = own_part(terms, version.agreement_id, bonus, books.taken_on) if bonus else None
    face = principal + bonus
    rules = programme.card_rules(day)
    if rules is not None:
        check_funding(rules, wallet, terms.bonus_months, command.funding, principal, face)
    if terms.balance_limit_minor is not None and wallet.balance_minor + face > terms.balance_limit_minor:
        raise Refused(Reason.BALANCE_ABOVE_LIMIT, metadata={"balance_limit_minor": str(terms.balance_limit_minor)})
    custodian_id = programme.custodian(terms, issuer.participant_id)
    if seller_id in programme.stopped and custodian_id != seller_id:
        raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": programme.participants[seller_id].code})
    calendar_id = programme.calendar_id(terms.calendar)
    postings = Postings(books.windows, books.programme.successors)
    postings.post(float_account(custodian_id, issuer.participant_id), WALLET, principal, TransferCode.PRINCIPAL)
    postings.post(bonus_account(issuer.participant_id), WALLET, bonus, TransferCode.BONUS)
    postings.claim(seller_id, custodian_id, principal, TransferCode.TOP_UP_CASH, calendar_id)
    commission = terms.seller_commission.half_even(principal)
    postings.claim(issuer.participant_id, seller_id, commission, TransferCode.SELLER_COMMISSION, calendar_id)
    lot = Lot(
        lane=wallet.lane,
        lot_id=entry_id,
        wallet_id=wallet.wallet_id,
        issuer_id=issuer.participant_id,
        custodian_id=custodian_id,
        seller_id=seller_id,
        terms_id=version.agreement_id,
        terms_version=version.version,
        bonus_expiry=terms.bonus_expiry(day) if bonus else None,
        face_sold=face,
        principal_sold=principal,
        face=face,
        principal=principal,
        sponsored=sponsored,
    )
    make = HeldSale if is_held(terms) else Decision
    return make(
        wallet=wallet,
        amount_minor=principal,
        principal_minor=principal,
        bonus_minor=bonus,
        balance_change=face,
        transfers=postings.transfers(),
        last_four=card.last_four,
        card_id=card.card_id,
        opens=lot,
        agreement_id=version.agreement_id,
        agreement_version=version.version,
        facts=_facts(command, sponsored),
    )


class HeldSale(Decision):
    """A lot whose sponsor's limit is held: the batch's next sale finds so much less of it."""

    def apply(self, books: Books, command: Command, entry_id: int) -> None:
        """See Decision.apply."""
        super().apply(books, command, entry_id)
        lot = self.opens
        if lot is not None:
            take_on(books.programme.terms_sold(lot.terms_id, lot.terms_version), lot, books.taken_on)


def _facts(command: TopUp, sponsored: int | None) -> dict[str, str] | None:
    """How it was paid, if not in cash; the sponsor's part of the bonus, if it is less than the terms say."""
    facts = {} if command.funding is Funding.CASH else {"funding": command.funding.value}
    if sponsored is not None:
        facts["sponsored_minor"] = str(sponsored)
    return facts or None


def check_funding(
    rules: CardRules, wallet: Wallet, bonus_months: int | None, funding: Funding, principal: int, face: int
) -> None:
    """Raise Refused where the card rules of the scheme forbid this wallet to be sold `principal`, so paid.

    FUNDING_NOT_ALLOWED, REAL_NAME_REQUIRED (also where a bonus of `bonus_months` is too short-lived for a bearer, whom
    nobody can tell that it ends), BALANCE_ABOVE_LIMIT: `face` is what comes on top of the balance.
    """
    if funding is Funding.CREDIT_CARD and not rules.credit_funding_allowed:
        raise Refused(Reason.FUNDING_NOT_ALLOWED, metadata={"funding": funding.value})
    cash_below = rules.transfer_top_up_from_minor
    if funding is Funding.CASH and cash_below is not None and principal >= cash_below:
        raise Refused(
            Reason.FUNDING_NOT_ALLOWED, metadata={"funding": funding.value, "cash_below_minor": str(cash_below)}
        )
    if not wallet.is_named:
        _check_bearer(rules, bonus_months, principal)
    limit = rules.named_balance_limit_minor if wallet.is_named else rules.bearer_balance_limit_minor
    if limit is not None and wallet.balance_minor + face > limit:
        raise Refused(Reason.BALANCE_ABOVE_LIMIT, metadata={"balance_limit_minor": str(limit)})


def _check_bearer(rules: CardRules, bonus_months: int | None, principal: int) -> None:
    bearer_below = rules.real_name_top_up_from_minor
    if bearer_below is not None and principal >= bearer_below:
        raise Refused(Reason.REAL_NAME_REQUIRED, metadata={"bearer_below_minor": str(bearer_below)})
    months = rules.bearer_bonus_months_min
    if months is not None and bonus_months is not None and bonus_months < months:
        raise Refused(Reason.REAL_NAME_REQUIRED, metadata={"bonus_months_min": str(months)})
