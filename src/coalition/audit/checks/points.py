"""V8, V9 and V11 of points: what a sale earns and what giving it back takes again follow from the agreement it names.

A wallet's points are told by the log alone: every entry that moves them says programme, version, change and what there
is then. The rule of a version is read from the bundle's tables, whose content the log has the hash of (V16). What lies
before the bundle is not guessed at.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.checks.conversions import Leg, fault_of_conversion, is_mirror, legs_of
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.passes import FACTS
from coalition.audit.checks.report import Report
from coalition.audit.leaf import Payload
from coalition.domain.accounts import FIRST_OF_POINTS, POINTS_HELD, TransferCode, clearing_account, parties_of
from coalition.domain.agreements import parse_content
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.points import PointsBook, PointsChange
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.points_repayment import agreed_rate

EARNS: Final = frozenset({int(Kind.PURCHASE), int(Kind.CAPTURE), int(Kind.UPLOAD)})
TAKES_BACK: Final = frozenset({int(Kind.REFUND), int(Kind.REVERSAL)})
SPEND, RETURN, REVERSAL = int(Kind.POINTS_SPEND), int(Kind.POINTS_RETURN), int(Kind.REVERSAL)
CONVERSION, EXPIRY = int(Kind.POINTS_CONVERSION), int(Kind.POINTS_EXPIRY)
REPAYMENT: Final = int(Kind.POINTS_REPAYMENT)
CLAIM: Final = int(TransferCode.POINTS_REPAYMENT)
TAKES: Final = frozenset({SPEND, CONVERSION, REPAYMENT})


class Told(NamedTuple):
    """What an answer says of points: the number of their programme, the version, the code, and their last day."""

    programme_id: int
    version: int
    code: str
    last_day: date | None


class Repaid(NamedTuple):
    """What an answer says of points that were owed: their programme, how many were repaid, and how many are left."""

    programme_id: int
    version: int
    code: str
    points: int
    balance: int


@dataclass(slots=True)
class Sale:
    """A sale that earned points: how much it was, by whose rule, and how much of the money went back."""

    amount_minor: int
    code: str
    returned: int = 0


class PointsChecks:
    """Sees every accepted entry of an operation, in order."""

    def __init__(self, bundle: Bundle, report: Report) -> None:
        self._bundle = bundle
        self._checks = report.checks
        self._is_whole = bundle.start_size == 0
        self._rules: dict[tuple[str, int], PointsProgramme] | None = None
        self._balances: dict[int, dict[str, int]] = defaultdict(dict)  # by wallet and programme
        self._book = PointsBook()  # as the desk keeps it, from the log alone
        self._sales: dict[int, Sale] = {}
        self._converted: dict[int, list[Leg]] = {}  # what conversions posted
        self._unknown = self._without_rule = 0

    def leaf(self, opened: Opened, answer: list[Any]) -> None:
        """The next entry. One that says nothing of points must move none, and take none back that it should."""
        entry, facts = opened.entry, answer[FACTS]
        change = moved(entry)
        if isinstance(facts, Mapping) and "points" in facts:
            try:
                said = int(facts["points"]), int(facts["points_balance"]), str(facts["points_programme"])
                programme_id, version = map(int, str(facts["points_version"]).split("/"))
                ends = date.fromisoformat(facts["points_last_day"]) if "points_last_day" in facts else None
                repaid = repaid_of(facts)
            except (KeyError, TypeError, ValueError, IndexError):
                self._breach("V8", opened, "what moves points does not say which, or how many")
                return
            if (entry.kind == REPAYMENT) is not (repaid is not None):
                self._breach("V8", opened, "points are repaid, or should be, and the answer does not say which")
            change -= repaid.points if repaid is not None else 0
            self._told(opened, change, *said, Told(programme_id, version, said[2], ends))
            if repaid is not None:
                self._repay(opened, -change, Told(programme_id, version, said[2], ends), repaid)
        elif change or entry.kind in {CONVERSION, EXPIRY, REPAYMENT}:
            self._breach("V8", opened, "points move, or should, and the answer does not say so")
        elif entry.kind in TAKES_BACK and entry.original_entry_id in self._sales:
            self._claw_back(opened, 0)

    def of(self, wallet_id: int) -> tuple[tuple[str, int], ...]:
        """What a wallet has, by programme; not zeros."""
        return tuple(sorted((code, held) for code, held in self._balances.get(wallet_id, {}).items() if held))

    def finish(self) -> None:
        """Everything was seen."""
        if self._unknown:
            self._checks["V9"].lacks(f"{self._unknown} entries move points that were there before the bundle's start")
        if self._without_rule:
            self._checks["V9"].lacks(f"{self._without_rule} entries move points by rules that the bundle does not hold")

    def _told(self, opened: Opened, change: int, said: int, balance: int, code: str, told: Told) -> None:
        entry = opened.entry
        self._checks["V9"].looked_at += 1
        if said != change:
            self._breach("V8", opened, f"the answer says {said} points, {change} were posted")
        own = self._balances[entry.wallet_id]
        before = own.get(code)
        if before is None:
            before = 0 if self._is_whole else balance - change
            self._book.balances.setdefault((entry.wallet_id, told.programme_id), before)
        own[code] = before + change
        if before + change != balance:
            self._breach("V9", opened, f"the answer tells {balance} points, the log {before + change}")
        if entry.kind in EARNS:
            self._earned(opened, change, told)
        elif entry.kind in TAKES:
            self._take(opened, -change, told)
        elif entry.kind == EXPIRY:
            self._end(opened, -change, told)
        elif entry.kind == RETURN or (entry.kind == REVERSAL and entry.original_entry_id not in self._sales):
            self._return(opened, change, told)
        elif entry.kind in TAKES_BACK and entry.original_entry_id in self._sales:
            self._claw_back(opened, change)
        elif entry.kind in TAKES_BACK:
            self._unknown_original(opened)
        else:
            self._breach("V8", opened, "an entry that may not move points does")

    def _earned(self, opened: Opened, change: int, told: Told) -> None:
        entry = opened.entry
        rule = self._rule(told.code, told.version)
        if rule is None:
            self._without_rule += 1
        elif rule.earned(entry.amount_minor) != change:
            sentence = f"a sale of {entry.amount_minor} does not earn {change} points by {told.code}"
            self._breach("V8", opened, sentence)
        elif rule.last_day(day_of(entry)) != told.last_day:
            self._breach("V8", opened, f"points of {told.code} that a sale earns end on another day than was agreed")
        self._sales[entry.entry_id] = Sale(entry.amount_minor, told.code)
        self._keep(opened, PointsChange(*told[:2], change, last_day=told.last_day))

    def _take(self, opened: Opened, points: int, told: Told) -> None:
        """V9: what is spent, or becomes value, is there and has not ended."""
        entry = opened.entry
        spendable = self._book.spendable(entry.wallet_id, told.programme_id, day_of(entry))
        if points <= 0 or (spendable < points and (self._is_whole or self._balances[entry.wallet_id][told.code] < 0)):
            self._breach("V9", opened, "more points are spent than there are, or such as have ended")
        if entry.kind == CONVERSION:
            self._convert(opened, points, told.code, told.version)
        self._keep(opened, PointsChange(*told[:2], -points))

    def _repay(self, opened: Opened, cost: int, told: Told, repaid: Repaid) -> None:
        """V8 and V9: so many are owed, and as many of the other programme's are taken as both have agreed on."""
        entry, points = opened.entry, repaid.points
        own = self._balances[entry.wallet_id]
        before = own.get(repaid.code)
        if before is None:
            before = 0 if self._is_whole else repaid.balance - points
        own[repaid.code] = before + points
        if before + points != repaid.balance or before + points > 0:
            self._breach("V9", opened, "points are repaid that are not owed, or others are said to be left")
        self._book.balances[entry.wallet_id, repaid.programme_id] = own[repaid.code]
        rule, owed_rule = self._rule(told.code, told.version), self._rule(repaid.code, repaid.version)
        if rule is None or owed_rule is None:
            self._without_rule += 1
            return
        rate = agreed_rate(told.code, rule, repaid.code, owed_rule)
        if rate is None or points <= 0 or rate.ceiling(points) != cost or not is_repaid(entry, cost, points):
            self._breach("V8", opened, f"{cost} points repay {points} of {repaid.code}, and that was not agreed on")

    def _end(self, opened: Opened, points: int, told: Told) -> None:
        """V9: what ends is all that is left of a sale whose last day is over."""
        entry = opened.entry
        move = self._book.moves.get(entry.original_entry_id)
        if move is None:
            self._unknown_original(opened)
            return
        if not move.has_ended(day_of(entry)) or (self._is_whole and move.there != points) or points <= 0:
            self._breach("V9", opened, "points are taken that have not ended, or not all that have, or others")
        elif (move.wallet_id, move.programme_id) != (entry.wallet_id, told.programme_id):
            self._breach("V9", opened, "points end in another wallet than they were earned in")
        self._keep(opened, PointsChange(*told[:2], -points, entry.original_entry_id, ends=True))

    def _return(self, opened: Opened, change: int, told: Told) -> None:
        entry = opened.entry
        original = self._book.moves.get(entry.original_entry_id)
        if original is None:
            self._unknown_original(opened)
            return
        wrong = entry.original_entry_id in self._sales or original.wallet_id != entry.wallet_id
        if wrong or original.programme_id != told.programme_id or not 0 < change <= original.left:
            self._breach("V11", opened, "points come back that were not spent, or more of them, or elsewhere")
            return
        self._keep(opened, PointsChange(*told[:2], change, entry.original_entry_id, change))
        converted = self._converted.get(entry.original_entry_id)
        if converted is not None and not is_mirror(legs_of(entry.transfers), converted):
            self._breach("V11", opened, "what points became is not taken back for these points")

    def _convert(self, opened: Opened, points: int, code: str, version: int) -> None:
        """V8: they become what their programme has agreed, paid for by their debtor."""
        self._converted[opened.entry.entry_id] = legs_of(opened.entry.transfers)
        rule = self._rule(code, version)
        if rule is None:
            self._without_rule += 1
            return
        fault = fault_of_conversion(opened.entry.transfers, points, rule, self._bundle.participants)
        if fault is not None:
            self._breach("V8", opened, fault)

    def _claw_back(self, opened: Opened, change: int) -> None:
        """V11: of the points of a sale the member keeps what its rule gives for what is left of the sale.

        Such as have ended are not taken a second time.
        """
        entry = opened.entry
        sale, move = self._sales[entry.original_entry_id], self._book.moves[entry.original_entry_id]
        sale.returned += entry.amount_minor
        rule = self._rule(sale.code, move.version)
        if rule is None:
            self._without_rule += 1
            due = -change
        else:
            due = max(move.points - rule.earned(sale.amount_minor - sale.returned) - move.given_back, 0)
            gone = due + change  # had ended, and is not taken a second time
            if gone != move.ended_of(due) if self._is_whole else not 0 <= gone <= move.ended:
                sentence = "what was given back of a sale does not take its points back by their rule"
                self._breach("V11", opened, sentence)
        if due:
            lost = PointsChange(move.programme_id, move.version, change, move.entry_id, min(due, move.left))
            self._keep(opened, lost)

    def _keep(self, opened: Opened, change: PointsChange) -> None:
        """The book as the desk's is after this entry."""
        entry = opened.entry
        self._book.take(change, 0, entry.wallet_id, entry.entry_id, day_of(entry))
        for changed in (self._book.touched, self._book.moved, self._book.drawn):
            changed.clear()

    def _unknown_original(self, opened: Opened) -> None:
        if self._is_whole:
            self._breach("V11", opened, "points come back that were never spent")
        else:
            self._unknown += 1

    def _rule(self, code: str, version: int) -> PointsProgramme | None:
        """The rule of a version; None where the bundle has no tables, or it is not there."""
        if self._rules is None:
            self._rules = rules_of(self._bundle)
        return self._rules.get((code, version))

    def _breach(self, name: str, opened: Opened, sentence: str) -> None:
        self._checks[name].breach(sentence, opened.at, opened.entry.entry_id)


