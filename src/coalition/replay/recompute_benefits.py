"""The second hand on points and passes: earned, taken back, spent, valued; sold, visited, returned, paid out.

By SUMS.md section 5 and decisions 0037 and 0038. What was asked in points and visits stands nowhere but in the answers,
so these counts are read there; everything that follows from them is computed, and what else an answer says of a
balance, a pass or a worth is held against it.
"""

from collections.abc import Iterator
from typing import Final

from coalition.replay.agreed import FactsMissing
from coalition.replay.asked import Asked
from coalition.replay.benefit_sums import Pass, PointsFacts, PointsMove, Visit, points_earned
from coalition.replay.facts import Facts
from coalition.replay.posting import VISITS, Books, Entry, Line, Window
from coalition.replay.sums import ON_US, AcceptanceFacts, entry_fees, half_even, months_later

POINTS: Final = "POINTS"
PASSES: Final = "PASS"
VALUE: Final = "POINTS_VALUE"


def earn(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    """What a sale earns, by the version that was in force when the journal took it; who sold pays if so agreed."""
    agreed = facts.points_at(asked)
    if agreed is None:
        entry.hold_against("points earned", asked.points, 0)
        return
    content = facts.points_version(agreed.code, agreed.version)
    points = points_earned(content.steps, asked.amount)
    entry.hold_against("points earned", asked.points, points)
    if not points:
        return
    unit = facts.unit(agreed.code, 1)
    entry.post(f"POINTS({content.debtor})", POINTS, points, POINTS, unit=unit)
    if content.by_acquirer:
        version_unit = facts.unit(agreed.code, agreed.version)
        entry.claim(asked.participant, content.debtor, points, POINTS, content.calendar, unit=version_unit)
    books.moves[asked.entry] = PointsMove(agreed.code, agreed.version, asked.participant, points)
    books.count["earned"] += points
    _move(books, entry, asked, agreed.code, points)


def claw_back(facts: Facts, books: Books, entry: Entry, asked: Asked, left: int) -> None:
    """Keep what the rule of the sale's own version gives for the `left` of it; the rest goes, spent or not."""
    move = books.moves.get(asked.original)
    content = facts.points_version(move.programme, move.version) if move else None
    points = move.points - points_earned(content.steps, left) - move.back if move and content else 0
    entry.hold_against("points taken back", -asked.points, max(points, 0))
    if move is None or content is None or points <= 0:
        return
    entry.post(POINTS, f"POINTS({content.debtor})", points, POINTS, unit=facts.unit(move.programme, 1))
    if content.by_acquirer:
        unit = facts.unit(move.programme, move.version)
        entry.claim(content.debtor, move.participant, points, POINTS, content.calendar, unit=unit)
    move.back += points
    books.count["taken back"] += points
    _move(books, entry, asked, move.programme, -points)


def spend_points(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    """Members' points go to their debtor, who owes the merchant what they are worth."""
    points, content = -asked.points, facts.points_version(asked.agreement, asked.version)
    entry.post(POINTS, f"POINTS({content.debtor})", points, POINTS, unit=facts.unit(asked.agreement, 1))
    unit = facts.unit(asked.agreement, asked.version)
    entry.claim(content.debtor, asked.participant, points, POINTS, content.calendar, unit=unit)
    held = books.points[asked.wallet, asked.agreement]
    if not 0 < points <= held:
        books.told.append(f"entry {asked.entry}: {points} points were spent of {held}")
    books.moves[asked.entry] = PointsMove(asked.agreement, asked.version, asked.participant, points)
    books.count["spent"] += points
    _spent(books, entry, asked, content, -points)


def return_points(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    """The mirror of a spend, under its version."""
    move = books.moves.get(asked.original)
    if move is None:
        raise FactsMissing(f"entry {asked.entry} returns {asked.original}, which is no spend of points of the export")
    points, content = asked.points, facts.points_version(move.programme, move.version)
    if not 0 < points <= move.points - move.back:
        books.told.append(f"entry {asked.entry}: {points} points came back of {move.points - move.back}")
    entry.post(f"POINTS({content.debtor})", POINTS, points, POINTS, unit=facts.unit(move.programme, 1))
    unit = facts.unit(move.programme, move.version)
    entry.claim(move.participant, content.debtor, points, POINTS, content.calendar, unit=unit)
    move.back += points
    books.count["returned"] += points
    _spent(books, entry, asked._replace(agreement=move.programme), content, points)


def value_points(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    """Every claim in points of the window that the valuation names becomes money, and is settled by it; once."""
    calendar, _, label = asked.told.partition("/")
    window = (calendar, label)
    if not label or window in books.valued:
        return
    books.valued.add(window)
    for (debtor, creditor, unit), points in sorted(books.owed_points[window].items()):
        amount = half_even(points, facts.worth_of(unit))
        entry.claim(debtor, creditor, amount, VALUE, calendar, label)
        entry.claim(creditor, debtor, points, VALUE, calendar, label, unit)
        books.count["valued"] += 1
        books.count["worth"] += amount


def not_valued(facts: Facts, books: Books, nobody: Asked) -> Iterator[tuple[int, dict[Line, int]]]:
    """Points of netted windows that nobody valued, as lines of an entry that is not there (number 0)."""
    for calendar, label in sorted(facts.netted_windows()):
        window: Window = (calendar, label)
        if window not in books.valued and books.owed_points.get(window):
            nowhere = Entry(books, facts, nobody)
            value_points(facts, books, nowhere, nobody._replace(told=f"{calendar}/{label}"))
            yield nobody.entry, nowhere.lines


def sell_pass(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    """Prepaid visits: the price into the pass, the visits owed by the issuer; who took the cash owes the custodian."""
    terms = facts.pass_terms(asked)
    issuer = asked.told if terms.issuer.startswith("chain:") else terms.issuer
    custodian = facts.custody if terms.operator_held else issuer
    last_day = None if terms.months is None else months_later(asked.business_date, terms.months)
    held = Pass(asked.entry, issuer, custodian, asked.participant, terms, last_day, terms.visits, terms.price)
    books.passes[asked.wallet].append(held)
    entry.post(f"FLOAT({custodian},{issuer})", PASSES, terms.price, PASSES)
    entry.post(f"PASS({issuer})", PASSES, terms.visits, PASSES, unit=VISITS)
    entry.claim(asked.participant, custodian, terms.price, "TOP_UP_CASH", terms.calendar)
    commission = half_even(terms.price, terms.seller_commission)
    entry.claim(issuer, asked.participant, commission, "SELLER_COMMISSION", terms.calendar)
    books.count["passes"] += 1
    _left(entry, asked, held, terms.price)


def visit(facts: Facts, books: Books, entry: Entry, asked: Asked) -> int:
    """Visits of the pass that ends first, a sale of what they take of its price; that much, minor units."""
    held, acceptance = _pass_here(facts, books, asked)
    worth, terms = held.take(asked.visits), held.terms
    entry.post(PASSES, f"FLOAT({held.custodian},{held.issuer})", worth, PASSES)
    entry.post(PASSES, f"PASS({held.issuer})", asked.visits, PASSES, unit=VISITS)
    entry.claim(held.custodian, asked.participant, worth, PASSES, terms.calendar)
    recruiter, acquiring = facts.recruiters.get(asked.wallet, ""), facts.acquiring(asked)
    made = Visit(held, asked.visits, worth, asked.participant, recruiter, acceptance, acquiring)
    books.visits[asked.entry] = made
    for payee, fee, code, calendar in _fees_of(facts, made):
        entry.claim(asked.participant, payee, fee, code, calendar)
    books.count["visits"] += asked.visits
    _left(entry, asked, held, worth)
    return worth


def return_visit(facts: Facts, books: Books, entry: Entry, asked: Asked) -> Visit:
    """A visit comes back whole, once, to a pass that is not over; fees as the agreements on it say."""
    made = books.visits.get(asked.original)
    if made is None:
        raise FactsMissing(f"entry {asked.entry} returns {asked.original}, which is no visit of the export")
    held = made.held
    if made.is_returned or held.is_over:
        books.told.append(f"entry {asked.entry}: visit {asked.original} came back twice or to a pass that was paid out")
    made.is_returned = True
    held.give_back(made.visits, made.worth)
    entry.post(f"FLOAT({held.custodian},{held.issuer})", PASSES, made.worth, PASSES)
    entry.post(f"PASS({held.issuer})", PASSES, made.visits, PASSES, unit=VISITS)
    entry.claim(made.acquirer, held.custodian, made.worth, PASSES, held.terms.calendar)
    for payee, fee, code, calendar in _fees_of(facts, made):
        agreed = made.acceptance if code == "INTERCHANGE" else made.acquiring
        entry.claim(payee, made.acquirer, fee if agreed.fees_return else 0, code, calendar)
    books.count["visits returned"] += made.visits
    _left(entry, asked, held, made.worth)
    return made


def pay_out(facts: Facts, books: Books, entry: Entry, asked: Asked) -> None:
    """What is left of a pass goes to who pays the member; of an untouched one the seller's commission goes back."""
    held = next((each for each in books.passes[asked.wallet] if each.number == asked.original), None)
    if held is None:
        raise FactsMissing(f"entry {asked.entry} pays out {asked.original}, which sold no pass of the export")
    terms, left, visits = held.terms, held.principal, held.visits
    entry.post(PASSES, f"FLOAT({held.custodian},{held.issuer})", left, PASSES)
    entry.post(PASSES, f"PASS({held.issuer})", visits, PASSES, unit=VISITS)
    entry.claim(held.custodian, asked.participant, left, "CASH_OUT", terms.calendar)
    if visits == terms.visits and not held.is_over:
        if facts.has_card_rules:
            raise FactsMissing(f"entry {asked.entry}: how long a pass may be given back, is not exported")
        commission = half_even(terms.price, terms.seller_commission)
        entry.claim(held.seller, held.issuer, commission, "SELLER_COMMISSION", terms.calendar)
    held.visits, held.principal, held.is_over = 0, 0, True
    books.count["paid out"] += 1
    _left(entry, asked, held, left)


def _pass_here(facts: Facts, books: Books, asked: Asked) -> tuple[Pass, AcceptanceFacts]:
    """The pass that is used: of those honoured here that day, and with visits enough, the first to end."""
    for held in sorted(books.passes[asked.wallet], key=Pass.precedence):
        acceptance = _honoured(facts, held, asked)
        if acceptance is not None and held.visits >= asked.visits:
            return held, acceptance
    raise FactsMissing(f"entry {asked.entry}: wallet {asked.wallet} has no pass with {asked.visits} visits here")


def _honoured(facts: Facts, held: Pass, asked: Asked) -> AcceptanceFacts | None:
    """Under what a pass is taken at the acquirer that day; None where it is not."""
    parties = facts.parties(asked.participant)
    has_ended = held.last_day is not None and held.last_day < asked.business_date
    if not held.is_open or has_ended or (held.terms.honoured_at and set(parties).isdisjoint(held.terms.honoured_at)):
        return None
    return facts.taken(held.issuer, asked)


def _fees_of(facts: Facts, made: Visit) -> Iterator[tuple[str, int, str, str]]:
    """(payee, fee, code, calendar) of what an acquirer pays for a visit; its base is what the visit is worth."""
    if made.acceptance is not ON_US:
        fee = half_even(made.worth, made.acceptance.interchange)
        yield made.held.issuer, fee, "INTERCHANGE", made.acceptance.calendar
    for payee, fee, code in entry_fees(facts.operator, made.acquiring, made.recruiter, made.worth, made.worth):
        yield payee, fee, code, made.acquiring.calendar


def _move(books: Books, entry: Entry, asked: Asked, programme: str, points: int) -> None:
    books.points[asked.wallet, programme] += points
    entry.hold_against("a member's points", asked.points_balance, books.points[asked.wallet, programme])


def _spent(books: Books, entry: Entry, asked: Asked, content: PointsFacts, points: int) -> None:
    _move(books, entry, asked, asked.agreement, points)
    entry.hold_against("the worth of points", asked.points_worth, half_even(abs(points), content.value))


def _left(entry: Entry, asked: Asked, held: Pass, amount: int) -> None:
    """What the answer said of the pass: which one, how many visits it has left, and the money that moved."""
    entry.hold_against("the pass", asked.pass_entry, held.number)
    entry.hold_against(f"visits left of pass {held.number}", asked.visits_left, held.visits)
    entry.hold_against(f"money of a {asked.kind}", asked.amount, amount)
