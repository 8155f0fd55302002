"""A small export made by hand: what was asked, what was posted and what was settled, as Parquet and CSV."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coalition.replay.export import write_table

DAY = "2017-01-31"
ENROLMENT = 1_000_000  # in batch 0, before everything
# (debit, credit, amount, code), and the unit where it is no money.
Claim = tuple[str, str, int, str] | tuple[str, str, int, str, int]
MONEY = 1
VISITS = 2
FIRST_OF_POINTS = 100
# What an answer told of passes and points, in the order of the columns.
TOLD = ("pass_entry", "visits", "visits_left", "points", "points_balance", "points_worth")
# (kind, participant, amount, original, agreement, [(debit, credit, amount, code), ...])
CAPPED = "PARTICIPANT_CAPPED"
NOTHING_TOLD = (0,) * (1 + len(TOLD))
Operation = tuple[str, str, int, int, str, Sequence[Claim]]


@dataclass
class Export:
    """An export directory under construction; each operation is a batch of its own, `close_month` cuts."""

    directory: Path
    agreements: list[tuple[str, str, dict[str, Any]]]
    recruiter: str = "a"
    chains: dict[str, str] = field(default_factory=dict)
    runs: list[tuple[int, int, str]] = field(default_factory=list)
    run_parties: list[tuple[int, str, int, int, int]] = field(default_factory=list)
    positions: list[tuple[str, str, str, int, int, int]] = field(default_factory=list)
    revised: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)
    transfers: list[tuple[Any, ...]] = field(default_factory=list)
    cuts: list[tuple[str, str, int, str]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"2017-{len(self.cuts) + 1:02d}"

    def post(
        self,
        kind: str,
        participant: str,
        amount: int,
        agreement: str,
        lines: Sequence[Claim],
        *,
        original: int = 0,
        version: int = 1,
        **told: int,
    ) -> int:
        """An operation with the transfers it posted; its entry id is its batch. `told` are columns of `TOLD`."""
        entry = len(self.entries) + 1
        asked = (participant, 7, amount, original, agreement, version, DAY, "", 0)
        self.entries.append((entry, entry, 0, kind, "ACCEPTED", *asked, *(told.get(name, 0) for name in TOLD)))
        self._add(entry, lines, self.label)
        return entry

    def revise(self, code: str, content: dict[str, Any]) -> None:
        """The next version of an agreement, from now on."""
        kind = next(kind for known, kind, _ in self.agreements if known == code)
        self.revised.append((code, kind, content))
        version = 1 + sum(known == code for known, _, _ in self.revised)
        self._act("AGREEMENT_REVISED", code, version)

    def act(self, kind: str, lines: Sequence[Claim], label: str = "", *, reason: str = "ACCEPTED") -> int:
        """An entry that is about no wallet: an assessment, a netting, a bank's line; `label` tags its lines."""
        entry = self._act(kind, reason=reason)
        self._add(entry, lines, label)
        return entry

    def _act(self, kind: str, agreement: str = "", version: int = 0, *, reason: str = "ACCEPTED") -> int:
        entry = len(self.entries) + 1
        self.entries.append((entry, entry, 0, kind, reason, "h", 0, 0, 0, agreement, version, DAY, "", *NOTHING_TOLD))
        return entry

    def _add(self, entry: int, lines: Sequence[Claim], label: str) -> None:
        """Claims carry the window; of an act's lines that are none, those of a netting do, too."""
        is_act = self.entries[entry - 1][6] == 0
        for leg, (debit, credit, value, code, *unit) in enumerate(lines):
            tagged = label and (is_act or debit.startswith("CLEARING"))
            window = f"monthly/{label}" if tagged else ""
            self.transfers.append((entry, leg, debit, credit, value, code, window, *(unit or (MONEY,))))

    def decline(self, kind: str, participant: str, amount: int, capped: str, reason: str = CAPPED, **told: int) -> int:
        """An operation that was declined, for whose cap; `balance` is what the till was told of the wallet."""
        entry = len(self.entries) + 1
        row = (entry, entry, 0, kind, reason, participant, told.get("wallet", 7), amount, 0, "", 0, DAY, capped)
        self.entries.append((*row, told.get("balance", 0), *NOTHING_TOLD[1:]))
        return entry

    def net(self, label: str, standings: dict[str, tuple[int, int]]) -> None:
        """What netting wrote of a window: participant -> (received, sent)."""
        self.positions += [("monthly", label, code, got, gave, MONEY) for code, (got, gave) in standings.items()]
        nets = {code: got - gave for code, (got, gave) in standings.items() if got != gave}
        self.act("NETTING", [_of_due(code, net, f"CLEARING({code})", "NETTING") for code, net in nets.items()], label)

    def stand_in_points(self, label: str, unit: int, standings: dict[str, int]) -> None:
        """What netting wrote of a unit of points: whoever received some has sent as many."""
        self.positions += [("monthly", label, code, count, count, unit) for code, count in standings.items()]

    def pay(self, labels: Sequence[str], minimum: int, parties: dict[str, tuple[int, int]]) -> None:
        """A run that is done: participant -> (due, instructed), and every instruction paid by the bank."""
        run = len(self.runs) + 1
        self.runs.append((run, minimum, " ".join(f"monthly/{label}" for label in labels)))
        self.run_parties += [(run, code, due, moved, moved) for code, (due, moved) in parties.items()]
        for code, (_, moved) in parties.items():
            if moved:
                self.act("SETTLEMENT_PAYMENT", [_of_due(code, -moved, "BANK", "SETTLEMENT_PAYMENT")])

    def close_month(self) -> None:
        self.cuts.append(("monthly", self.label, len(self.entries), "2026-11-26"))

    def write(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_table(
            self.directory,
            "participants",
            [
                ("h", "OPERATOR", ""),
                ("t", "CUSTODY", ""),
                *((code, "STORE", self.chains.get(code, "")) for code in "abcs"),
            ],
        )
        write_table(
            self.directory,
            "agreements",
            self._versions(),
        )
        write_table(self.directory, "wallets", [(7, self.recruiter, ENROLMENT)])
        write_table(self.directory, "positions", self.positions)
        write_table(self.directory, "runs", self.runs)
        write_table(self.directory, "run_parties", self.run_parties)
        write_table(self.directory, "windows", self.cuts)
        enrolled = (ENROLMENT, 0, 0, "MEMBER_ENROLLED", "ACCEPTED", "h", 0, 0, 0, "", 0, DAY, "", *NOTHING_TOLD)
        created = [
            (
                ENROLMENT + place,
                0,
                place,
                "AGREEMENT_CREATED",
                "ACCEPTED",
                "h",
                0,
                0,
                0,
                code,
                1,
                DAY,
                "",
                *NOTHING_TOLD,
            )
            for place, (code, _, _) in enumerate(self.agreements, 1)
        ]
        write_table(self.directory, "entries", [enrolled, *created, *self.entries])
        write_table(self.directory, "transfers", self.transfers)
        return self.directory

    def _versions(self) -> list[tuple[Any, ...]]:
        """Every version; those of points programmes have units, in the order in which they were made."""
        rows, units = [], 0
        versions: dict[str, int] = {}
        for code, kind, content in (*self.agreements, *self.revised):
            versions[code] = versions.get(code, 0) + 1
            unit = FIRST_OF_POINTS + units if kind == "POINTS" else 0
            units += kind == "POINTS"
            text = json.dumps(content, sort_keys=True)
            rows.append((code, versions[code], kind, "2017-01-01", "", text, unit))
        return rows


def _of_due(code: str, change: int, other: str, why: str) -> Claim:
    """What makes `change` more due to a participant (below zero: from it)."""
    due = f"DUE({code})"
    return (other, due, change, why) if change > 0 else (due, other, -change, why)


def claim(debtor: str, creditor: str, amount: int, code: str, unit: int = MONEY) -> Claim:
    return (f"CLEARING({debtor})", f"CLEARING({creditor})", amount, code, unit)


def settle(directory: Path, nets: dict[str, tuple[int, int]]) -> Path:
    """The settlement's positions.csv of one window: participant -> (received, sent)."""
    directory.mkdir(parents=True)
    with (directory / "positions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["participant", "unit", "received_minor", "sent_minor", "net_minor"])
        writer.writerows([code, "MONEY", got, gave, got - gave] for code, (got, gave) in nets.items())
    return directory
