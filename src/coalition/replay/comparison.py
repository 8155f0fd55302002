"""The verdict: what the second hand computed against what was posted and what was settled, every difference listed.

Three comparisons: each entry's lines with its exported transfers, each participant's position with the sum of the
exported claims, and with the settlement's `positions.csv`. Never corrects anything.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from coalition.replay.facts import Facts
from coalition.replay.recompute import Books, Line, Standing, Window, recompute

CLEARING: Final = "CLEARING("
# Later than every entry: entry ids fit 63 bits.
ENDED: Final = 1 << 63
Positions = defaultdict[Window, defaultdict[str, Standing]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was compared, and every difference as one sentence; none means that both hands agree to the fen."""

    entries: int
    positions: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not self.differences


def judge(export: Path, reports: Mapping[Window, Path]) -> Verdict:
    """Compute the exported journal again and compare; `reports` names the settlement's report of each netted window.

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
    differences += _claim_differences(books, claims)
    positions = 0
    for window, report in sorted(reports.items()):
        settled = read_positions(report / "positions.csv")
        positions += len(settled)
        differences += _position_differences(window, settled, books.positions.get(window, {}), "settled")
        if total := sum(standing.net for standing in settled.values()):
            differences.append(f"{window[0]}/{window[1]}: settled net positions add up to {total}, not to 0")
        for missing in sorted(facts.chains.keys() - settled.keys()):
            if missing in books.positions.get(window, {}):
                differences.append(f"{window[0]}/{window[1]}: {missing} is not in the settlement at all")
    return Verdict(entries, positions, tuple(differences))


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


def _posted(facts: Facts) -> Iterator[tuple[int, dict[Line, int]]]:
    """Exported transfers by entry, in journal order; settlement has lines of its own that are no part of positions."""
    closed = {f"{calendar}/{label}" for calendar, cuts in facts.cuts.items() for _, label in cuts}
    rows = facts.stream(
        "transfers",
        "SELECT entry_id, debit, credit, code, window_label, amount_minor FROM facts WHERE code NOT IN "
        "('NETTING', 'SETTLEMENT_PAYMENT', 'SETTLEMENT_RETURN', 'OPERATOR_ADVANCE') ORDER BY entry_id",
    )
    for entry, group in groupby(rows, key=lambda row: int(row[0])):
        lines: dict[Line, int] = {}
        for _, debit, credit, code, window, amount in group:
            # A window that is still open has no cut: the second hand cannot know its label.
            line = (debit, credit, code, window if window in closed else "")
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
    for (debit, credit, _, window), amount in lines.items():
        if window and debit.startswith(CLEARING) and credit.startswith(CLEARING):
            calendar, _, label = window.partition("/")
            claims[calendar, label][debit[len(CLEARING) : -1]].sent += amount
            claims[calendar, label][credit[len(CLEARING) : -1]].received += amount


def _entry_differences(entry: int, computed: Mapping[Line, int], stored: Mapping[Line, int]) -> Iterator[str]:
    for line in sorted(computed.keys() | stored.keys()):
        if computed.get(line, 0) != stored.get(line, 0):
            debit, credit, code, window = line
            where = f" in {window}" if window else ""
            yield (
                f"entry {entry}: {debit} -> {credit} {code}{where}: "
                f"posted {stored.get(line, 0)}, computed {computed.get(line, 0)}"
            )


def _claim_differences(books: Books, claims: Positions) -> list[str]:
    """Each participant's position in each closed window, from the exported claims."""
    differences: list[str] = []
    for window in sorted(claims.keys() | books.positions.keys()):
        if window[1]:
            differences += _position_differences(
                window, claims.get(window, {}), books.positions.get(window, {}), "posted"
            )
    return differences


def _position_differences(
    window: Window, theirs: Mapping[str, Standing], ours: Mapping[str, Standing], word: str
) -> list[str]:
    nothing = Standing()
    return [
        f"{window[0]}/{window[1]}: {participant}: {word} {told.received} - {told.sent} = {told.net}, "
        f"computed {found.received} - {found.sent} = {found.net}"
        for participant in sorted(theirs.keys() | ours.keys())
        if (told := theirs.get(participant, nothing)) != (found := ours.get(participant, nothing))
    ]
