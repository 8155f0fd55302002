"""The second hand: every lot, allocation, claim and fee computed again from what was asked, by SUMS.md alone.

`recompute` reads operations in journal order and says what each must have posted and what every participant's position
must be. Never looks at a stored transfer's amount, a stored allocation or a stored position.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from coalition.replay import recompute_benefits as benefits
from coalition.replay.agreed import FactsMissing
from coalition.replay.asked import ACCEPTED, Asked
from coalition.replay.declines import explain_decline
from coalition.replay.facts import Facts
from coalition.replay.fees import WindowFees
from coalition.replay.posting import Books, Entry, Line
from coalition.replay.sums import (
    ON_US,
    AcceptanceFacts,
    Allocation,
    Lot,
    Purchase,
    bonus_returned,
    bonus_shares,
    bonus_sold,
    entry_fees,
    give_back,
    half_even,
    months_later,
    returned_part,
    share_left,
    spend,
)

# Stands for the entry that should have been posted.
NOBODY = Asked(0, 0, "ASSESS", "", 0, 0, 0, "", 0, date.min)


def recompute(facts: Facts, books: Books) -> Iterator[tuple[int, dict[Line, int]]]:
    """Compute the journal again, entry by entry, into `books`: (entry, its lines), in journal order.

    Raises FactsMissing for an operation that cannot be computed.
    """
    fees = WindowFees(facts)
    for asked in facts.asked():
        if asked.reason != ACCEPTED:
            explain_decline(facts, books, asked)
            continue
        entry = Entry(books, facts, asked)
        match asked.kind:
            case "TOP_UP":
                _top_up(facts, books, entry, asked)
                fees.topped_up(asked)
            case "PURCHASE":
                _purchase(facts, books, entry, asked)
                benefits.earn(facts, books, entry, asked)
                fees.sold(asked)
            case "REFUND":
                purchase = _refund(facts, books, entry, asked)
                benefits.claw_back(facts, books, entry, asked, purchase.amount - purchase.returned)
                fees.given_back(asked, purchase.acquirer)
            case "ASSESS":
                _assess(books, entry, asked, fees)
            case _:
                _of_benefits(facts, books, entry, asked, fees)
        yield asked.entry, entry.lines
    yield from _forgotten(facts, books, fees)
    yield from benefits.not_valued(facts, books, NOBODY)


def _of_benefits(facts: Facts, books: Books, entry: Entry, asked: Asked, fees: WindowFees) -> None:
    """Points and passes, moved by themselves. A visit is a sale of what it is worth."""
    match asked.kind:
        case "POINTS_SPEND":
            benefits.spend_points(facts, books, entry, asked)
        case "POINTS_RETURN":
            benefits.return_points(facts, books, entry, asked)
        case "VALUATION":
            benefits.value_points(facts, books, entry, asked)
        case "PASS_SALE":
            benefits.sell_pass(facts, books, entry, asked)
        case "PASS_VISIT":
            worth = benefits.visit(facts, books, entry, asked)
            fees.sold(asked._replace(amount=worth))
        case "VISIT_RETURN":
            made = benefits.return_visit(facts, books, entry, asked)
            fees.given_back(asked._replace(amount=made.worth), made.acquirer)
        case "PASS_RETURN":
            benefits.pay_out(facts, books, entry, asked)
        case _:
            raise FactsMissing(f"entry {asked.entry}: a {asked.kind} cannot be computed again yet")


def _top_up(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    terms = facts.terms(asked)
    issuer = terms.issuer if not terms.issuer.startswith("chain:") else asked.told
    custodian = facts.custody if terms.operator_held else issuer
    principal, bonus = asked.amount, bonus_sold(terms, asked.amount)
    expires = bonus > 0 and terms.bonus_months is not None
    sponsor_share, part = share_left(terms, bonus, books.taken_on[asked.agreement])
    books.taken_on[asked.agreement] += part
    books.wallets[asked.wallet].append(
        Lot(
            lot=asked.entry,
            issuer=issuer,
            custodian=custodian,
            sponsor=terms.sponsor,
            sponsor_share=sponsor_share,
            calendar=terms.calendar,
            bonus_expiry=months_later(asked.business_date, terms.bonus_months or 0) if expires else None,
            face_sold=principal + bonus,
            principal_sold=principal,
            face=principal + bonus,
            principal=principal,
        )
    )
    entry.post(f"FLOAT({custodian},{issuer})", "WALLET", principal, "PRINCIPAL")
    entry.post(f"BONUS({issuer})", "WALLET", bonus, "BONUS")
    entry.claim(asked.participant, custodian, principal, "TOP_UP_CASH", terms.calendar)
    commission = half_even(principal, terms.seller_commission)
    entry.claim(issuer, asked.participant, commission, "SELLER_COMMISSION", terms.calendar)


def _purchase(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    acquirer, missing, allocations = asked.participant, asked.amount, []
    for lot, acceptance in _accepted_lots(facts, books, asked):
        face = min(missing, lot.face)
        if face:
            principal, _ = spend(lot, face)
            allocations.append(Allocation(lot, face, principal, acceptance))
            missing -= face
    if missing:
        raise FactsMissing(f"entry {asked.entry}: {missing} of {asked.amount} were not in wallet {asked.wallet}")
    for allocation in allocations:
        _draw_lines(entry, acquirer, allocation)
    for (_, _, issuer), (fee, acceptance, _) in _interchange(allocations).items():
        entry.claim(acquirer, issuer, fee, "INTERCHANGE", acceptance.calendar)
    acquiring = facts.acquiring(asked)
    purchase = Purchase(acquirer, facts.recruiters.get(asked.wallet, ""), asked.amount, acquiring, allocations)
    for payee, fee, code in _entry_fees(facts, purchase):
        entry.claim(acquirer, payee, fee, code, acquiring.calendar)
    books.purchases[asked.entry] = purchase


def _accepted_lots(facts: Facts, books: Books, asked: Asked) -> Iterator[tuple[Lot, AcceptanceFacts]]:
    """The wallet's lots in order of consumption, those that the acquirer takes."""
    for lot in sorted(books.wallets[asked.wallet], key=Lot.precedence):
        if acceptance := facts.taken(lot.issuer, asked):
            yield lot, acceptance


