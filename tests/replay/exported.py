"""A small export made by hand: what was asked, what was posted and what was settled, as Parquet and CSV."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coalition.replay.export import write_table

DAY = "2017-01-31"
Claim = tuple[str, str, int, str]
# (kind, participant, amount, original, agreement, [(debit, credit, amount, code), ...])
Operation = tuple[str, str, int, int, str, Sequence[Claim]]


@dataclass
class Export:
    """An export directory under construction; each operation is a batch of its own, `close_month` cuts."""

    directory: Path
    agreements: list[tuple[str, str, dict[str, Any]]]
    recruiter: str = "a"
    chains: dict[str, str] = field(default_factory=dict)
    entries: list[tuple[Any, ...]] = field(default_factory=list)
    transfers: list[tuple[Any, ...]] = field(default_factory=list)
    cuts: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"2017-{len(self.cuts) + 1:02d}"

    def post(
        self, kind: str, participant: str, amount: int, agreement: str, lines: Sequence[Claim], *, original: int = 0
    ) -> int:
        """An operation with the transfers it posted; its entry id is its batch."""
        entry = len(self.entries) + 1
        self.entries.append((entry, entry, 0, kind, "ACCEPTED", participant, 7, amount, original, agreement, 1, DAY))
        self.transfers += [
            (entry, leg, debit, credit, value, code, f"monthly/{self.label}" if debit.startswith("CLEARING") else "")
            for leg, (debit, credit, value, code) in enumerate(lines)
        ]
        return entry

    def close_month(self) -> None:
        self.cuts.append(("monthly", self.label, len(self.entries)))

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
            [
                (code, 1, kind, "2017-01-01", "", json.dumps(content, sort_keys=True))
                for code, kind, content in self.agreements
            ],
        )
        write_table(self.directory, "wallets", [(7, self.recruiter)])
        write_table(self.directory, "windows", self.cuts)
        write_table(self.directory, "entries", self.entries)
        write_table(self.directory, "transfers", self.transfers)
        return self.directory


def claim(debtor: str, creditor: str, amount: int, code: str) -> Claim:
    return (f"CLEARING({debtor})", f"CLEARING({creditor})", amount, code)


def settle(directory: Path, nets: dict[str, tuple[int, int]]) -> Path:
    """The settlement's positions.csv of one window: participant -> (received, sent)."""
    directory.mkdir(parents=True)
    with (directory / "positions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["participant", "unit", "received_minor", "sent_minor", "net_minor"])
        writer.writerows([code, "MONEY", got, gave, got - gave] for code, (got, gave) in nets.items())
    return directory
