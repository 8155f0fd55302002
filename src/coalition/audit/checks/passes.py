"""V8, V9 and V11 of passes: what was sold is what is used, each visit takes its part of the price, once.

A pass's history is told by the log alone: its sale posts price and visits, every later entry names it in its answer
(docs/decisions/0037). What lies before the bundle is not guessed at.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.leaf import Payload
from coalition.domain.accounts import PASSES, Unit
from coalition.domain.kinds import Kind
from coalition.domain.passes import Pass, is_open, principal_of_visits

FACTS: Final = 10
"""The place of an outcome's facts in its stored answer (domain/journal.py)."""
REVERSAL: Final = int(Kind.REVERSAL)


class PassChecks:
    """Sees every entry that moves a pass, in order."""

    def __init__(self, report: Report, *, is_whole: bool) -> None:
        self._checks = report.checks
        self._is_whole = is_whole
        self._passes: dict[int, Pass] = {}
        self._of: dict[int, list[Pass]] = defaultdict(list)  # by wallet
        self._visits: dict[int, tuple[int, int, int]] = {}  # pass, visits, money of an entry, until they come back
        self._unknown = 0

    def leaf(self, opened: Opened, answer: list[Any]) -> None:
        """The next accepted entry whose legs, kind or answer are of a pass."""
        entry, facts = opened.entry, answer[FACTS]
        money, visits = _moved(entry, Unit.MONEY), _moved(entry, Unit.VISITS)
        try:
            pass_id, count, left = int(facts["pass"]), int(facts["visits"]), int(facts["visits_left"])
        except (KeyError, TypeError, ValueError):
            self._breach("V8", opened, "what moves a pass does not say which, or how much of it")
            return
        self._checks["V9"].looked_at += 1
        if abs(visits) != count or abs(money) != entry.amount_minor:
            self._breach("V8", opened, "what a pass answers is not what was posted of it")
        if entry.kind == Kind.PASS_SALE:
            self._sold(opened, pass_id, money, visits)
        held = self._passes.get(pass_id)
        if held is None:
            if self._is_whole:
                self._breach("V9", opened, f"pass {pass_id} was never sold")
            else:
                self._unknown += 1
            return
        if held.wallet_id != entry.wallet_id:
            self._breach("V9", opened, f"pass {pass_id} is moved by another wallet than it was sold to")
        if entry.kind != Kind.PASS_SALE:
            self._changed(opened, held, money, visits)
        if held.visits != left:
            self._breach("V9", opened, f"the answer tells {left} visits left of pass {pass_id}, the log {held.visits}")

    def open_of(self, wallet_id: int) -> tuple[tuple[int, int, int], ...]:
        """The passes of a wallet that anything is left of: pass, visits, money."""
        held = self._of.get(wallet_id, ())
        return tuple((each.pass_id, each.visits, each.principal) for each in held if is_open(each))

    def finish(self) -> None:
        """Everything was seen."""
        if self._unknown:
            self._checks["V9"].lacks(f"{self._unknown} entries move passes that were sold before the bundle's start")

    def _sold(self, opened: Opened, pass_id: int, money: int, visits: int) -> None:
        entry = opened.entry
        if pass_id != entry.entry_id or money <= 0 or visits <= 0:
            self._breach("V8", opened, "the sale of a pass sells none")
            return
        held = self._passes[pass_id] = Pass(
            *(0, pass_id, entry.wallet_id, 0, 0, 0, entry.agreement_id, entry.agreement_version, None),
            *(visits, money, visits, money),
        )
        self._of[entry.wallet_id].append(held)

    def _changed(self, opened: Opened, held: Pass, money: int, visits: int) -> None:
        entry = opened.entry
        if held.is_over:
            self._breach("V9", opened, f"pass {held.pass_id} is moved after it was paid out")
        if entry.kind == Kind.PASS_VISIT:
            if -visits > held.visits or visits >= 0:
                self._breach("V9", opened, f"pass {held.pass_id} gives more visits than it has")
            elif -money != principal_of_visits(held, -visits):
                self._breach("V8", opened, f"visits of pass {held.pass_id} do not take their part of its price")
            self._visits[entry.entry_id] = (held.pass_id, -visits, -money)
        elif entry.kind == Kind.VISIT_RETURN or (entry.kind == REVERSAL and visits > 0):
            if self._visits.pop(entry.original_entry_id, None) != (held.pass_id, visits, money):
                self._breach("V11", opened, "visits come back that were not taken, or not so many, or a second time")
        elif entry.kind in {Kind.PASS_RETURN, REVERSAL}:
            if (-visits, -money) != (held.visits, held.principal) or entry.original_entry_id != held.pass_id:
                self._breach("V11", opened, f"pass {held.pass_id} is not paid out for what is left of it")
            held.is_over = True
        else:
            self._breach("V8", opened, "an entry that is none of passes moves one")
        held.visits += visits
        held.principal += money
        if held.visits < 0 or held.principal < 0 or held.visits > held.visits_sold or held.principal > held.price_minor:
            self._breach("V9", opened, f"pass {held.pass_id} is left with {held.visits} visits and {held.principal}")

    def _breach(self, name: str, opened: Opened, sentence: str) -> None:
        self._checks[name].breach(sentence, opened.at, opened.entry.entry_id)


def tells_of_pass(answer: list[Any]) -> bool:
    """Whether an answer names a pass."""
    return isinstance(answer[FACTS], Mapping) and "pass" in answer[FACTS]


def _moved(entry: Payload, unit: int) -> int:
    """What the entry gave to the members' passes, less what it took, of a unit."""
    given = sum([leg[2] for leg in entry.transfers if leg[1] == PASSES and leg[5] == unit])
    return given - sum([leg[2] for leg in entry.transfers if leg[0] == PASSES and leg[5] == unit])
