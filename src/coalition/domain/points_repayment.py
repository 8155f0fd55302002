"""Points that a member owes of one programme are repaid with points of another, by a rate that both have agreed on.

Owed are points below zero: spent before the sale that had earned them was given back (SUMS section 5). Pure.
"""

from coalition.domain.accounts import POINTS_HELD, TransferCode, points_account
from coalition.domain.accounts import points_unit as unit_numbered
from coalition.domain.books import Books
from coalition.domain.commands import RepayPoints
from coalition.domain.decision import Decision
from coalition.domain.errors import Refused
from coalition.domain.journal import NO_FACTS, Transfer
from coalition.domain.limits import check_own_limits
from coalition.domain.pin_rule import check_pin
from coalition.domain.points import PointsChange
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.points_rules import claim_in_points, debtor_of, points_decision, put_points
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason


def decide_repay_points(command: RepayPoints, books: Books) -> Decision:
    """`POINTS->POINTS(E) m`, `POINTS(C)->POINTS n`, `E=>C m`: m points of E for n owed to C, rounded up.

    Refused besides what stands in a card's way: POINTS_PROGRAMME_UNKNOWN, POINTS_NOT_REPAYABLE (they have not agreed on
    it, nothing or less is owed), POINTS_TOO_FEW, PARTICIPANT_CAPPED.
    """
    programme, day = books.programme, books.business_date
    card, wallet = books.card_and_wallet(command)
    with_version, with_content = programme.points_honoured_at(command.participant_id, command.programme_code, day)
    owed_version, owed_content = programme.points_called(command.owed_code, day)
    rate = agreed_rate(with_version.code, with_content, owed_version.code, owed_content)
    if rate is None:
        raise Refused(Reason.POINTS_NOT_REPAYABLE)
    book = books.points_book()
    owed = max(-book.of(wallet.wallet_id, owed_version.agreement_id), 0)
    repaid = command.points or owed
    cost = rate.ceiling(repaid)
    worth = with_content.value.half_even(cost)
    check_pin(command, card, wallet, books, worth)
    check_own_limits(card, "POINTS")
    if not 0 < repaid <= owed:
        raise Refused(Reason.POINTS_NOT_REPAYABLE, metadata={"owed_points": str(owed)})
    held = book.spendable(wallet.wallet_id, with_version.agreement_id, day)
    if cost > held:
        raise Refused(Reason.POINTS_TOO_FEW, metadata={"points": str(held)})
    debtor_id, creditor_id = debtor_of(books, with_content), debtor_of(books, owed_content)
    if debtor_id in programme.stopped and debtor_id != creditor_id:
        code = programme.participants[debtor_id].code
        raise Refused(Reason.PARTICIPANT_CAPPED, metadata={"participant": code})
    decision = points_decision(wallet, card.last_four, with_version, None)
    decision.card_id = card.card_id
    parties = debtor_id, creditor_id
    units = programme.points_unit(with_version.agreement_id), programme.points_unit(owed_version.agreement_id)
    legs = [
        Transfer(POINTS_HELD, points_account(debtor_id), cost, TransferCode.POINTS, unit=unit_numbered(units[0])),
        Transfer(points_account(creditor_id), POINTS_HELD, repaid, TransferCode.POINTS, unit=unit_numbered(units[1])),
        *claim_in_points(books, parties, cost, with_version, with_content, TransferCode.POINTS_REPAYMENT),
    ]
    change = PointsChange(with_version.agreement_id, with_version.version, -cost)
    put_points(decision, wallet, change, legs, with_version, book, worth)
    decision.repays = PointsChange(owed_version.agreement_id, owed_version.version, repaid)
    decision.facts = {
        **(decision.facts or NO_FACTS),
        "repaid_points": str(repaid),
        "repaid_points_balance": str(repaid - owed),
        "repaid_points_programme": owed_version.code,
        "repaid_points_version": f"{owed_version.agreement_id}/{owed_version.version}",
    }
    return decision


def agreed_rate(code: str, content: PointsProgramme, owed_code: str, owed_content: PointsProgramme) -> Rate | None:
    """How many points of the one repay one of the other: where both name each other and say the same."""
    rates = {each.programme: each.rate for each in content.repays}
    agreed = {each.programme: each.rate for each in owed_content.repaid_with}
    return rates[owed_code] if owed_code in rates and rates[owed_code] == agreed.get(code) else None
