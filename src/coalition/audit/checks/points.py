"""V8, V9 and V11 of points: what a sale earns and what giving it back takes again follow from the agreement it names.

A wallet's points are told by the log alone: every entry that moves them says programme, version, change and what there
is then. The rule of a version is read from the bundle's tables, whose content the log has the hash of (V16). What lies
before the bundle is not guessed at.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.checks.conversions import Leg, fault_of_conversion, is_mirror, legs_of
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.passes import FACTS
from coalition.audit.checks.report import Report
from coalition.audit.leaf import Payload
from coalition.domain.accounts import FIRST_OF_POINTS, POINTS_HELD
from coalition.domain.agreements import parse_content
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.points_programme import PointsProgramme

EARNS: Final = frozenset({int(Kind.PURCHASE), int(Kind.CAPTURE), int(Kind.UPLOAD)})
TAKES_BACK: Final = frozenset({int(Kind.REFUND), int(Kind.REVERSAL)})
SPEND, RETURN, REVERSAL = int(Kind.POINTS_SPEND), int(Kind.POINTS_RETURN), int(Kind.REVERSAL)
CONVERSION: Final = int(Kind.POINTS_CONVERSION)
TAKES: Final = frozenset({SPEND, CONVERSION})


class Moved(NamedTuple):
    """What an entry earned or spent: wallet, programme's code, version, points, how much it was a sale of."""

    wallet_id: int
    code: str
    version: int
    points: int
    amount_minor: int


class PointsChecks:
    """Sees every accepted entry of an operation, in order."""

    def __init__(self, bundle: Bundle, report: Report) -> None:
        self._bundle = bundle
        self._checks = report.checks
        self._is_whole = bundle.start_size == 0
        self._rules: dict[tuple[str, int], PointsProgramme] | None = None
        self._balances: dict[int, dict[str, int]] = defaultdict(dict)  # by wallet and programme
        self._moves: dict[int, Moved] = {}
        self._given_back: dict[int, int] = {}
        self._converted: dict[int, list[Leg]] = {}  # what conversions posted
        self._returned: dict[int, int] = {}  # of sales that earned, how much of the money went back
        self._unknown = self._without_rule = 0

    def leaf(self, opened: Opened, answer: list[Any]) -> None:
        """The next entry. One that says nothing of points must move none, and take none back that it should."""
        entry, facts = opened.entry, answer[FACTS]
        change = moved(entry)
        if isinstance(facts, Mapping) and "points" in facts:
            try:
                said = int(facts["points"]), int(facts["points_balance"]), str(facts["points_programme"])
                version = int(str(facts["points_version"]).split("/")[1])
            except (KeyError, TypeError, ValueError, IndexError):
                self._breach("V8", opened, "what moves points does not say which, or how many")
                return
            self._told(opened, change, *said, version)
        elif change or entry.kind == CONVERSION:
            self._breach("V8", opened, "points move, or should, and the answer does not say so")
        if entry.kind in TAKES_BACK and entry.original_entry_id in self._moves:
            self._claw_back(opened, change)

    def of(self, wallet_id: int) -> tuple[tuple[str, int], ...]:
        """What a wallet has, by programme; not zeros."""
        return tuple(sorted((code, held) for code, held in self._balances.get(wallet_id, {}).items() if held))

    def finish(self) -> None:
        """Everything was seen."""
        if self._unknown:
            self._checks["V9"].lacks(f"{self._unknown} entries move points that were there before the bundle's start")
        if self._without_rule:
            self._checks["V9"].lacks(f"{self._without_rule} entries move points by rules that the bundle does not hold")

    def _told(self, opened: Opened, change: int, said: int, balance: int, code: str, version: int) -> None:
        entry = opened.entry
        self._checks["V9"].looked_at += 1
        if said != change:
            self._breach("V8", opened, f"the answer says {said} points, {change} were posted")
        own = self._balances[entry.wallet_id]
        before = own.get(code)
        if before is None:
            before = 0 if self._is_whole else balance - change
        own[code] = before + change
        if before + change != balance:
            self._breach("V9", opened, f"the answer tells {balance} points, the log {before + change}")
        if entry.kind in EARNS:
            self._earned(opened, change, code, version)
        elif entry.kind in TAKES:
            if change >= 0 or before + change < 0:
                self._breach("V9", opened, "more points are spent than there are")
            self._moves[entry.entry_id] = Moved(entry.wallet_id, code, version, -change, 0)
            if entry.kind == CONVERSION:
                self._convert(opened, -change, code, version)
        elif entry.kind == RETURN or (entry.kind == REVERSAL and change > 0):
            self._return(opened, change, code)
        elif entry.kind not in TAKES_BACK:
            self._breach("V8", opened, "an entry that may not move points does")

    def _earned(self, opened: Opened, change: int, code: str, version: int) -> None:
        entry = opened.entry
        self._moves[entry.entry_id] = Moved(entry.wallet_id, code, version, change, entry.amount_minor)
        rule = self._rule(code, version)
        if rule is None:
            self._without_rule += 1
        elif rule.earned(entry.amount_minor) != change:
            self._breach("V8", opened, f"a sale of {entry.amount_minor} does not earn {change} points by {code}")

    def _return(self, opened: Opened, change: int, code: str) -> None:
        entry = opened.entry
        original = self._moves.get(entry.original_entry_id)
        if original is None:
            self._unknown_original(opened)
            return
        back = self._given_back.get(entry.original_entry_id, 0) + change
        self._given_back[entry.original_entry_id] = back
        wrong = original.amount_minor or (original.wallet_id, original.code) != (entry.wallet_id, code)
        if wrong or change <= 0 or back > original.points:
            self._breach("V11", opened, "points come back that were not spent, or more of them, or elsewhere")
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
        """V11: of the points of a sale the member keeps what its rule gives for what is left of the sale."""
        entry = opened.entry
        sale = self._moves[entry.original_entry_id]
        if not sale.amount_minor:
            return
        returned = self._returned.get(entry.original_entry_id, 0) + entry.amount_minor
        back = self._given_back.get(entry.original_entry_id, 0) - change
        self._returned[entry.original_entry_id], self._given_back[entry.original_entry_id] = returned, back
        rule = self._rule(sale.code, sale.version)
        if rule is None:
            self._without_rule += 1
        elif back != max(sale.points - rule.earned(sale.amount_minor - returned), back + change):
            self._breach("V11", opened, "what was given back of a sale does not take its points back by their rule")

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