def _draw_lines(entry: Entry, acquirer: str, allocation: Allocation) -> None:
    """Value leaves the wallet; the custodian owes the principal, the bearers their shares of the bonus."""
    lot, calendar = allocation.lot, allocation.acceptance.calendar or allocation.lot.calendar
    entry.post("WALLET", f"FLOAT({lot.custodian},{lot.issuer})", allocation.principal, "PRINCIPAL")
    entry.post("WALLET", f"BONUS({lot.issuer})", allocation.bonus, "BONUS")
    entry.claim(lot.custodian, acquirer, allocation.principal, "PRINCIPAL", _of_principal(lot, calendar))
    shares = bonus_shares(allocation.bonus, allocation.acceptance.issuer_bonus_share, lot.sponsor_share)
    entry.claim(lot.issuer, acquirer, shares[0], "BONUS", calendar)
    entry.claim(lot.sponsor, acquirer, shares[1], "BONUS", calendar)


def _interchange(
    allocations: list[Allocation],
) -> dict[tuple[str, int, str], tuple[int, AcceptanceFacts, list[Allocation]]]:
    """The interchange of each (agreement, version, issuer) portion, rounded once; none on-us."""
    portions: dict[tuple[str, int, str], list[Allocation]] = defaultdict(list)
    for allocation in allocations:
        if allocation.acceptance is not ON_US:
            acceptance = allocation.acceptance
            portions[acceptance.agreement, acceptance.version, allocation.lot.issuer].append(allocation)
    fees = {}
    for key, portion in portions.items():
        acceptance = portion[0].acceptance
        base = sum(part.face if acceptance.interchange_on_gross else part.principal for part in portion)
        fees[key] = half_even(base, acceptance.interchange), acceptance, portion
    return fees


