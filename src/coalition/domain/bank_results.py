"""A bank's result against the instructions it answers, line by line. Pure.

A line that does not fit is a mismatch, and a result with one is taken into the books as a whole or not at all: nobody
overrides it, an approved adjustment does (REQUIREMENTS section 3 #9). Then what the bank did is posted as it did it,
and what cannot be told whose it is stays out. A line that was taken before, by the bank's own reference, is skipped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from coalition.domain.settlement_runs import FAILED, PAID, RETURNED, WAITING


class Result(Enum):
    """What the bank says of an instruction. ACCEPTED: it will carry it out, and has moved nothing yet."""

    ACCEPTED = "ACCEPTED"
    BOOKED = "BOOKED"
    REJECTED = "REJECTED"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class BankLine:
    """One line of a result. `bank_reference` is the bank's own, unique for ever.

    `amount_minor` is what was instructed, with the participant's sign: above zero it was to receive it. A status, which
    moves nothing, may leave it out (0, and no currency): it is then that of the instruction.
    """

    bank_reference: str
    instruction_id: str
    amount_minor: int
    currency_code: str
    result: Result
    cause: str = ""

    @property
    def meaning(self) -> tuple[str, int, str, str]:
        """What must be the same when the line is told again: everything but the bank's words."""
        return self.instruction_id, self.amount_minor, self.currency_code, self.result.value


@dataclass(frozen=True, slots=True)
class Instruction:
    """What was instructed for a participant in a run, and what the bank said of it so far.

    `settled_minor` is what was moved, less what came back, with the participant's sign.
    """

    run_id: int
    participant_id: int
    instruction_id: str
    instructed_minor: int
    settled_minor: int
    state: str


@dataclass(frozen=True, slots=True)
class Matched:
    """A line and the instruction it answers, before it; `moved_minor` is what it posts, 0 for a rejection."""

    line: BankLine
    instruction: Instruction

    @property
    def is_return(self) -> bool:
        return self.line.result is Result.RETURNED

    @property
    def moved_minor(self) -> int:
        return 0 if self.line.result in STATUSES else self.line.amount_minor


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a result does: lines in their order, lines known before, and everything that does not fit, in sentences.

    `instructions` are those that changed, as they stand afterwards. `differing_minor` is what is at stake where lines
    do not fit: their difference from the instruction, or all of a line that nobody can be told to own.
    """

    matched: tuple[Matched, ...]
    known_before: int
    mismatches: tuple[str, ...]
    differing_minor: int
    instructions: tuple[Instruction, ...]


STATUSES: Final = frozenset({Result.ACCEPTED, Result.REJECTED})
"""What moves no money."""
STATE_AFTER: Final[Mapping[Result, str]] = {
    Result.BOOKED: PAID,
    Result.REJECTED: FAILED,
    Result.RETURNED: RETURNED,
}
# A status may arrive behind the notice of what it announces.
STATES_BEFORE: Final[Mapping[Result, frozenset[str]]] = {
    Result.ACCEPTED: frozenset({WAITING, PAID}),
    Result.BOOKED: frozenset({WAITING}),
    Result.REJECTED: frozenset({WAITING}),
    Result.RETURNED: frozenset({PAID}),
}


def match_lines(
    lines: Iterable[BankLine],
    instructions: Mapping[str, Instruction],
    known: Mapping[str, BankLine],
    currency_code: str,
) -> Outcome:
    """Hold each line against its instruction; `known` are lines taken into the books before, by bank reference."""
    standing = dict(instructions)
    matched: list[Matched] = []
    mismatches: list[str] = []
    seen: dict[str, BankLine] = dict(known)
    before = differing = 0
    for line in lines:
        earlier = seen.get(line.bank_reference)
        if earlier is not None and earlier.meaning == line.meaning:
            before += 1
            continue
        instruction = standing.get(line.instruction_id)
        mismatch, at_stake, belongs = _judge(line, instruction, earlier, currency_code)
        if mismatch:
            mismatches.append(f"{line.bank_reference}: {mismatch}")
            differing += at_stake
        seen.setdefault(line.bank_reference, line)
        if instruction is None or not belongs:
            continue
        matched.append(Matched(line, instruction))
        standing[line.instruction_id] = _after(instruction, line)
    changed = tuple(standing[name] for name in sorted(standing) if standing[name] != instructions[name])
    return Outcome(tuple(matched), before, tuple(mismatches), differing, changed)


def _judge(
    line: BankLine, instruction: Instruction | None, earlier: BankLine | None, currency_code: str
) -> tuple[str, int, bool]:
    """Why the line does not fit ("" where it does), what is at stake, and whether it can be posted all the same."""
    whole = abs(line.amount_minor)
    if earlier is not None:
        return "the bank used this reference before, for something else", whole, False
    is_told = bool(line.amount_minor)
    if is_told and line.currency_code != currency_code:
        return f"its currency is {line.currency_code}, not {currency_code}", whole, False
    if instruction is None:
        return f"no run under way or done instructed {line.instruction_id!r}", whole, False
    if is_told and line.amount_minor * instruction.instructed_minor <= 0:
        return f"{line.instruction_id} was instructed the other way round", whole, False
    whole = whole or abs(instruction.instructed_minor)
    if instruction.state not in STATES_BEFORE[line.result]:
        # Twice paid, twice returned, refused after it was paid: the bank has moved money all the same.
        return (
            f"{line.instruction_id} is {instruction.state}, yet the line says {line.result.value}",
            whole,
            line.result not in STATUSES,
        )
    expected = instruction.settled_minor if line.result is Result.RETURNED else instruction.instructed_minor
    if is_told and line.amount_minor != expected:
        difference = abs(line.amount_minor - expected)
        return f"{line.instruction_id} is {abs(line.amount_minor)}, instructed was {abs(expected)}", difference, True
    return "", 0, True


def _after(instruction: Instruction, line: BankLine) -> Instruction:
    moved = 0 if line.result in STATUSES else line.amount_minor
    sign = -1 if line.result is Result.RETURNED else 1
    return Instruction(
        instruction.run_id,
        instruction.participant_id,
        instruction.instruction_id,
        instruction.instructed_minor,
        instruction.settled_minor + sign * moved,
        STATE_AFTER.get(line.result, instruction.state),
    )
