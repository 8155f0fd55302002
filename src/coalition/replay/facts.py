"""What was asked, read from the exported Parquet files: participants, agreements, wallets, windows, entries.

These are the only inputs of the recomputation. What was posted (transfers) and what was settled (positions) is read by
`comparison.py`, and only to be compared. Never writes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from coalition.replay.sums import ON_US, AcceptanceFacts, AcquiringFacts, TermsFacts

CHAIN: Final = "chain:"
ROWS_AT_A_TIME: Final = 10_000
Content = TermsFacts | AcceptanceFacts | AcquiringFacts


class FactsMissing(Exception):
    """The export does not say what an entry needs to be computed again."""


class Asked(NamedTuple):
    """One accepted operation as it was asked for, in journal order."""

    entry: int
    number: int
    kind: str
    participant: str
    wallet: int
    amount: int
    original: int
    agreement: str
    version: int
    business_date: date
    issuer_sold: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an agreement; in force from its first day until the day before `until`."""

    code: str
    version: int
    kind: str
    first: date
    until: date | None
    parties: tuple[str, ...]
    content: Content

    def in_force(self, day: date) -> bool:
        return self.first <= day and (self.until is None or day < self.until)


class Facts:
    """An export directory, opened."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        participants = self.rows("participants", "SELECT code, role, chain_code FROM facts")
        self.chains: dict[str, str] = {code: chain for code, _, chain in participants}
        roles = {role: code for code, role, _ in participants}
        self.operator: str = roles["OPERATOR"]
        self.custody: str = roles.get("CUSTODY", "")
        self.recruiters: dict[int, str] = dict(self.rows("wallets", "SELECT wallet_id, recruiter FROM facts"))
        self.cuts: dict[str, list[tuple[int, str]]] = {}
        for calendar, label, cut in self.rows("windows", "SELECT calendar, label, cut_number FROM facts ORDER BY 3"):
            self.cuts.setdefault(calendar, []).append((cut, label))
        self.versions: dict[tuple[str, int], Version] = {}
        # Card rules and day limits decide what is declined, never what an accepted entry posts.
        for row in self.rows("agreements", "SELECT * FROM facts WHERE kind NOT IN ('CARD_RULES', 'LIMITS')"):
            version = _version(*row)
            self.versions[version.code, version.version] = version
        self._found: dict[tuple[str, str, date], AcceptanceFacts | None] = {}

    def rows(self, table: str, statement: str) -> list[Any]:
        """The rows of `statement` over one Parquet file, which it calls `facts`."""
        return list(self.stream(table, statement))

    def stream(self, table: str, statement: str) -> Iterator[Any]:
        """The same, a part at a time; several streams may be open."""
        path = self._directory / f"{table}.parquet"
        if not path.is_file():
            raise FactsMissing(f"{path} is missing: export the journal again")
        with duckdb.connect() as database:
            database.read_parquet(str(path)).create_view("facts")
            result = database.execute(statement)
            while rows := result.fetchmany(ROWS_AT_A_TIME):
                yield from rows

    def asked(self) -> Iterator[Asked]:
        """Every accepted operation that moves value, in journal order.

        Which issuer's value a top-up sold has no column of its own; the name stands in the account the lot came from.
        Only the name is taken from there: every amount is computed.
        """
        sold = dict(
            self.rows(
                "transfers",
                "SELECT entry_id, regexp_extract(min(debit), '^(FLOAT[(][^,]*,|BONUS[(])([^)]*)[)]$', 2) FROM facts"
                " WHERE credit = 'WALLET' AND code IN ('PRINCIPAL', 'BONUS') GROUP BY 1",
            )
        )
        for row in self.stream(
            "entries",
            "SELECT entry_id, number, kind, participant, wallet_id, amount_minor, original_entry_id, agreement,"
            " agreement_version, CAST(business_date AS DATE) FROM facts"
            " WHERE reason = 'ACCEPTED' AND wallet_id <> 0 AND amount_minor > 0 ORDER BY number, place",
        ):
            yield Asked._make((*row, sold.get(row[0], "") if row[2] == "TOP_UP" else ""))

    def window(self, calendar: str, number: int) -> str:
        """The window a claim fell into: the first whose cut is not before the entry's batch; "" if it is still open."""
        return next((label for cut, label in self.cuts.get(calendar, []) if number <= cut), "")

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

    def acceptance(self, issuer: str, acquirer: str, day: date) -> AcceptanceFacts | None:
        """The most specific acceptance in force, both codes first, then the acquirer's chain, then the issuer's."""
        key = (issuer, acquirer, day)
        if key not in self._found:
            self._found[key] = self._acceptance(issuer, acquirer, day)
        return self._found[key]

    def _acceptance(self, issuer: str, acquirer: str, day: date) -> AcceptanceFacts | None:
        for pair in ((a, b) for a in self._parties(issuer) for b in self._parties(acquirer)):
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

    def _parties(self, participant: str) -> list[str]:
        chain = self.chains.get(participant, "")
        return [participant, f"{CHAIN}{chain}"] if chain else [participant]

    def _version(self, asked: Asked) -> Version:
        try:
            return self.versions[asked.agreement, asked.version]
        except KeyError:
            raise FactsMissing(
                f"entry {asked.entry} names agreement {asked.agreement!r} version {asked.version}: not exported"
            ) from None


def _version(code: str, version: int, kind: str, first: str, until: str, content: str) -> Version:
    told: Mapping[str, Any] = json.loads(content)
    parties: tuple[str, ...]
    match kind:
        case "TERMS":
            parties, facts = (told["issuer"],), _terms(told)
        case "ACCEPTANCE":
            parties, facts = (told["issuer"], told["acquirer"]), _acceptance(code, version, told)
        case "ACQUIRING":
            parties, facts = (told["acquirer"],), _acquiring(told)
        case _:
            raise FactsMissing(f"agreement {code} is of unknown kind {kind}")
    end = date.fromisoformat(until) if until else None
    return Version(code, version, kind, date.fromisoformat(first), end, parties, facts)


def _terms(told: Mapping[str, Any]) -> Content:
    return TermsFacts(
        issuer=told["issuer"],
        operator_held=told.get("custody") == "OPERATOR_HELD",
        tiers=tuple((int(tier["from_minor"]), Fraction(tier["bonus"])) for tier in told.get("tiers", [])),
        bonus_months=told.get("bonus_months"),
        sponsor=told.get("sponsor") or "",
        sponsor_share=Fraction(told.get("sponsor_share", "0")),
        seller_commission=Fraction(told.get("seller_commission", "0")),
        calendar=told.get("calendar", "monthly"),
    )


def _acceptance(code: str, version: int, told: Mapping[str, Any]) -> Content:
    return AcceptanceFacts(
        agreement=code,
        version=version,
        accepted=bool(told.get("accepted", True)),
        issuer_bonus_share=Fraction(told.get("issuer_bonus_share", "1")),
        interchange=Fraction(told.get("interchange", "0")),
        interchange_on_gross=told.get("interchange_base", "GROSS") == "GROSS",
        fees_return=bool(told.get("fees_return", True)),
        calendar=told.get("calendar", "monthly"),
    )


def _acquiring(told: Mapping[str, Any]) -> Content:
    return AcquiringFacts(
        operator_fee=Fraction(told.get("operator_fee", "0")),
        commission=Fraction(told.get("commission", "0")),
        commission_to=told.get("commission_to", "RECRUITER"),
        on_gross=told.get("fee_base", "GROSS") == "GROSS",
        fees_return=bool(told.get("fees_return", True)),
        calendar=told.get("calendar", "monthly"),
    )
