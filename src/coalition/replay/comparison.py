"""The verdict: what the second hand computed against what was posted and what was settled, every difference listed.

Each entry's lines are compared with its exported transfers, each participant's position in each window with the sum of
the exported claims, with the netting, and with the reports' `positions.csv`; what is due and paid with the runs;
declines for a cap with what was owed. Never corrects anything.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from coalition.replay.dues import settle
from coalition.replay.exposure import Exposure, explain
from coalition.replay.facts import Facts
from coalition.replay.posting import FIRST_OF_POINTS, MONEY, Books, Line, Standing, Window
from coalition.replay.recompute import recompute

CLEARING: Final = "CLEARING("
POSTED: Final = """
SELECT entry_id, debit, credit, code, window_label, unit, amount_minor FROM transfers
WHERE NOT regexp_matches(debit || ' ' || credit, '(DUE|COLLATERAL)[(]|BANK') ORDER BY entry_id
"""
# Later than every entry: entry ids fit 63 bits.
ENDED: Final = 1 << 63
Positions = defaultdict[tuple[Window, int], defaultdict[str, Standing]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was compared, and every difference as one sentence; none means that both hands agree to the fen.

    `fees` of windows and `payments` of runs were computed again; `left` is what is still due of anybody, minor units.
    `benefits` counts what was done with points and passes, by the names of `Books.count`; `declines` were explained.
    """

    entries: int
    positions: int
    differences: tuple[str, ...]
    windows: int = 0
    fees: int = 0
    payments: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    exposures: tuple[Exposure, ...] = ()
    benefits: Mapping[str, int] = field(default_factory=dict)
    declines: int = 0

    @property
    def equal(self) -> bool:
        return not self.differences


def judge(export: Path, reports: Mapping[Window, Path]) -> Verdict:
    """Compute the exported journal again and compare; `reports` names the settlement's reports of netted windows.

    Raises FactsMissing if the export lacks something the computation needs.
    """
    facts, books = Facts(export), Books()
    claims: Positions = defaultdict(lambda: defaultdict(Standing))
    entries = 0
    differences: list[str] = []
    for entry, computed, stored in _side_by_side(recompute(facts, books), _posted(facts)):
        entries += 1
        _add_claims(claims, stored)
        if computed != stored:
            differences += _entry_differences(entry, computed, stored)
    differences += books.told
    differences += _claim_differences(books, claims)
    netted = _netted(facts)
    for (window, unit), standings in sorted(netted.items()):
        if unit == MONEY:
            differences += _settled_differences(facts, books, window, standings, "netted")
    differences += _points_differences(books, netted)
    for window, report in sorted(reports.items()):
        differences += _settled_differences(facts, books, window, read_positions(report / "positions.csv"), "settled")
    settled = settle(facts, books)
    exposures, unexplained = explain(facts)
    return Verdict(
        entries,
        sum(map(len, netted.values())),
        (*differences, *settled.differences, *unexplained),
        len({window for window, _ in netted}),
        books.fees,
        settled.payments,
        settled.left,
        tuple(exposures),
        _benefits(books),
        books.declines,
    )


def _benefits(books: Books) -> Counter[str]:
    """What was done with points and passes, and what is left of them."""
    passes = [held for of_wallet in books.passes.values() for held in of_wallet]
    counted = books.count.copy()
    counted["left"] = sum(books.points.values())
    counted["visits left"] = sum(held.visits for held in passes)
    counted["prepaid"] = sum(held.principal for held in passes)
    return counted


def read_positions(path: Path) -> dict[str, Standing]:
    """The settlement's positions in money; they carry what was received, sent, and the net as it was settled."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["unit"] == "MONEY"]
    settled = {row["participant"]: Standing(int(row["received_minor"]), int(row["sent_minor"])) for row in rows}
    for row in rows:
        if settled[row["participant"]].net != int(row["net_minor"]):
            raise ValueError(f"{path}: {row['participant']}: received less sent is not its net position")
    return settled


def read_names(path: Path) -> dict[str, str]:
    """The participants' display names beside their codes."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["participant"]: row["display_name"] for row in csv.DictReader(file)}


def _netted(facts: Facts) -> dict[tuple[Window, int], dict[str, Standing]]:
    """Every window as it was netted, by unit: what each participant was told to have received and sent."""
    netted: dict[tuple[Window, int], dict[str, Standing]] = {}
    for calendar, label, participant, received, sent, unit in facts.stream("SELECT * FROM positions"):
        netted.setdefault(((calendar, label), unit), {})[participant] = Standing(received, sent)
    return netted


