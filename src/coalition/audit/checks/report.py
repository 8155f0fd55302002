"""What the checks found: per check how much it looked at, each breach with its place, and what it could not decide.

Never ok on missing data: a check that lacked something is undecided, and so is the whole, unless something is broken.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

FINDINGS_MAX: Final = 100  # kept per check; all are counted

TITLES: Final = {
    "V1": "origin and keys are the pinned ones",
    "V2": "checkpoints are signed, cosigned by the quorum, and their times rise",
    "V3": "the leaves lead to the roots that were signed",
    "V4": "the log has only grown, from the previous look to the end",
    "V5": "every entry is there once, in the journal's order",
    "V6": "every entry's bytes are those its leaf names",
    "V7": "times do not go back, and lie before the witnesses'",
    "V8": "every entry's legs are whole and fit what it answered",
    "V9": "wallets and lots never fall below zero, and answers tell the running balance",
    "V10": "every hold ends once, and is captured for at most what it held",
    "V11": "what was given back never exceeds the original, lot by lot",
    "V12": "every request id was used once by its participant",
    "V13": "member records: revisions without gaps, ciphertexts as the log names them",
    "V14": "member records: well formed, under keys that there were; the life of keys",
    "V15": "disclosures and erasures: two people of different roles, before use",
    "V16": "agreements were made by an act of the log, as they are used; rights are those that acts gave",
    "V17": "every netted window recomputes to its figures, and adds up to zero",
    "V18": "terminal days: counters without gaps, totals as in the log",
    "V19": "every receipt is in the log",
    "V20": "wallets, lots, holds, cards and members of the tables are what the log leads to",
    "V21": "every batch is sealed by a key that was valid for it",
    "V22": "nothing is larger than it may be, and no type is unknown",
}
# What a log may have had no occasion for.
NO_SUBJECT: Final = {
    "V13": "no member has a record yet",
    "V14": "no member has a record yet, and nothing was told of keys",
    "V15": "nobody looked at a member yet",
    "V18": "no terminal has closed a day yet",
}


class Verdict(Enum):
    """How a check or the whole ended."""

    OK = "ok"
    BREACH = "breach"
    UNDECIDED = "undecided"
    NO_SUBJECT = "no subject"


EXIT_CODES: Final = {Verdict.OK: 0, Verdict.BREACH: 1, Verdict.UNDECIDED: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach: what is wrong, and where in the log (`index`), in which entry, as far as it has a place."""

    sentence: str
    index: int | None = None
    entry_id: int | None = None


@dataclass(slots=True)
class Check:
    """One numbered check. `looked_at` counts its subjects; `undecided` says what it lacked."""

    name: str
    looked_at: int = 0
    breaches: int = 0
    findings: list[Finding] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def breach(self, sentence: str, index: int | None = None, entry_id: int | None = None) -> None:
        """Something is wrong."""
        self.breaches += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(sentence, index, entry_id))

    def lacks(self, sentence: str) -> None:
        """Something that is needed to decide is not there."""
        if len(self.undecided) < FINDINGS_MAX:
            self.undecided.append(sentence)

    @property
    def verdict(self) -> Verdict:
        if self.breaches:
            return Verdict.BREACH
        if self.undecided:
            return Verdict.UNDECIDED
        return Verdict.OK if self.looked_at else Verdict.NO_SUBJECT

    @property
    def title(self) -> str:
        return TITLES[self.name]


@dataclass(slots=True)
class Report:
    """All checks of one bundle, and what the bundle is said to hold. `damaged` is why it could not be read at all."""

    facts: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=lambda: {name: Check(name) for name in TITLES})
    damaged: str = ""

    @property
    def verdict(self) -> Verdict:
        """Breach if any check found one; else undecided if anything was lacking; ok only where all was decided."""
        verdicts = {check.verdict for check in self.checks.values()}
        if Verdict.BREACH in verdicts:
            return Verdict.BREACH
        if self.damaged or Verdict.UNDECIDED in verdicts or Verdict.OK not in verdicts:
            return Verdict.UNDECIDED
        return Verdict.OK

    @property
    def exit_code(self) -> int:
        """0 ok, 1 breach, 2 cannot decide."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "verdict": self.verdict.value,
            "exit_code": self.exit_code,
            "damaged": self.damaged,
            **self.facts,
            "checks": [
                {
                    "check": check.name,
                    "title": check.title,
                    "verdict": check.verdict.value,
                    "looked_at": check.looked_at,
                    "breaches": check.breaches,
                    "findings": [
                        {"sentence": each.sentence, "index": each.index, "entry_id": each.entry_id}
                        for each in check.findings
                    ],
                    "undecided": check.undecided or ([NO_SUBJECT[check.name]] if self._is_bare(check) else []),
                }
                for check in self.checks.values()
            ],
        }

    @staticmethod
    def _is_bare(check: Check) -> bool:
        return check.verdict is Verdict.NO_SUBJECT and check.name in NO_SUBJECT
