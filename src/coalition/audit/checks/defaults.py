"""V17 of collateral, defaults and write-offs: posted is what was answered, and a loss was shared as it had to be.

What was owed, and the windows that were not paid, follow from the dues that the log posted; the weights of the shares
from the claims of these windows. One creditor may be left out of them, the custody pool: it bears no loss.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Check
from coalition.audit.leaf import Payload
from coalition.domain.accounts import BANK, AccountKind, Unit, account, due_account, parties_of
from coalition.domain.default import net_claims_on, share_loss, unpaid_windows
from coalition.domain.kinds import Kind
from coalition.domain.write_off import written_off_at_most

KINDS: Final = frozenset({int(Kind.COLLATERAL_MOVED), int(Kind.DEFAULT), int(Kind.WRITE_OFF)})
COLLATERAL: Final = int(AccountKind.COLLATERAL)
DUE: Final = int(AccountKind.DUE)
KIND_BITS: Final = 48  # an account's kind lies above them (domain/accounts.py)
POOLS: Final = 1  # creditors that bear no loss

Window = tuple[str, str]
Claims = list[tuple[int, int, int]]
Legs = list[tuple[int, int, int]]


class DefaultChecks:
    """Sees every such entry, and every other that moves a due, in order.

    `claims_of` tells the money claims of a netted window, `window_of` the window of a netting in force by its entry;
    None where there is none. A window is its calendar and label.
    """

    def __init__(
        self,
        check: Check,
        claims_of: Callable[[Window], Claims | None],
        window_of: Callable[[int], Window | None],
        *,
        is_whole: bool,
    ) -> None:
        self._check = check
        self._claims_of = claims_of
        self._window_of = window_of
        self._dues: dict[int, list[tuple[int, int]]] = defaultdict(list)  # by participant: entry and change
        self._is_whole = is_whole  # the bundle begins with the log
        self._collateral: dict[int, int] = defaultdict(int)
        self._borne: dict[int, dict[int, int]] = defaultdict(dict)

    def leaf(self, opened: Opened) -> None:
        """The next entry of these kinds."""
        check, entry = self._check, opened.entry
        check.looked_at += 1
        posted = sorted((debit, credit, amount) for debit, credit, amount, *_ in entry.transfers)
        try:
            told = json.loads(entry.answer)["answer"]
            party = int(told["participant_id"])
            if entry.kind == Kind.COLLATERAL_MOVED:
                legs, wrong = self._moved(party, told), ""
            elif entry.kind == Kind.WRITE_OFF:
                legs, wrong = self._written_off(party, told)
            elif "recovered_minor" in told:
                legs, wrong = self._recovered(party, told)
            else:
                legs, wrong = self._defaulted(party, told)
        except (ValueError, KeyError, TypeError, RecursionError):
            check.breach("the answer of a default, a write-off or collateral cannot be read", opened.at, entry.entry_id)
            return
        if sorted(legs) != posted:
            wrong = "what a default, a write-off or collateral posts is not what it answers"
        if wrong:
            check.breach(wrong, opened.at, entry.entry_id)
        self._keep(entry.kind, party, posted)
        self.keep_dues(entry)
        if self._is_whole and self._collateral[party] < 0:
            check.breach("more collateral left than had come in", opened.at, entry.entry_id)

    def keep_dues(self, entry: Payload) -> None:
        """Add what an entry changes of what is due."""
        changes: dict[int, int] = defaultdict(int)
        for debit, credit, amount, _, _, unit in entry.transfers:
            for number, sign in ((debit, -1), (credit, 1)):
                if number >> KIND_BITS == DUE and unit == Unit.MONEY:
                    changes[parties_of(number)[0]] += sign * amount
        for party, change in changes.items():
            if change:
                self._dues[party].append((entry.entry_id, change))

    @staticmethod
    def _moved(party: int, told: dict[str, Any]) -> Legs:
        collateral = account(AccountKind.COLLATERAL, party)
        debit, credit = (collateral, BANK) if told["back"] else (BANK, collateral)
        return [(debit, credit, int(told["amount_minor"]))]

    def _written_off(self, party: int, told: dict[str, Any]) -> tuple[Legs, str]:
        amount, owed = int(told["written_off_minor"]), -sum(change for _, change in self._dues[party])
        wrong = ""
        if self._is_whole and amount > written_off_at_most(owed, self._collateral[party]):
            wrong = "more is written off than was owed and no collateral covered"
        return [(due_account(int(told["bearer_id"])), due_account(party), amount)], wrong

    def _defaulted(self, party: int, told: dict[str, Any]) -> tuple[Legs, str]:
        """The legs that the answer leads to, and what is wrong with it, if anything is."""
        owed, taken = int(told["owed_minor"]), int(told["collateral_minor"])
        weights, shares = pairs(told["weights"]), pairs(told["shares"])
        own = due_account(party)
        legs: Legs = [(due_account(other), own, share) for other, share in shares.items()]
        legs += [(account(AccountKind.COLLATERAL, party), own, taken)] if taken else []
        wrong = ""
        if self._is_whole and taken != min(owed, max(self._collateral[party], 0)):
            wrong = "a default does not take the collateral first"
        elif sum(shares.values()) != owed - taken or (weights and shares != share_loss(owed - taken, weights)):
            wrong = "a loss is not shared by the claims of those that bear it"
        elif not weights and len(shares) > 1:
            wrong = "a loss that nobody's claim made is borne by more than the operator"
        return legs, wrong or self._weighed(party, owed, told, weights)

    def _weighed(self, party: int, owed: int, told: dict[str, Any], weights: dict[int, int]) -> str:
        claims: Claims = []
        windows = [(str(calendar), str(label)) for calendar, label in told["windows"]]
        for window in windows:
            found = self._claims_of(window)
            if found is None:
                if self._is_whole:
                    return "a default names a window that was not netted"
                self._check.lacks("a default names a window that was netted before the bundle's start")
                return ""
            claims += found
        if not self._is_whole:
            self._check.lacks("claims behind a default may lie before the bundle's start")
            return ""
        lines = [(self._window_of(entry), amount) for entry, amount in self._dues[party]]
        if owed != -sum(amount for _, amount in lines):
            return "a default is of another amount than was due"
        netted = [(window, amount) for window, amount in lines if window is not None]
        places = unpaid_windows(owed, [(place, amount) for place, (_, amount) in enumerate(netted)])
        if sorted(windows) != sorted(netted[place][0] for place in places):
            return "a default names other windows than were not paid"
        net = net_claims_on(party, claims)
        if any(net.get(other) != weight for other, weight in weights.items()) or len(net) - len(weights) > POOLS:
            return "the shares of a default do not follow from the claims of its windows"
        return ""

    def _recovered(self, party: int, told: dict[str, Any]) -> tuple[Legs, str]:
        amount, weights, shares = int(told["recovered_minor"]), pairs(told["weights"]), pairs(told["shares"])
        wrong = ""
        if shares != share_loss(amount, weights) or amount > sum(weights.values()):
            wrong = "a recovery is not shared as the loss was borne"
        elif self._is_whole and weights != {other: loss for other, loss in self._borne[party].items() if loss}:
            wrong = "a recovery goes back by other figures than the loss was borne"
        own = due_account(party)
        return [(own, due_account(other), share) for other, share in shares.items()], wrong

    def _keep(self, kind: int, party: int, posted: Legs) -> None:
        borne = self._borne[party]
        for debit, credit, amount in posted:
            for number, sign in ((debit, -1), (credit, 1)):
                other, _ = parties_of(number)
                if number >> KIND_BITS == COLLATERAL:
                    self._collateral[other] += sign * amount
                elif kind == Kind.DEFAULT and number >> KIND_BITS == DUE and other != party:
                    borne[other] = borne.get(other, 0) - sign * amount


def pairs(told: Any) -> dict[int, int]:
    """Numbers by participant, as an answer tells them; ValueError where one is told twice or below 0."""
    found = {int(other): int(amount) for other, amount in told}
    if len(found) != len(told) or min(found.values(), default=0) < 0:
        raise ValueError("told twice, or below 0")
    return found
