"""Taking a bank's result into the books: every line matched, posted once, all of a file or nothing.

A mismatch stops the whole file and asks for an adjustment; when that is approved, the same file is taken as the bank
did it, and lines that nobody can be told to own stay out, named in the answer. Where the bank paid more than was there,
the operator has laid it out, and that is posted too, up to the run's limit.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID, uuid5

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.approvals import Subject
from coalition.domain.bank_results import BankLine, Matched, Outcome, match_lines
from coalition.domain.journal import Entry, Notary
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import Run, advance, payment
from coalition.storage import approvals, runs
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.settlement_entries import Draft, due, hold_dues, post_entries
from settlement.bank_files import read
from settlement.errors import BooksDiffer, NeedsHuman, NothingToDo


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a file did. `finished` are runs that are DONE by it, `adjusted` what an approved adjustment let pass."""

    sha256: str
    posted: int
    known_before: int
    advanced_minor: int
    finished: tuple[int, ...]
    adjusted: tuple[str, ...]

    def body(self) -> dict[str, JSON]:
        """What the journal keeps of it."""
        return {
            "sha256": self.sha256,
            "posted": self.posted,
            "known_before": self.known_before,
            "advanced_minor": self.advanced_minor,
            "adjusted": list(self.adjusted),
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """A file held against the books: what it does, what the operator has to lay out for it, and what does not fit."""

    outcome: Outcome
    run: Run | None
    short_minor: int
    mismatches: tuple[str, ...]
    at_stake_minor: int


def confirm(
    connection: Connection, file: bytes, *, notary: Notary, actor: str = store.ACTOR, order: Act | None = None
) -> Confirmed:
    """Post what the bank says. Needs an autocommit connection; answers `order` if there is one.

    Raises NothingToDo if this file was taken before, NeedsHuman if it cannot be read, BooksDiffer if lines do not fit:
    an adjustment is asked for then, and the same file may be confirmed again once it is approved.
    """
    lines, digest = read(file), hashlib.sha256(file).digest()
    if not lines:
        raise NeedsHuman("the bank's file holds no booked line")
    known = store.scheme(connection)
    with connection.transaction():
        lock_runs_of(connection, lines)
        hold_dues(connection)
        if runs.has_result(connection, digest):
            raise NothingToDo("this file of the bank was taken into the books before", {"sha256": digest.hex()})
        judged = judge(connection, lines, known)
        adjustment = f"bank result {digest.hex()[:16]}"
        if not judged.mismatches or approvals.approved(connection, Subject.ADJUSTMENT, adjustment, digest):
            return post(connection, digest, judged, known, notary=notary, actor=actor, order=order)
        approvals.ask(
            connection,
            Subject.ADJUSTMENT,
            adjustment,
            content_hash=digest,
            amount_minor=judged.at_stake_minor,
            maker=actor,
            time=store.now(connection),
            summary="; ".join(judged.mismatches)[:1000],
        )
    raise BooksDiffer(
        "the bank's result does not fit what was instructed, nothing was posted; an adjustment was asked for "
        "(`python -m settlement inbox`), and the same file is confirmed again once it is approved",
        judged.mismatches,
    )


def lock_runs_of(connection: Connection, lines: list[BankLine]) -> None:
    """One file at a time: every run that a line speaks of, in order of their numbers."""
    named = runs.instructions(connection, {line.instruction_id for line in lines})
    for run_id in sorted({each.run_id for each in named.values()}):
        runs.lock_run(connection, run_id)


def judge(connection: Connection, lines: list[BankLine], known: store.Scheme) -> Judged:
    """Hold the lines against the instructions, and what they leave in the bank against zero."""
    instructions = runs.instructions(connection, {line.instruction_id for line in lines})
    before = runs.known_lines(connection, {line.bank_reference for line in lines})
    outcome = match_lines(lines, instructions, before, known.currency_code)
    newest = max((each.instruction.run_id for each in outcome.matched), default=None)
    run = None if newest is None else runs.read_run(connection, newest)
    moved = sum(each.moved_minor * (1 if each.is_return else -1) for each in outcome.matched)
    short = max(0, -(sum(due(connection).values()) + moved))
    allowed = 0 if run is None else run.advance_limit_minor - run.advance_minor - run.advanced_minor
    if short <= max(0, allowed):
        return Judged(outcome, run, short, outcome.mismatches, outcome.differing_minor)
    sentence = f"the bank's account is short of {short} minor units and the operator advances at most {max(0, allowed)}"
    return Judged(outcome, run, short, (*outcome.mismatches, sentence), outcome.differing_minor + short)


def post(
    connection: Connection,
    digest: bytes,
    judged: Judged,
    known: store.Scheme,
    *,
    notary: Notary,
    actor: str,
    order: Act | None,
) -> Confirmed:
    """One batch: the file's own entry, one for each line that moved something, then the operator's advance."""
    matched = judged.outcome.matched
    done = Confirmed(digest.hex(), len(matched), judged.outcome.known_before, judged.short_minor, (), judged.mismatches)
    own_id = uuid5(known.deployment_id, f"bank result/{digest.hex()}")
    act = order or Act(
        Kind.BANK_RESULT_IMPORTED, known.operator_id, own_id, body_hash(Kind.BANK_RESULT_IMPORTED, done.body()), actor
    )
    moving = [each for each in matched if each.moved_minor]
    drafts = [Draft(act, done.body()), *(line_draft(each, known, act.actor) for each in moving)]
    if judged.short_minor and judged.run is not None:
        drafts.append(advance_draft(judged.run, judged.short_minor, digest, known, act.actor))
        runs.add_advance(connection, judged.run.run_id, judged.short_minor)
    entries = post_entries(connection, drafts, lane_count=known.lane_count, zone=known.zone, notary=notary)
    posted = dict(zip((each.line.bank_reference for each in moving), entries[1:], strict=False))
    runs.add_result(
        connection,
        digest,
        entries[0].entry_id,
        line_count=len(matched),
        mismatch_count=len(judged.mismatches),
        lines=[(each, entry_of(posted, each)) for each in matched],
    )
    runs.update_instructions(connection, judged.outcome.instructions)
    touched = sorted({each.run_id for each in judged.outcome.instructions})
    finished = tuple(run_id for run_id in touched if finish(connection, run_id))
    return Confirmed(done.sha256, done.posted, done.known_before, done.advanced_minor, finished, done.adjusted)


def finish(connection: Connection, run_id: int) -> bool:
    """Whether the run is DONE by what was just posted."""
    run = runs.read_run(connection, run_id)
    return run is not None and run.state == "SETTLING" and runs.finish_if_told(connection, run_id)


def entry_of(posted: dict[str, Entry], matched: Matched) -> int | None:
    """The entry that posted a line; None for one that moved nothing."""
    entry = posted.get(matched.line.bank_reference)
    return None if entry is None else entry.entry_id


def line_draft(matched: Matched, known: store.Scheme, actor: str) -> Draft:
    """In `BANK->DUE(p)`, out `DUE(p)->BANK`, returned the inverse; once for each reference of the bank's."""
    line, instruction = matched.line, matched.instruction
    kind = Kind.SETTLEMENT_RETURN if matched.is_return else Kind.SETTLEMENT_PAYMENT
    body: dict[str, JSON] = {
        "run_id": instruction.run_id,
        "participant_id": instruction.participant_id,
        "instruction_id": instruction.instruction_id,
        "amount_minor": line.amount_minor,
        "bank_reference": line.bank_reference,
        "cause": line.cause[:140],
    }
    own_id = bank_line_id(known, line.bank_reference)
    return Draft(
        Act(kind, known.operator_id, own_id, body_hash(kind, body), actor),
        body,
        [payment(instruction.participant_id, line.amount_minor, returned=matched.is_return)],
        abs(line.amount_minor),
    )


def bank_line_id(known: store.Scheme, bank_reference: str) -> UUID:
    """A line of the bank is posted once, as whatever it is posted."""
    return uuid5(known.deployment_id, f"bank line/{bank_reference}")


def advance_draft(run: Run, amount_minor: int, digest: bytes, known: store.Scheme, actor: str) -> Draft:
    """What the operator laid out for this file: it is due to it now, and joins the next run."""
    body: dict[str, JSON] = {"run_id": run.run_id, "advance_minor": amount_minor, "sha256": digest.hex()}
    own_id = uuid5(known.deployment_id, f"advance/{digest.hex()}")
    kind = Kind.SETTLEMENT_PAYMENT
    return Draft(
        Act(kind, known.operator_id, own_id, body_hash(kind, body), actor),
        body,
        [advance(known.operator_id, amount_minor)],
        amount_minor,
    )
