"""V13 to V18 and V20: what acts tell, and what the tables beside the log say of it. Hands each entry to its check."""

from typing import Final

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import BundleDamaged
from coalition.audit.checks.cards import CardChecks
from coalition.audit.checks.days import DayChecks, Terminals
from coalition.audit.checks.disclosures import DisclosureChecks
from coalition.audit.checks.holds import HoldChecks
from coalition.audit.checks.keys import KeyChecks
from coalition.audit.checks.members import MemberChecks
from coalition.audit.checks.merges import MergeChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.rights import RightsChecks
from coalition.audit.checks.sealed_reports import SealedReportChecks
from coalition.audit.checks.standing import StandingChecks
from coalition.audit.checks.told import Tables, told_by
from coalition.audit.checks.wallets import WalletChecks
from coalition.domain.kinds import FIRST_ACT, Kind

TELLING: Final = frozenset({Kind.NETTING, Kind.NETTING_REVERSAL, Kind.SUCCESSION})
"""Entries below the acts that change what the tables tell of windows and participants."""
# What nobody checked before it was written down may be of any shape.
SHAPELESS: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class ActChecks:
    """Sees every entry once, in order, then the tables."""

    def __init__(
        self, bundle: Bundle, report: Report, terminals: Terminals | None, sealed_reports: SealedReportChecks
    ) -> None:
        self._check = report.checks["V22"]
        tables = Tables(bundle)
        try:
            self.wallets = WalletChecks(bundle, report, tables)
            self._days = DayChecks(bundle, report, tables, terminals)
        except SHAPELESS as error:
            raise BundleDamaged(f"the tables of the bundle have rows of another shape: {error!r}") from error
        self.holds = HoldChecks(bundle, report, tables)
        self.merges = MergeChecks(bundle, report, tables, self.wallets.led)
        keys = KeyChecks(bundle, report, tables)
        self._rest = (
            keys,
            MemberChecks(bundle, report, tables, keys),
            DisclosureChecks(bundle, report, tables),
            RightsChecks(bundle, report, tables),
            StandingChecks(bundle, report, tables),
            self.merges,
            sealed_reports,
            CardChecks(bundle, report, tables, self.merges),
        )

    def leaf(self, opened: Opened) -> None:
        """The next entry."""
        entry = opened.entry
        if entry.kind < FIRST_ACT and entry.kind not in TELLING:
            if entry.terminal_id:
                self._days.entry(opened)
            return
        if entry.reason:
            return
        told = told_by(opened)
        try:
            if told is None:
                raise ValueError("no answer")
            for check in (*self._rest, self._days):
                check.act(opened, told)
        except SHAPELESS:
            self._check.breach("the answer of an act cannot be read", opened.at, entry.entry_id)

    def finish(self) -> None:
        """Everything was seen. Raises BundleDamaged."""
        try:
            for check in (*self._rest, self._days, self.holds):
                check.finish()
        except SHAPELESS as error:
            raise BundleDamaged(f"the tables of the bundle have rows of another shape: {error!r}") from error