def _points_differences(books: Books, netted: Mapping[tuple[Window, int], Mapping[str, Standing]]) -> Iterator[str]:
    """Of netted windows and each unit of points: every participant's position, which the valuation has made zero."""
    windows = {window for window, _ in netted}
    for place in sorted(netted.keys() | books.in_points.keys()):
        window, unit = place
        if unit == MONEY or window not in windows:
            continue
        told, computed = netted.get(place, {}), books.in_points.get(place, {})
        yield from _position_differences(window, told, computed, "netted", unit)
        for participant, standing in sorted(told.items()):
            if standing.net:
                left = f"{standing.net} {_unit(unit)}"
                yield f"{window[0]}/{window[1]}: {participant}: {left} were left when it was netted"


def _settled_differences(
    facts: Facts, books: Books, window: Window, settled: Mapping[str, Standing], word: str
) -> list[str]:
    """Of one netted window: every participant's position, their sum, and who is not listed at all."""
    computed = books.positions.get(window, {})
    differences = _position_differences(window, settled, computed, word)
    if total := sum(standing.net for standing in settled.values()):
        differences.append(f"{window[0]}/{window[1]}: {word} net positions add up to {total}, not to 0")
    return differences + [
        f"{window[0]}/{window[1]}: {missing} is not in what was {word} at all"
        for missing in sorted(facts.chains.keys() - settled.keys())
        if missing in computed
    ]


def _posted(facts: Facts) -> Iterator[tuple[int, dict[Line, int]]]:
    """Exported transfers by entry, in journal order; settlement has lines of its own that are no part of positions."""
    closed = {f"{calendar}/{label}" for calendar, cuts in facts.cuts.items() for _, label in cuts}
    rows = facts.stream(POSTED)
    for entry, group in groupby(rows, key=lambda row: int(row[0])):
        lines: dict[Line, int] = {}
        for _, debit, credit, code, window, unit, amount in group:
            # A window that is still open has no cut: the second hand cannot know its label.
            line = (debit, credit, code, window if window in closed else "", unit)
            lines[line] = lines.get(line, 0) + amount
        yield entry, lines


def _side_by_side(
    computed: Iterator[tuple[int, dict[Line, int]]], stored: Iterator[tuple[int, dict[Line, int]]]
) -> Iterator[tuple[int, dict[Line, int], dict[Line, int]]]:
    """Both hands' lines of each entry; what one of them does not have is empty. Both come in journal order."""
    nothing: tuple[int, dict[Line, int]] = (ENDED, {})
    ours, theirs = next(computed, nothing), next(stored, nothing)
    while ours[0] != ENDED or theirs[0] != ENDED:
        entry = min(ours[0], theirs[0])
        yield entry, ours[1] if ours[0] == entry else {}, theirs[1] if theirs[0] == entry else {}
        if ours[0] == entry:
            ours = next(computed, nothing)
        if theirs[0] == entry:
            theirs = next(stored, nothing)


def _add_claims(claims: Positions, lines: Mapping[Line, int]) -> None:
    for (debit, credit, _, window, unit), amount in lines.items():
        if window and debit.startswith(CLEARING) and credit.startswith(CLEARING):
            calendar, _, label = window.partition("/")
            standings = claims[(calendar, label), unit]
            standings[debit[len(CLEARING) : -1]].sent += amount
            standings[credit[len(CLEARING) : -1]].received += amount


def _entry_differences(entry: int, computed: Mapping[Line, int], stored: Mapping[Line, int]) -> Iterator[str]:
    for line in sorted(computed.keys() | stored.keys()):
        if computed.get(line, 0) != stored.get(line, 0):
            debit, credit, code, window, unit = line
            where = f" in {window}" if window else ""
            yield (
                f"entry {entry}: {debit} -> {credit} {code}{_of_unit(unit)}{where}: "
                f"posted {stored.get(line, 0)}, computed {computed.get(line, 0)}"
            )


def _claim_differences(books: Books, claims: Positions) -> list[str]:
    """Each participant's position in each closed window and unit, from the exported claims."""
    ours = {(window, MONEY): standings for window, standings in books.positions.items()} | books.in_points
    differences: list[str] = []
    for place in sorted(claims.keys() | ours.keys()):
        window, unit = place
        if window[1]:
            differences += _position_differences(window, claims.get(place, {}), ours.get(place, {}), "posted", unit)
    return differences


def _position_differences(
    window: Window, theirs: Mapping[str, Standing], ours: Mapping[str, Standing], word: str, unit: int = MONEY
) -> list[str]:
    nothing = Standing()
    return [
        f"{window[0]}/{window[1]}: {participant}: {word}{_of_unit(unit)} {told.received} - {told.sent} = {told.net}, "
        f"computed {found.received} - {found.sent} = {found.net}"
        for participant in sorted(theirs.keys() | ours.keys())
        if (told := theirs.get(participant, nothing)) != (found := ours.get(participant, nothing))
    ]


def _of_unit(unit: int) -> str:
    """What an amount counts, where it is no money."""
    return "" if unit == MONEY else f" in {_unit(unit)}"


def _unit(unit: int) -> str:
    return f"points of unit {unit}" if unit >= FIRST_OF_POINTS else "visits"
