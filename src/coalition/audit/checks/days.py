"""V18: closes of terminals' days. Numbered without gaps, each names the one before, signed by its terminal, and the
differences that were told are those between what it stated and what the log counts. Its certificate is of an authority
that the trust file names, and names whoever sent the close.

Up to where a close counted stands in the tables, which are read first: so a terminal needs one running count, whatever
the length of its day.
"""

import binascii
import hashlib
from base64 import b64decode
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from coalition.audit.bundle import Bundle
from coalition.audit.bundle_format import BundleDamaged
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind

Signed: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""Whether a certificate's (PEM) key made this signature over this day close: (certificate, statement, signature)."""
Issued: TypeAlias = Callable[[bytes, Sequence[bytes], str], str | None]
"""The path that a certificate (PEM) names, None unless one of these authorities issued it within the trust domain:
(certificate, authorities' public keys, trust domain).
"""
Totals: TypeAlias = dict[int, tuple[int, int, int]]
"""By kind: how many were accepted, their amounts in minor units, how many were declined."""
NOTHING: Final = (0, 0, 0)
TITLE: Final = "coalition day close 1"
HEAD_LINES: Final = 5


class Terminals(NamedTuple):
    """How terminals' signatures are judged: by whose certificates, by which functions."""

    signed: Signed
    issued: Issued
    authorities: Sequence[bytes]
    trust_domain: str


class Stated(NamedTuple):
    """A row of the table: the close as the terminal signed it, and up to which entry it was counted."""

    last_entry_id: int
    statement: bytes
    signature: bytes
    certificate: bytes