def day_of(entry: Payload) -> date:
    """The business date of an entry; the first there is where it says something else."""
    return date.fromordinal(min(max(entry.business_day, 1), date.max.toordinal()))


def repaid_of(facts: Mapping[str, Any]) -> Repaid | None:
    """What an answer says of points that were repaid, if it does. Raises what a wrong answer leads to."""
    if "repaid_points" not in facts:
        return None
    programme_id, version = map(int, str(facts["repaid_points_version"]).split("/"))
    told = str(facts["repaid_points_programme"]), int(facts["repaid_points"]), int(facts["repaid_points_balance"])
    return Repaid(programme_id, version, *told)


def is_repaid(entry: Payload, cost: int, points: int) -> bool:
    """`POINTS->POINTS(E) m`, `POINTS(C)->POINTS n`, and `E=>C m` unless both are one."""
    taken = [leg for leg in entry.transfers if leg[0] == POINTS_HELD]
    given = [leg for leg in entry.transfers if leg[1] == POINTS_HELD]
    claims = [leg for leg in entry.transfers if POINTS_HELD not in leg[:2]]
    if [leg[2] for leg in taken] != [cost] or [leg[2] for leg in given] != [points]:
        return False
    debtor_id, creditor_id = parties_of(taken[0][1])[0], parties_of(given[0][0])[0]
    expected = [(clearing_account(debtor_id), clearing_account(creditor_id), cost, CLAIM)]
    return [tuple(leg[:4]) for leg in claims] == (expected if debtor_id != creditor_id else [])


def moved(entry: Payload) -> int:
    """What the entry gave to the member's points, less what it took."""
    points = [leg for leg in entry.transfers if leg[5] >= FIRST_OF_POINTS]
    return sum([leg[2] for leg in points if leg[1] == POINTS_HELD]) - sum(
        [leg[2] for leg in points if leg[0] == POINTS_HELD]
    )


def rules_of(bundle: Bundle) -> dict[tuple[str, int], PointsProgramme]:
    """The versions of points programmes in the bundle's tables, by code and number; V16 says whether they are agreed.

    A row of another shape is none: V22 says so.
    """
    rules: dict[tuple[str, int], PointsProgramme] = {}
    for row in bundle.state("agreements") if bundle.state_numbers is not None else ():
        match row:
            case [str() as code, int() as version, "POINTS", _, _, dict() as content]:
                try:
                    parsed = parse_content("POINTS", content)
                except Refused:
                    continue
                if isinstance(parsed, PointsProgramme):
                    rules[code, version] = parsed
            case _:
                continue
    return rules
