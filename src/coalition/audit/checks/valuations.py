"""V17 of points: what the points of a window become is what they are worth, by versions that were made."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.points import rules_of
from coalition.audit.checks.report import Check
from coalition.domain.accounts import FIRST_OF_POINTS, TransferCode
from coalition.domain.points_programme import PointsProgramme
from coalition.domain.rates import Rate
from coalition.domain.valuation import Worth, valuation_transfers, value_points

SETTLED: Final = int(TransferCode.POINTS_VALUE)


class Claims(Protocol):
    """A window's claims so far, amount and count by debtor, creditor, code and unit."""

    def claims(self) -> Mapping[tuple[int, int, int, int], list[int]]: ...


class ValuationChecks:
    """Sees the acts that make agreements, and every VALUATION entry before its claims are added to the window."""

    def __init__(self, bundle: Bundle, check: Check, use: Callable[[tuple[int, int], Opened], None]) -> None:
        self._bundle = bundle
        self._check = check
        self._use = use
        self._units: dict[int, tuple[int, int]] = {}
        self._codes: dict[int, tuple[str, int]] = {}
        self._rules: dict[tuple[str, int], PointsProgramme] | None = None
        self._valued: set[int] = set()

    def agreed(self, told: Mapping[str, Any]) -> None:
        """What an act that made a version answers; of points it names their unit."""
        if "unit" in told:
            unit = int(told["unit"])
            self._units[unit] = int(told["agreement_id"]), int(told["version"])
            self._codes[unit] = str(told["agreement"]), int(told["version"])

    def leaf(self, opened: Opened, windows: Mapping[int, Claims]) -> None:
        """V16 and V17: the entry values all points of its window, and posts what they are worth."""
        check, entry = self._check, opened.entry
        check.looked_at += 1
        try:
            rows = json.loads(entry.answer)["answer"]["valued"]
            worths = {int(row["unit"]): self._worth(row) for row in rows}
            used = {(worth.agreement_id, worth.version) for worth in worths.values()}
        except (ValueError, KeyError, TypeError, RecursionError):
            check.breach("the answer of a valuation cannot be read", opened.at, entry.entry_id)
            return
        for each in used:
            self._use(each, opened)
        self._judge_worths(opened, worths)
        window = {leg[4] for leg in entry.transfers}
        if len(window) != 1:
            check.breach("a valuation posts into no window, or into several", opened.at, entry.entry_id)
            return
        (window_id,) = window
        if window_id in self._valued:
            check.breach("the points of a window are valued twice", opened.at, entry.entry_id)
        self._valued.add(window_id)
        claims = [
            (debtor, creditor, unit, amount)
            for (debtor, creditor, _, unit), (amount, _) in windows[window_id].claims().items()
            if unit >= FIRST_OF_POINTS
        ]
        if {unit for _, _, unit, _ in claims} != set(worths):
            if self._bundle.start_size:
                check.lacks("points of a window may lie before the bundle's start")
            else:
                check.breach(
                    "a valuation leaves points out, or values some that were not owed", opened.at, entry.entry_id
                )
            return
        expected = valuation_transfers(value_points(claims, worths), window_id)
        wanted = sorted(
            (int(x.debit), int(x.credit), x.amount_minor, SETTLED, window_id, int(x.unit)) for x in expected
        )
        if wanted != sorted(tuple(leg) for leg in entry.transfers):
            if self._bundle.start_size:
                check.lacks("points of a window may lie before the bundle's start")
            else:
                check.breach("what a valuation posts is not what the points are worth", opened.at, entry.entry_id)

    def _judge_worths(self, opened: Opened, worths: Mapping[int, Worth]) -> None:
        """A unit is that of the version that was made with it, and worth what that version says."""
        if self._rules is None:
            self._rules = rules_of(self._bundle)
        for unit, worth in worths.items():
            made = self._units.get(unit)
            if made is None:
                if self._bundle.start_size:
                    self._check.lacks(f"the version with unit {unit} was made before the bundle's start")
                else:
                    self._breach(opened, f"points of unit {unit} are valued, which no version has")
            elif made != (worth.agreement_id, worth.version):
                self._breach(opened, f"points of unit {unit} are valued by another version than theirs")
            elif (agreed := self._rules.get(self._codes[unit])) is None:
                self._check.lacks(f"the bundle does not say what points of unit {unit} are worth")
            elif agreed.value != worth.value:
                self._breach(opened, f"points of unit {unit} are valued at {worth.value}, {agreed.value} was agreed")

    @staticmethod
    def _worth(row: Mapping[str, Any]) -> Worth:
        return Worth(int(row["agreement_id"]), int(row["version"]), Rate.parse(str(row["value"])))

    def _breach(self, opened: Opened, sentence: str) -> None:
        self._check.breach(sentence, opened.at, opened.entry.entry_id)