class DayChecks:
    """Sees every entry and act. `terminals` None: signatures are not looked at, and the check says so."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables, terminals: Terminals | None) -> None:
        self._bundle = bundle
        self._check = report.checks["V18"]
        self._tables = tables
        self._terminals = terminals
        self._rows: dict[tuple[int, int], Stated] = {}
        self._until: dict[int, deque[int]] = defaultdict(deque)  # by terminal: where its next closes end
        self._count: dict[int, dict[int, list[int]]] = defaultdict(dict)
        self._counted: dict[int, deque[Totals]] = defaultdict(deque)  # at each end that was passed
        self._before: dict[int, Totals] = {}  # at a terminal's last close
        self._chain: dict[int, tuple[int, str]] = {}
        if tables.are_there:
            self._read_rows()

    def entry(self, opened: Opened) -> None:
        """The next operation that was made at a terminal."""
        entry = opened.entry
        terminal = entry.terminal_id
        until = self._until.get(terminal)
        if until:
            self._pass(terminal, until, entry.entry_id)
        kinds = self._count[terminal]
        counted = kinds.get(entry.kind)
        if counted is None:
            counted = kinds[entry.kind] = [0, 0, 0]
        if entry.reason:
            counted[2] += 1
        else:
            counted[0] += 1
            counted[1] += entry.amount_minor

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        if opened.entry.kind != Kind.TERMINAL_DAY_CLOSED:
            return
        check, terminal, number = self._check, int(told["terminal_id"]), int(told["number"])
        check.looked_at += 1
        place = f"close {number} of terminal {terminal}"

        def breach(sentence: str) -> None:
            check.breach(sentence, opened.at, opened.entry.entry_id)

        known = self._chain.get(terminal)
        if known is None:
            known = (0, "") if self._bundle.start_size == 0 else (number - 1, told.get("previous_hash", ""))
        if number != known[0] + 1:
            breach(f"{place} stands where close {known[0] + 1} follows")
        if told.get("previous_hash", known[1]) != known[1]:
            breach(f"{place} does not name the close before it")
        self._chain[terminal] = number, told["statement_hash"]
        if self._tables.are_there:
            self._row(opened, terminal, number, told, place, breach)

    def _row(
        self,
        opened: Opened,
        terminal: int,
        number: int,
        told: dict[str, Any],
        place: str,
        breach: Callable[[str], None],
    ) -> None:
        """The close as it lies in the tables."""
        row = self._rows.pop((terminal, number), None)
        if row is None:
            if number_of(opened.entry.entry_id) <= self._tables.since:
                breach(f"{place} is gone from the tables")
            return
        if hashlib.sha256(row.statement).hexdigest() != told["statement_hash"]:
            breach(f"{place} is another statement in the tables than was recorded")
            return
        self._signature(opened, row, place, breach)
        if told.get("certificate_sha256", "") != hashlib.sha256(row.certificate).hexdigest():
            breach(f"{place} has another certificate in the tables than it was signed with")
        if told.get("last_entry_id") != row.last_entry_id:
            breach(f"{place} was counted up to another entry than the tables say")
        self._compare(terminal, row, told, place, breach)

    def _signature(self, opened: Opened, row: Stated, place: str, breach: Callable[[str], None]) -> None:
        """By the certificate beside it, which an authority that is pinned issued to whoever sent the close."""
        terminals = self._terminals
        if terminals is None:
            return self._check.lacks("no verifier of terminals' signatures was handed in")
        if not terminals.signed(row.certificate, row.statement, row.signature):
            breach(f"{place} is not signed by the certificate beside it")
        if not terminals.authorities:
            return self._check.lacks("the trust file names no authority of terminals' certificates: get one that does")
        named = terminals.issued(row.certificate, terminals.authorities, terminals.trust_domain)
        if named is None:
            return breach(f"{place} is signed with a certificate of no authority that the trust file names")
        if opened.actor not in {named, None}:
            return breach(f"{place} is signed with a certificate of {named}, and {opened.actor} sent it")
        stated = row.statement.decode("ascii", "replace").splitlines()[1:2]
        if named.startswith("/t/") and stated != [named.removeprefix("/t/")]:
            breach(f"{place} is signed by {named}, and is a close of another terminal")
        return None

    def finish(self) -> None:
        """Everything was seen."""
        for terminal, number in self._rows:
            self._tables.stray(
                self._check, f"no entry records close {number} of terminal {terminal}, which is in the tables"
            )

    def _compare(
        self, terminal: int, row: Stated, told: dict[str, Any], place: str, breach: Callable[[str], None]
    ) -> None:
        self._pass(terminal, self._until[terminal], row.last_entry_id + 1)
        now = self._counted[terminal].popleft() if self._counted[terminal] else {}
        is_first = terminal not in self._before
        before, self._before[terminal] = self._before.get(terminal, {}), now
        if self._bundle.start_size and is_first:
            return self._check.lacks(f"{place} may count what lies before the bundle's start")
        recorded = {
            kind: (now[kind][0] - one[0], now[kind][1] - one[1], now[kind][2] - one[2])
            for kind in now
            for one in (before.get(kind, NOTHING),)
        }
        stated = totals_of(row.statement)
        if stated is None:
            return breach(f"{place} cannot be read")
        expected = [
            [kind, told_total(stated.get(kind)), told_total(recorded.get(kind, NOTHING))]
            for kind in sorted(stated.keys() | recorded.keys())
            if stated.get(kind, NOTHING) != recorded.get(kind, NOTHING)
        ]
        said = [[kind, mine, theirs] for kind, request_id, mine, theirs in told["differences"] if request_id is None]
        if [[kind, mine or list(NOTHING), theirs or list(NOTHING)] for kind, mine, theirs in said] != expected:
            breach(f"{place}: what the log counts differs otherwise from what was stated than was told")
        if told["difference_count"] < len(told["differences"]):
            breach(f"{place} tells more differences than it counts")
        return None

    def _pass(self, terminal: int, until: "deque[int]", entry_id: int) -> None:
        """Keep the count at every end that lies before this entry."""
        while until and until[0] < entry_id:
            until.popleft()
            counted = self._count.get(terminal, {})
            self._counted[terminal].append({kind: (sums[0], sums[1], sums[2]) for kind, sums in counted.items()})

    def _read_rows(self) -> None:
        for terminal, number, last_entry_id, statement, signature, certificate in self._bundle.state("day_closes"):
            try:
                row = Stated(
                    last_entry_id, statement.encode(), b64decode(signature, validate=True), certificate.encode()
                )
            except (binascii.Error, ValueError, AttributeError) as error:
                raise BundleDamaged("a close of a day in the bundle cannot be read") from error
            self._rows[int(terminal), int(number)] = row
            self._until[int(terminal)].append(int(last_entry_id))


def totals_of(statement: bytes) -> Totals | None:
    """The totals that a statement states (domain/day_close.py writes it); None for what is none."""
    lines = statement.decode("ascii", "replace").splitlines()
    if len(lines) <= HEAD_LINES or lines[0] != TITLE or not lines[-1].startswith("operations "):
        return None
    found: Totals = {}
    try:
        for line in lines[HEAD_LINES:-1]:
            kind, count, minor, declined = map(int, line.split(" "))
            found[kind] = count, minor, declined
    except ValueError:
        return None
    return found


def told_total(total: tuple[int, int, int] | None) -> list[int]:
    """A total as acts tell it."""
    return list(total or NOTHING)
