"""V16 and V17: agreements come from acts of the log, and every netted window recomputes to its figures.

The bundle's names (which number is which code) are not in the log; they are only used to find an act or to read a
report, and a wrong one leads to a breach, never to an ok.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.checks import defaults
from coalition.audit.checks.debts import DebtChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.passes import FACTS
from coalition.audit.checks.report import Report
from coalition.audit.checks.valuations import ValuationChecks
from coalition.domain.accounts import FIRST_OF_POINTS, AccountKind, TransferCode, Unit, parties_of
from coalition.domain.ids import number_of
from coalition.domain.kinds import FIRST_ACT, Kind

CLEARING: Final = int(AccountKind.CLEARING)
BANK: Final = int(AccountKind.BANK)
DUE: Final = int(AccountKind.DUE)
KIND_BITS: Final = 48  # an account's kind lies above them (domain/accounts.py)
NETTING: Final = int(Kind.NETTING)
NETTING_CODE: Final = int(TransferCode.NETTING)
FEE_CODE: Final = int(TransferCode.WINDOW_FEE)
AGREEMENT_ACTS: Final = frozenset({int(Kind.AGREEMENT_CREATED), int(Kind.AGREEMENT_REVISED)})
FOUNDERS: Final = 2  # operator and custody are laid with the scheme, before the first act

Key = tuple[int, int, int, int]
"""Debtor, creditor, code, unit; the two as accounts while claims are added up, as participants when they are told."""
BEHIND_THE_CUT: Final = frozenset({Kind.ASSESS, Kind.VALUATION})
ALSO_UNDER: Final = {int(Kind.PASS_VISIT): "acceptance", int(Kind.POINTS_CONVERSION): "terms"}
"""The fact that names a second agreement: how a visit was taken, what the value that points became is sold under."""
OF_RUNS: Final = frozenset({Kind.SETTLEMENT_PAYMENT, Kind.SETTLEMENT_RETURN, Kind.NETTING_REVERSAL})


class Window:
    """The claims of one window as the log has them."""

    def __init__(self) -> None:
        self.sums: dict[Key, list[int]] = {}  # amount and count, by accounts
        self.last_number = 0
        self.netted = False

    def claims(self) -> dict[Key, list[int]]:
        """Amount and count by participants."""
        return {
            (parties_of(debit)[0], parties_of(credit)[0], code, unit): sums
            for (debit, credit, code, unit), sums in self.sums.items()
        }

    def nets(self) -> dict[tuple[int, int], int]:
        """What each participant received less what it sent, by participant and unit."""
        found: dict[tuple[int, int], int] = defaultdict(int)
        for (debtor, creditor, _, unit), (amount, _) in self.claims().items():
            found[debtor, unit] -= amount
            found[creditor, unit] += amount
        return found


class RuleChecks:
    """Sees every entry once, in order, then holds settlement reports against what the log leads to."""

    def __init__(self, bundle: Bundle, report: Report) -> None:
        self._bundle = bundle
        self._checks = report.checks
        self._made: set[tuple[str, int]] = set()
        self._used: set[tuple[int, int]] = set()
        self._windows: dict[int, Window] = defaultdict(Window)
        self._cuts: dict[tuple[str, str], int] = {}
        self._labels: dict[tuple[str, str], int] = {}  # the window a label was netted as
        self._netted: dict[tuple[str, str], dict[str, Any]] = {}
        self._nettings: dict[int, tuple[tuple[str, str], list[tuple[Any, ...]]]] = {}  # by entry, those in force
        self._assessed: set[tuple[str, str]] = set()
        self._participants = FOUNDERS
        self._defaults = defaults.DefaultChecks(
            self._checks["V17"], self._money_claims, self._window_of, is_whole=bundle.start_size == 0
        )
        self._debts = DebtChecks(self._checks["V17"], is_whole=bundle.start_size == 0)
        self._undecided_agreements: set[int] = set()
        self._valuations = ValuationChecks(bundle, self._checks["V17"], self._use)

    def leaf(self, opened: Opened) -> None:
        """The next entry."""
        entry = opened.entry
        if entry.reason == 0 and entry.kind >= FIRST_ACT:
            self._act(opened)
        self._debts.leaf(opened)
        if entry.kind == NETTING:
            self._netting(opened)
            self._defaults.keep_dues(entry)
            return
        if entry.kind in OF_RUNS:
            self._settlement(opened)
            self._defaults.keep_dues(entry)
            return
        if entry.kind in defaults.KINDS:
            self._defaults.leaf(opened)
            return
        if entry.kind == Kind.ASSESS:
            self._assess(opened)
        elif entry.kind == Kind.VALUATION:
            self._valuations.leaf(opened, self._windows)
        self._claims(opened)
        if entry.agreement_id:
            self._use((entry.agreement_id, entry.agreement_version), opened)
        for _, _, _, _, agreement, version, _ in entry.allocations:
            if agreement:
                self._use((agreement, version), opened)
        if entry.reason == 0 and (fact := ALSO_UNDER.get(entry.kind)) is not None:
            self._use_told(opened, fact)

    def _window_of(self, entry_id: int) -> tuple[str, str] | None:
        """The window that a netting in force netted."""
        netted = self._nettings.get(entry_id)
        return None if netted is None else netted[0]

    def _money_claims(self, name: tuple[str, str]) -> defaults.Claims | None:
        """The money claims of a netted window; None for one that the log does not net."""
        if name not in self._netted or name not in self._labels:
            return None
        claims = self._windows[self._labels[name]].claims()
        return [
            (debtor, creditor, amount)
            for (debtor, creditor, _, unit), (amount, _) in claims.items()
            if unit == Unit.MONEY
        ]

    def _claims(self, opened: Opened) -> None:
        """V17: add the entry's claims to their windows, which must not be netted yet."""
        entry = opened.entry
        for debit, credit, amount, code, window, unit in entry.transfers:
            if debit >> KIND_BITS == CLEARING and credit >> KIND_BITS == CLEARING:
                known = self._windows[window]
                if known.netted:
                    self._checks["V17"].breach("a claim lies in a window that was netted", opened.at, entry.entry_id)
                key = (debit, credit, code, unit)
                sums = known.sums.get(key)
                if sums is None:
                    sums = known.sums[key] = [0, 0]
                sums[0] += amount
                sums[1] += 1
                if entry.kind not in BEHIND_THE_CUT:
                    known.last_number = number_of(entry.entry_id)

    def finish(self) -> None:
        """Everything was seen."""
        for place, files in self._bundle.settlement_reports():
            self._report(place, files)

    def _act(self, opened: Opened) -> None:
        entry = opened.entry
        if entry.kind == Kind.PARTICIPANT_CREATED:
            self._participants += 1
        if entry.kind not in AGREEMENT_ACTS and entry.kind != Kind.WINDOW_CLOSED:
            return
        try:
            told = json.loads(entry.answer)["answer"]
            if entry.kind == Kind.WINDOW_CLOSED:
                self._cuts[str(told["calendar"]), str(told["label"])] = int(told["cut_number"])
            else:
                self._made.add((str(told["agreement"]), int(told["version"])))
                self._valuations.agreed(told)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._checks["V16"].breach("the answer of an act cannot be read", opened.at, entry.entry_id)

    def _use(self, used: tuple[int, int], opened: Opened) -> None:
        """V16: a version of an agreement was applied."""
        check = self._checks["V16"]
        check.looked_at += 1
        if used in self._used:
            return
        self._used.add(used)
        agreement, version = used
        code = self._bundle.agreements.get(agreement)
        if code is None:
            check.lacks(f"the bundle does not name agreement {agreement}")
        elif (code, version) not in self._made:
            if self._bundle.start_size:
                check.lacks(f"version {version} of {code} was made before the bundle's start")
            else:
                check.breach(f"version {version} of {code} was used and never made", opened.at, opened.entry.entry_id)

    def _use_told(self, opened: Opened, fact: str) -> None:
        """V16: under which agreement besides its own it was made, as its answer says; a visit on-us under none."""
        try:
            told = json.loads(opened.entry.answer)[FACTS].get(fact)
            if told is not None:
                agreement, version = map(int, told.split("/"))
                self._use((agreement, version), opened)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            self._checks["V16"].breach("what an entry was made under cannot be read", opened.at, opened.entry.entry_id)

    def _assess(self, opened: Opened) -> None:
        """V16 and V17: fees of a window follow from versions that were made, and are posted as they are told."""
        check, entry = self._checks["V17"], opened.entry
        check.looked_at += 1
        try:
            told = json.loads(entry.answer)["answer"]
            name = str(told["calendar"]), str(told["label"])
            fees = [
                (
                    int(fee["payer_id"]),
                    int(fee["payee_id"]),
                    int(fee["fee_minor"]),
                    int(fee["agreement_id"]),
                    int(fee["version"]),
                )
                for fee in told["fees"]
            ]
        except (ValueError, KeyError, TypeError, RecursionError):
            check.breach("the answer of an assessment cannot be read", opened.at, entry.entry_id)
            return
        for *_, agreement, version in fees:
            self._use((agreement, version), opened)
        asked = sorted((payer, payee, fee) for payer, payee, fee, *_ in fees if fee and payer != payee)
        posted = sorted((parties_of(t[0])[0], parties_of(t[1])[0], t[2]) for t in entry.transfers)
        if asked != posted or {t[3] for t in entry.transfers} - {FEE_CODE} or len({t[4] for t in entry.transfers}) > 1:
            check.breach("what an assessment posts is not what it answers", opened.at, entry.entry_id)
        if name in self._assessed:
            check.breach(f"the fees of window {'/'.join(name)} are asked for twice", opened.at, entry.entry_id)
        elif name not in self._cuts and self._bundle.start_size == 0:
            check.breach(f"window {'/'.join(name)} is assessed and was never closed", opened.at, entry.entry_id)
        self._assessed.add(name)

    def _netting(self, opened: Opened) -> None:
        """V17: positions of the answer, transfers of the entry, and the claims of the window say the same."""
        check, entry = self._checks["V17"], opened.entry
        check.looked_at += 1

        def breach(sentence: str) -> None:
            check.breach(sentence, opened.at, entry.entry_id)

        try:
            told = json.loads(entry.answer)["answer"]
            name = str(told["calendar"]), str(told["label"])
            positions = {(int(party), int(unit)): int(net) for party, unit, net in told["positions"]}
        except (ValueError, KeyError, TypeError, RecursionError):
            breach("the answer of a netting cannot be read")
            return
        windows = {transfer[4] for transfer in entry.transfers}
        if len(windows) > 1:
            breach("a netting posts into more than one window")
            return
        if name in self._netted:
            breach(f"window {'/'.join(name)} is netted twice")
        self._netted[name] = told
        self._nettings[entry.entry_id] = name, sorted(tuple(transfer) for transfer in entry.transfers)
        for unit in {unit for _, unit in positions}:
            if sum(net for (_, of), net in positions.items() if of == unit):
                breach("the net positions do not add up to zero")
        if self._bundle.start_size == 0 and len({party for party, _ in positions}) != self._participants:
            breach(f"{len(positions)} participants are netted where the log knows {self._participants}")
        posted = dict.fromkeys(positions, 0)
        for debit, credit, amount, code, _, unit in entry.transfers:
            clearing, sign = (debit, 1) if debit >> KIND_BITS == CLEARING else (credit, -1)
            if code != NETTING_CODE or clearing >> KIND_BITS != CLEARING:
                breach("a netting posts something else than dues")
            key = parties_of(clearing)[0], unit
            posted[key] = posted.get(key, 0) + sign * amount
        if posted != positions:
            breach("what a netting posts is not what it answers")
        if windows:
            self._recompute(name, self._windows[windows.pop()], positions, breach)

    def _settlement(self, opened: Opened) -> None:
        """V17: a payment moves between the bank and a due; a reversed netting is its mirror, and its window is open to
        be netted anew, yet not to claims.
        """
        check, entry = self._checks["V17"], opened.entry
        check.looked_at += 1
        if entry.kind != Kind.NETTING_REVERSAL:
            if any({debit >> KIND_BITS, credit >> KIND_BITS} != {BANK, DUE} for debit, credit, *_ in entry.transfers):
                check.breach("a payment moves something else than a due", opened.at, entry.entry_id)
            return None
        netted = self._nettings.pop(entry.original_entry_id or 0, None)
        if netted is None:
            if self._bundle.start_size:
                return check.lacks("a netting that was reversed lies before the bundle's start")
            return check.breach("what was never netted, or reversed already, is reversed", opened.at, entry.entry_id)
        name, legs = netted
        mirrored = sorted((credit, debit, *more) for debit, credit, *more in entry.transfers)
        if mirrored != legs:
            check.breach("a reversal is not the mirror of its netting", opened.at, entry.entry_id)
        self._netted.pop(name, None)
        return None

    def _recompute(
        self,
        name: tuple[str, str],
        window: Window,
        positions: dict[tuple[int, int], int],
        breach: Callable[[str], None],
    ) -> None:
        window.netted = True
        self._labels[name] = next(number for number, each in self._windows.items() if each is window)
        cut = self._cuts.get(name)
        if cut is None:
            if self._bundle.start_size == 0:
                breach(f"window {'/'.join(name)} is netted and was never closed")
            else:
                self._checks["V17"].lacks(f"window {'/'.join(name)} was closed before the bundle's start")
            return
        if window.last_number > cut:
            breach(f"a claim of batch {window.last_number} lies in window {'/'.join(name)}, which was cut at {cut}")
        net = window.nets()
        if any(net.get(key, 0) != told for key, told in positions.items()) or set(net) - set(positions):
            if self._bundle.start_size:
                self._checks["V17"].lacks(f"claims of window {'/'.join(name)} may lie before the bundle's start")
            else:
                breach(f"the claims of window {'/'.join(name)} do not lead to its net positions")

    def _report(self, place: str, files: dict[str, bytes]) -> None:
        """V17: a settlement report tells what the log leads to."""
        check = self._checks["V17"]
        check.looked_at += 1
        try:
            summary = json.loads(files["summary.json"])
            positions = list(csv.DictReader(io.StringIO(files["positions.csv"].decode())))
            bilateral = list(csv.DictReader(io.StringIO(files["bilateral.csv"].decode())))
            name = str(summary["calendar"]), str(summary["label"])
            told = {row["participant"]: int(row["net_minor"]) for row in positions if row["unit"] == Unit.MONEY.name}
            claims = {
                (row["debtor"], row["creditor"], row["code"], row["unit"]): [
                    int(row["amount_minor"]),
                    int(row["count"]),
                ]
                for row in bilateral
            }
            paid, gross = int(summary["net_minor"]), int(summary["gross_minor"])
        except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
            return check.breach(f"{place}: the settlement report cannot be read ({type(error).__name__})")
        netted = self._netted.get(name)
        if netted is None or name not in self._labels:
            return check.lacks(f"{place}: window {'/'.join(name)} was not netted within the bundle")
        codes, window = self._bundle.participants, self._windows[self._labels[name]]
        own = {
            codes.get(int(party), str(party)): int(net)
            for party, unit, net in netted["positions"]
            if unit == Unit.MONEY
        }
        lines = {
            (codes.get(debtor, ""), codes.get(creditor, ""), name_of(TransferCode, code), unit_name(unit)): sums
            for (debtor, creditor, code, unit), sums in window.claims().items()
        }
        gross_by_log = sum(amount for key, (amount, _) in lines.items() if key[-1] == Unit.MONEY.name)
        sums = sum(net for net in own.values() if net > 0), gross_by_log
        if told != own:
            check.breach(f"{place}: the net positions of the settlement report do not follow from the log")
        if self._bundle.start_size and claims != lines:
            return check.lacks(f"{place}: claims of the window may lie before the bundle's start")
        if claims != lines:
            check.breach(f"{place}: the bilateral claims of the settlement report do not follow from the log")
        if (paid, gross) != sums:
            check.breach(f"{place}: the sums of the settlement report do not follow from the log")
        return None


def unit_name(unit: int) -> str:
    """The name of a unit, as reports write it: points by their number."""
    return f"POINTS {unit}" if unit >= FIRST_OF_POINTS else name_of(Unit, unit)


def name_of(kind: type[IntEnum], number: int) -> str:
    """The name of a number, as reports write it; the number itself where no release knows it."""
    try:
        return kind(number).name
    except ValueError:
        return str(number)
