"""What was asked, read from the exported Parquet files: participants, agreements, wallets, windows, entries.

These are the only inputs of the recomputation. What was posted (transfers) and what was settled (positions) is read by
`comparison.py`, and only to be compared. Never writes.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import duckdb

from coalition.replay.agreed import Content, FactsMissing, Version, read_version
from coalition.replay.asked import ASKED, CLOSING, PASSES_SOLD, SOLD, Asked
from coalition.replay.benefit_sums import PassFacts, PointsFacts
from coalition.replay.sums import ON_US, AcceptanceFacts, AcquiringFacts, CapsFacts, FeesFacts, TermsFacts

TABLES: Final = (
    *("participants", "agreements", "wallets", "windows", "entries", "transfers"),
    *("positions", "runs", "run_parties"),
)
CHAIN: Final = "chain:"
ROWS_AT_A_TIME: Final = 10_000
OPERATOR: Final = "OPERATOR"
MONTH_LETTERS: Final = 7


class Facts:
    """An export directory, opened."""

    def __init__(self, directory: Path) -> None:
        self._database = duckdb.connect()
        for table in TABLES:
            path = directory / f"{table}.parquet"
            if not path.is_file():
                raise FactsMissing(f"{path} is missing: export the journal again")
            self._database.read_parquet(str(path)).create_view(table)
        participants = self.rows("SELECT code, role, chain_code FROM participants")
        self.chains: dict[str, str] = {code: chain for code, _, chain in participants}
        roles = {role: code for code, role, _ in participants}
        self.operator: str = roles["OPERATOR"]
        self.custody: str = roles.get("CUSTODY", "")
        self.recruiters: dict[int, str] = dict(self.rows("SELECT wallet_id, recruiter FROM wallets"))
        self.cuts: dict[str, list[tuple[int, str]]] = {}
        self._closed: dict[tuple[str, str], date] = {}
        for calendar, label, cut, closed in self.rows(
            "SELECT calendar, label, cut_number, CAST(close_date AS DATE) FROM windows ORDER BY 3"
        ):
            self.cuts.setdefault(calendar, []).append((cut, label))
            self._closed[calendar, label] = closed
        self.versions: dict[tuple[str, int], Version] = {}
        self._units: dict[tuple[str, int], int] = {}
        # Card rules and day limits decide what is declined, never what an accepted entry posts, but for one of passes.
        for *row, unit in self.rows("SELECT * FROM agreements WHERE kind NOT IN ('CARD_RULES', 'LIMITS')"):
            version = read_version(*row)
            self.versions[version.code, version.version] = version
            self._units[version.code, version.version] = unit
        self.has_card_rules = bool(self.rows("SELECT code FROM agreements WHERE kind = 'CARD_RULES'"))
        contents = [version.content for version in self.versions.values()]
        self.fee_calendars = {content.calendar for content in contents if isinstance(content, FeesFacts)}
        self._found: dict[tuple[str, str, date], AcceptanceFacts | None] = {}
        self._points = self._points_made()
        self._earned_at: dict[tuple[str, date, int], Version | None] = {}

    def rows(self, statement: str) -> list[Any]:
        """The rows of `statement` over the Parquet files, each a table by its own name."""
        return list(self.stream(statement))

    def stream(self, statement: str) -> Iterator[Any]:
        """The same, a part at a time; several streams may be open."""
        with self._database.cursor() as cursor:
            result = cursor.execute(statement)
            while rows := result.fetchmany(ROWS_AT_A_TIME):
                yield from rows

    def asked(self) -> Iterator[Asked]:
        """Every operation that moves value, points or visits, or was to, in journal order.

        Whose value or pass was sold has no column of its own; the name stands in the account it came from. Nor has the
        window that was assessed or valued; its claims carry it. Only names are taken: every amount is computed.
        """
        sold, passes, closing = (dict(self.rows(names)) for names in (SOLD, PASSES_SOLD, CLOSING))
        told = {"TOP_UP": sold, "PASS_SALE": passes, "ASSESS": closing, "VALUATION": closing}
        for row in self.stream(ASKED):
            yield Asked._make((*row, told.get(row[2], {}).get(row[0], "")))

    def enrolments(self) -> list[tuple[int, str]]:
        """(batch, recruiter) of every member's enrolment. Raises FactsMissing for one that the journal lacks."""
        batches = dict(
            self.rows("SELECT entry_id, number FROM entries WHERE kind = 'MEMBER_ENROLLED' AND reason = 'ACCEPTED'")
        )
        enrolled = []
        for wallet, recruiter, entry in self.rows("SELECT wallet_id, recruiter, enrol_entry_id FROM wallets"):
            if entry not in batches:
                raise FactsMissing(f"wallet {wallet} was opened by entry {entry}, which is no enrolment of the export")
            enrolled.append((batches[entry], recruiter))
        return enrolled

    def window(self, calendar: str, number: int) -> str:
        """The window a claim fell into: the first whose cut is not before the entry's batch; "" if it is still open."""
        cuts = self.cuts.get(calendar, [])
        place = bisect_left(cuts, number, key=lambda cut: cut[0])
        return cuts[place][1] if place < len(cuts) else ""

    def last_day(self, calendar: str, label: str) -> date:
        """The last business date of a closed window: the day it was closed, and none behind its period."""
        try:
            closed = self._closed[calendar, label]
        except KeyError:
            raise FactsMissing(f"window {calendar}/{label} was assessed and is not among the closed ones") from None
        day = date.fromisoformat(label if len(label) > MONTH_LETTERS else f"{label}-01")
        if len(label) <= MONTH_LETTERS:
            day = (day + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return min(closed, day)

    def fees(self, calendar: str, day: date) -> list[FeesFacts]:
        """The schedules in force for windows of a calendar, one for each payer, its own before its chain's."""
        measures = sorted({version.parties[1:] for version in self.versions.values() if version.kind == "FEES"})
        found = []
        for participant in self.chains:
            for measure in measures:
                contents = (self._only(("FEES", (party, *measure)), day) for party in self.parties(participant))
                content = next((each for each in contents if each is not None), None)
                if isinstance(content, FeesFacts) and content.calendar == calendar:
                    payee = self.operator if content.payee == OPERATOR else content.payee
                    found.append(replace(content, payer=participant, payee=payee))
        return found

    def caps(self) -> list[CapsFacts]:
        """Every participant's cap; the demo's hold from the first day on."""
        return [each.content for each in self.versions.values() if isinstance(each.content, CapsFacts)]

    def _only(self, key: tuple[str, tuple[str, ...]], day: date) -> Content | None:
        """The version in force of the one agreement between these parties. Raises FactsMissing where there are two."""
        matching = [v for v in self.versions.values() if (v.kind, v.parties) == key and v.first <= day]
        if len({version.code for version in matching}) > 1:
            raise FactsMissing(f"two agreements of kind {key[0]} hold for {', '.join(key[1])}: which, is not exported")
        newest = max(matching, key=lambda version: version.version, default=None)
        return newest.content if newest and newest.in_force(day) else None

    def netted_windows(self) -> set[tuple[str, str]]:
        """Every window that was netted."""
        return set(self.rows("SELECT DISTINCT calendar, label FROM positions"))

    def points_at(self, asked: Asked) -> Version | None:
        """Under which version of a points programme a sale earns: of those made before it; its own before its chain's.

        Raises FactsMissing where two programmes are earned at a participant.
        """
        made = bisect_left(self._points, asked.number, key=lambda each: each[0])
        key = (asked.participant, asked.business_date, made)
        if key not in self._earned_at:
            begun = {each.code: each for _, each in self._points[:made] if each.first <= asked.business_date}
            agreed = [each for each in begun.values() if each.in_force(asked.business_date)]
            found = [
                [each for each in agreed if isinstance(each.content, PointsFacts) and party in each.content.earned_at]
                for party in self.parties(asked.participant)
            ]
            here = next(filter(None, found), [])
            if len(here) > 1:
                raise FactsMissing(f"two points programmes are earned at {asked.participant}: which, is not exported")
            self._earned_at[key] = here[0] if here else None
        return self._earned_at[key]

    def points_version(self, code: str, version: int) -> PointsFacts:
        """What a version of a points programme says."""
        found = self.versions.get((code, version))
        if found is None or not isinstance(found.content, PointsFacts):
            raise FactsMissing(f"points were moved under {code!r} version {version}: no programme of the export")
        return found.content

    def unit(self, code: str, version: int) -> int:
        """The unit of a version of a points programme."""
        return self._units[code, version]

    def worth_of(self, unit: int) -> Fraction:
        """What a point of a unit is worth, minor units."""
        return next(self.points_version(*key).value for key, each in self._units.items() if each == unit)

    def pass_terms(self, asked: Asked) -> PassFacts:
        content = self._version(asked).content
        if not isinstance(content, PassFacts):
            raise FactsMissing(f"entry {asked.entry}: {asked.agreement} sells no pass")
        return content

    def _points_made(self) -> list[tuple[int, Version]]:
        """The batch that made each version of a points programme, in their order."""
        made = self.rows(
            "SELECT number, agreement, agreement_version FROM entries WHERE reason = 'ACCEPTED'"
            " AND kind IN ('AGREEMENT_CREATED', 'AGREEMENT_REVISED') ORDER BY number, place"
        )
        points = {key for key, version in self.versions.items() if version.kind == "POINTS"}
        if missing := points - {(code, version) for _, code, version in made}:
            raise FactsMissing(f"when {min(missing)} was made is not in the exported journal")
        return [(number, self.versions[code, version]) for number, code, version in made if (code, version) in points]

    def terms(self, asked: Asked) -> TermsFacts:
        content = self._version(asked).content
        if not isinstance(content, TermsFacts):
            raise FactsMissing(f"entry {asked.entry}: {asked.agreement} holds no terms")
        return content

    def acquiring(self, asked: Asked) -> AcquiringFacts:
        content = self._version(asked).content
        if not isinstance(content, AcquiringFacts):
            raise FactsMissing(f"entry {asked.entry}: {asked.agreement} is no acquiring agreement")
        return content

    def taken(self, issuer: str, asked: Asked) -> AcceptanceFacts | None:
        """Under what an issuer's value is taken where something was asked; its own everybody takes. None: it is not."""
        if issuer == asked.participant:
            return ON_US
        return self.acceptance(issuer, asked.participant, asked.business_date)

    def acceptance(self, issuer: str, acquirer: str, day: date) -> AcceptanceFacts | None:
        """The most specific acceptance in force, both codes first, then the acquirer's chain, then the issuer's."""
        key = (issuer, acquirer, day)
        if key not in self._found:
            self._found[key] = self._acceptance(issuer, acquirer, day)
        return self._found[key]

    def _acceptance(self, issuer: str, acquirer: str, day: date) -> AcceptanceFacts | None:
        for pair in ((a, b) for a in self.parties(issuer) for b in self.parties(acquirer)):
            matching = [v for v in self.versions.values() if v.kind == "ACCEPTANCE" and v.parties == pair]
            # Of each agreement the highest version that has begun decides alone, also when it has ended.
            begun = {v.code: v for v in sorted(matching, key=lambda each: each.version) if v.first <= day}
            in_force = [v for v in begun.values() if v.in_force(day)]
            if in_force:
                content = max(in_force, key=lambda version: version.version).content
                return content if isinstance(content, AcceptanceFacts) and content.accepted else None
        # Nothing was agreed: a chain takes its own card, as if it were the acquirer's.
        chain = self.chains.get(issuer, "")
        return ON_US if chain and chain == self.chains.get(acquirer, "") else None

    def parties(self, participant: str) -> list[str]:
        """As whom agreements name a participant: itself, then its chain."""
        chain = self.chains.get(participant, "")
        return [participant, f"{CHAIN}{chain}"] if chain else [participant]

    def _version(self, asked: Asked) -> Version:
        try:
            return self.versions[asked.agreement, asked.version]
        except KeyError:
            raise FactsMissing(
                f"entry {asked.entry} names agreement {asked.agreement!r} version {asked.version}: not exported"
            ) from None