def _entry_fees(facts: Facts, purchase: Purchase) -> tuple[tuple[str, int, str], tuple[str, int, str]]:
    principal = sum(part.principal for part in purchase.allocations)
    return entry_fees(facts.operator, purchase.acquiring, purchase.recruiter, purchase.amount, principal)


def _refund(facts: Facts, books: Books, entry: Entry, asked: Asked) -> Purchase:
    """The purchase mirrored in proportion, under the agreements it was made by."""
    purchase = books.purchases.get(asked.original)
    if purchase is None:
        raise FactsMissing(f"entry {asked.entry} refunds {asked.original}, which is no purchase of the export")
    before = {
        id(part): (part.returned_face, part.returned_face - part.returned_principal) for part in purchase.allocations
    }
    for part, principal, bonus in give_back(purchase.allocations, asked.amount):
        lot, calendar = part.lot, part.acceptance.calendar or part.lot.calendar
        entry.post(f"FLOAT({lot.custodian},{lot.issuer})", "WALLET", principal, "PRINCIPAL")
        entry.post(f"BONUS({lot.issuer})", "WALLET", bonus, "BONUS")
        entry.claim(purchase.acquirer, lot.custodian, principal, "PRINCIPAL", _of_principal(lot, calendar))
        issuer, sponsor = bonus_returned(part, before[id(part)][1])
        entry.claim(purchase.acquirer, lot.issuer, issuer, "BONUS", calendar)
        entry.claim(purchase.acquirer, lot.sponsor, sponsor, "BONUS", calendar)
    for (_, _, issuer_code), (fee, acceptance, portion) in _interchange(purchase.allocations).items():
        if acceptance.fees_return:
            whole = sum(part.face for part in portion)
            then = sum(before[id(part)][0] for part in portion)
            back = returned_part(fee, then, sum(part.returned_face for part in portion), whole)
            entry.claim(issuer_code, purchase.acquirer, back, "INTERCHANGE", acceptance.calendar)
    after = purchase.returned + asked.amount
    if purchase.acquiring.fees_return:
        for payee, fee, code in _entry_fees(facts, purchase):
            back = returned_part(fee, purchase.returned, after, purchase.amount)
            entry.claim(payee, purchase.acquirer, back, code, purchase.acquiring.calendar)
    purchase.returned = after
    return purchase


def _assess(books: Books, entry: Entry, asked: Asked, fees: WindowFees) -> None:
    """The fees of the window that the assessment names, once; it comes behind the window's cut and belongs to it."""
    calendar, _, label = asked.told.partition("/")
    if not label or (calendar, label) in books.assessed:
        return
    books.assessed.add((calendar, label))
    for payer, payee, fee in fees.owed(calendar, label):
        books.fees += 1
        entry.claim(payer, payee, fee, "WINDOW_FEE", calendar, label)


def _forgotten(facts: Facts, books: Books, fees: WindowFees) -> Iterator[tuple[int, dict[Line, int]]]:
    """Fees of closed windows that nobody posted, as lines of an entry that is not there (number 0)."""
    for calendar in sorted(facts.fee_calendars):
        for _, label in facts.cuts.get(calendar, []):
            if (calendar, label) not in books.assessed:
                nowhere = Entry(books, facts, NOBODY)
                for payer, payee, fee in fees.owed(calendar, label):
                    nowhere.claim(payer, payee, fee, "WINDOW_FEE", calendar, label)
                if nowhere.lines:
                    yield NOBODY.entry, nowhere.lines


def _of_principal(lot: Lot, calendar: str) -> str:
    """Claims of principal that custody holds go by the terms' calendar."""
    return lot.calendar if lot.custodian != lot.issuer else calendar
