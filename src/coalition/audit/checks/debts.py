"""V17 of what members owe: a payment is owed by who took it to who bears it, and no debt is paid or given up twice.

What came back of a sale is not counted: a refund at a till and a payment at a counter may cross each other.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Check
from coalition.audit.leaf import Payload
from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.kinds import Kind
from coalition.domain.lots import SHORTFALL_LOT

KINDS: Final = frozenset({int(Kind.DEBT_REPAID), int(Kind.DEBT_WRITTEN_OFF)})
UPLOAD: Final = int(Kind.UPLOAD)


@dataclass(slots=True)
class Shortfall:
    """What a sale's wallet did not give, and what became of it, minor units."""

    face: int
    repaid: int = 0
    written_off: int = 0


class DebtChecks:
    """Sees every entry in order."""

    def __init__(self, check: Check, *, is_whole: bool) -> None:
        self._check = check
        self._is_whole = is_whole  # the bundle begins with the log
        self._shortfalls: dict[int, Shortfall] = {}

    def leaf(self, opened: Opened) -> None:
        """The next entry, of whatever kind."""
        entry = opened.entry
        if entry.kind == UPLOAD and entry.reason == 0:
            face = sum(each[2] for each in entry.allocations if each[0] == SHORTFALL_LOT)
            if face:
                self._shortfalls[entry.entry_id] = Shortfall(face)
        elif entry.kind in KINDS and entry.reason == 0:
            self._check.looked_at += 1
            try:
                wrong = self._changed(entry, json.loads(entry.answer)["answer"])
            except (ValueError, KeyError, TypeError, RecursionError):
                wrong = "the answer of a payment or write-off of what a member owes cannot be read"
            if wrong:
                self._check.breach(wrong, opened.at, entry.entry_id)

    def _changed(self, entry: Payload, told: dict[str, Any]) -> str:
        """What is wrong with it, if anything is."""
        repaid, written_off = int(told.get("repaid_minor", 0)), int(told.get("written_off_minor", 0))
        taker, bearer = int(told.get("participant_id", 0)), int(told["bearer_id"])
        wanted = []
        if entry.kind == Kind.DEBT_REPAID and taker != bearer:
            wanted = [(clearing_account(taker), clearing_account(bearer), repaid, int(TransferCode.DEBT_REPAID))]
        if wanted != [(debit, credit, amount, code) for debit, credit, amount, code, _, _ in entry.transfers]:
            return "what a member paid of its debt is not owed by who took it to who bears it"
        found = self._shortfalls.get(int(told["entry"]))
        if found is None:
            if self._is_whole:
                return "a debt is paid or given up that no sale left"
            self._check.lacks("a debt is paid or given up whose sale lies before the bundle's start")
            return ""
        found.repaid += repaid
        found.written_off += written_off
        if written_off < 0 or found.repaid < 0 or found.repaid + found.written_off > found.face:
            return "more of a debt is paid, given back or given up than there was"
        return ""
