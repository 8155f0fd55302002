"""A bank's result line by line: what fits, what does not, what was known, and what an approved adjustment posts."""

from dataclasses import replace
from typing import Any

import pytest

from coalition.domain.bank_results import BankLine, Instruction, Outcome, Result, match_lines
from coalition.domain.settlement_runs import FAILED, PAID, RETURNED, WAITING

IN = Instruction(7, 3, "2017-01-R7-P3", -29_700, 0, WAITING)
OUT = Instruction(7, 4, "2017-01-R7-P4", 29_520, 0, WAITING)
IN_LINE = BankLine("b1", IN.instruction_id, -29_700, "CNY", Result.BOOKED)
OUT_LINE = BankLine("b2", OUT.instruction_id, 29_520, "CNY", Result.BOOKED)


def match(*lines: BankLine, given: tuple[Instruction, ...] = (IN, OUT), known: tuple[BankLine, ...] = ()) -> Outcome:
    instructions = {each.instruction_id: each for each in given}
    return match_lines(lines, instructions, {each.bank_reference: each for each in known}, "CNY")


def test_lines_that_fit_move_what_was_instructed():
    outcome = match(IN_LINE, OUT_LINE)

    assert ((), 0, [-29_700, 29_520]) == (
        outcome.mismatches,
        outcome.differing_minor,
        [each.moved_minor for each in outcome.matched],
    )
    assert [(3, -29_700, PAID), (4, 29_520, PAID)] == [
        (each.participant_id, each.settled_minor, each.state) for each in outcome.instructions
    ]


def test_a_refused_instruction_moves_nothing():
    outcome = match(replace(IN_LINE, result=Result.REJECTED))

    assert (0, (), FAILED) == (outcome.matched[0].moved_minor, outcome.mismatches, outcome.instructions[0].state)


def test_a_payment_that_comes_back_reopens_what_was_due():
    outcome = match(IN_LINE, replace(IN_LINE, bank_reference="b9", result=Result.RETURNED))

    assert [False, True] == [each.is_return for each in outcome.matched]
    assert (0, RETURNED) == (outcome.instructions[0].settled_minor, outcome.instructions[0].state)


def test_a_line_told_again_is_skipped():
    """Banks send a day's lines in several notices; the bank's words may differ, the meaning may not."""
    told_again = match(IN_LINE, replace(IN_LINE, cause="again"), OUT_LINE, known=(OUT_LINE,))

    assert (2, 1, ()) == (told_again.known_before, len(told_again.matched), told_again.mismatches)


@pytest.mark.parametrize(
    ("line", "words", "at_stake", "posted"),
    [
        (replace(IN_LINE, instruction_id="2017-01-R6-P3"), "no run under way", 29_700, 0),
        (replace(IN_LINE, currency_code="EUR"), "its currency is EUR, not CNY", 29_700, 0),
        (replace(IN_LINE, amount_minor=29_700), "the other way round", 29_700, 0),
        (replace(IN_LINE, amount_minor=-29_000), "is 29000, instructed was 29700", 700, 1),
        (replace(IN_LINE, amount_minor=-30_000), "is 30000, instructed was 29700", 300, 1),
        (replace(IN_LINE, result=Result.RETURNED), "is WAITING, yet the line says RETURNED", 29_700, 1),
    ],
)
def test_a_line_that_does_not_fit_is_told_with_what_is_at_stake(line, words, at_stake, posted):
    """`posted`: lines an approved adjustment would take into the books; nobody's money stays out."""
    outcome = match(line, OUT_LINE)

    assert words in outcome.mismatches[0]
    assert (1, at_stake, posted + 1) == (len(outcome.mismatches), outcome.differing_minor, len(outcome.matched))


def test_a_second_payment_under_another_reference_is_a_mismatch():
    outcome = match(IN_LINE, replace(IN_LINE, bank_reference="b9"))

    assert "is PAID, yet the line says BOOKED" in outcome.mismatches[0]
    assert -59_400 == outcome.instructions[0].settled_minor  # what the bank did, if an adjustment says so


def test_a_reference_of_the_bank_used_for_something_else_is_a_mismatch():
    outcome = match(replace(OUT_LINE, bank_reference="b1"), known=(IN_LINE,))

    assert ("used this reference before" in outcome.mismatches[0], 0) == (True, len(outcome.matched))


def test_a_rejection_of_what_was_paid_changes_nothing():
    paid = replace(IN, state=PAID, settled_minor=-29_700)
    outcome = match(replace(IN_LINE, bank_reference="b9", result=Result.REJECTED), given=(paid,))

    assert (1, 0, ()) == (len(outcome.mismatches), len(outcome.matched), outcome.instructions)


@pytest.mark.parametrize("told", [OUT_LINE, replace(OUT_LINE, amount_minor=0, currency_code="")])
@pytest.mark.parametrize("standing", [OUT, replace(OUT, state=PAID, settled_minor=29_520)])
def test_what_the_bank_accepts_moves_nothing_and_changes_nothing(told: BankLine, standing: Instruction):
    """A report may tell no amount, and may come behind the notice of the payment."""
    outcome = match(replace(told, bank_reference="S1/x", result=Result.ACCEPTED), given=(standing,))

    assert ((), [0], ()) == (outcome.mismatches, [each.moved_minor for each in outcome.matched], outcome.instructions)


def test_a_rejection_without_an_amount_is_that_of_its_instruction():
    outcome = match(replace(OUT_LINE, result=Result.REJECTED, amount_minor=0, currency_code=""))

    assert ((), FAILED, 0) == (outcome.mismatches, outcome.instructions[0].state, outcome.instructions[0].settled_minor)


@pytest.mark.parametrize(
    ("said", "state", "words", "at_stake"),
    [
        ({"amount_minor": 29_000}, WAITING, "is 29000, instructed was 29520", 520),
        ({"amount_minor": 0}, FAILED, "is FAILED, yet the line says ACCEPTED", 29_520),
        ({"instruction_id": "R6"}, WAITING, "no run under way", 29_520),
    ],
)
def test_a_status_that_does_not_fit_is_a_mismatch(said: dict[str, Any], state: str, words: str, at_stake: int):
    line = replace(OUT_LINE, result=Result.ACCEPTED)
    outcome = match(replace(line, **said), given=(replace(OUT, state=state),))

    assert (True, at_stake) == (words in outcome.mismatches[0], outcome.differing_minor)
    assert () == outcome.instructions
