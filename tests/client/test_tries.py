"""The pure half of a terminal: what an answer means, when to try again, how it ends. No network, no clock."""

import itertools
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.client import CallRefused, ServerUnreachable, State, TryRules
from coalition.client.tries import End, Meaning, Tries, meaning_of
from coalition.client.undoing import FOR_A_PERSON

PAGE = Path(__file__).resolve().parents[2] / "docs" / "terminal-state-machine.md"
LOST = ServerUnreachable("host:1", "UNAVAILABLE", "")


def refused(code: str, reason: str = "", retry_s: float | None = None, **facts: str) -> CallRefused:
    delay = None if retry_s is None else timedelta(seconds=retry_s)
    return CallRefused(reason or code, code, "", facts, retry_after=delay)


@pytest.mark.parametrize(
    ("failure", "meaning"),
    [
        (LOST, Meaning.UNKNOWN),
        (refused("UNAVAILABLE", "DATABASE_UNAVAILABLE", 1), Meaning.UNKNOWN),
        (refused("DEADLINE_EXCEEDED", "DEADLINE_PASSED"), Meaning.UNKNOWN),
        (refused("INTERNAL", "INTERNAL"), Meaning.UNKNOWN),
        (refused("CANCELLED"), Meaning.UNKNOWN),
        (refused("PERMISSION_DENIED"), Meaning.UNKNOWN),  # no ErrorInfo: not our service
        (refused("RESOURCE_EXHAUSTED"), Meaning.UNKNOWN),  # gRPC's own, of an answer too large
        (refused("UNIMPLEMENTED"), Meaning.REFUSED),
        (refused("RESOURCE_EXHAUSTED", "QUEUE_FULL", 0.1), Meaning.LATER),
        (refused("ABORTED", "CONTENTION", 0.1), Meaning.LATER),
        (refused("ABORTED", "AGREEMENT_VERSION_CONFLICT"), Meaning.REFUSED),
        (refused("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"), Meaning.REFUSED),
        (refused("PERMISSION_DENIED", "TERMINAL_SUSPENDED"), Meaning.REFUSED),
        (refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS", entry_id="7"), Meaning.FINAL),
        (refused("FAILED_PRECONDITION", "KILLED"), Meaning.FINAL),
    ],
)
def test_what_an_answer_means_is_decided_by_whether_it_can_have_been_posted(failure, meaning):
    """The table of docs/terminal-state-machine.md, row by row."""
    assert meaning is meaning_of(failure)


def test_pauses_are_one_two_and_four_seconds_and_end_with_half_a_minute():
    """Without chance: the rhythm of the contract."""
    tries = Tries(TryRules(), 0.0, lambda: 0.0)
    now, pauses = 0.0, []
    while isinstance(step := tries.failed(LOST, now), float):
        pauses.append(step)
        now += step

    assert [1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0] == pauses
    assert End.UNKNOWN is step


@given(st.floats(min_value=0, max_value=0.999999), st.integers(min_value=0, max_value=9))
def test_chance_shortens_a_pause_by_at_most_half_and_never_what_the_service_asked_for(chance, count):
    """The tills of a store must not come back in step, nor before their time."""
    tries = Tries(TryRules(total_s=1e9), 0.0, lambda: chance)
    pauses = [tries.failed(LOST, 0.0) for _ in range(count + 1)]
    asked = tries.failed(refused("RESOURCE_EXHAUSTED", "QUEUE_FULL", 3.0), 0.0)

    whole = (1.0, 2.0, 4.0)[min(count, 2)]
    pause = pauses[-1]
    assert isinstance(pause, float)
    assert isinstance(asked, float)
    assert whole / 2 < pause <= whole
    assert 3.0 <= asked < 3.75


def test_a_try_never_gets_longer_than_its_deadline_nor_than_the_time_left():
    """Half a minute is half a minute."""
    tries = Tries(TryRules(), 100.0, lambda: 0.0)

    assert [8.0, 8.0, 5.0, 0.0] == [tries.deadline_s(now) for now in (100.0, 122.0, 125.0, 131.0)]


ANSWERS = {
    "lost": LOST,
    "full": refused("RESOURCE_EXHAUSTED", "QUEUE_FULL", 0.1),
    "suspended": refused("PERMISSION_DENIED", "TERMINAL_SUSPENDED"),
    "declined": refused("FAILED_PRECONDITION", "CARD_FROZEN", entry_id="7"),
    "not sent": None,
}


@pytest.mark.parametrize("answers", list(itertools.product(ANSWERS, repeat=3)), ids=" then ".join)
def test_an_operation_is_undone_exactly_when_a_try_may_have_been_posted_and_nothing_settles_it(answers):
    """All ways three tries can go, against the rule said in one sentence."""
    tries = Tries(TryRules(total_s=10.0), 0.0, lambda: 0.0)
    seen, ended = [], None
    for number, name in enumerate(answers):
        now = (0.0, 4.0, 10.0)[number]  # after the third there is no time left
        seen.append(name)
        failure = ANSWERS[name]
        step = tries.not_sent(now) if failure is None else tries.failed(failure, now)
        if isinstance(step, End):
            ended = step
            break

    if seen[-1] == "declined":
        expected = End.DECLINED
    elif "lost" in seen:
        expected = End.UNKNOWN
    else:
        expected = End.DECLINED if seen[-1] == "suspended" else End.NOT_DONE
    assert expected is ended


def test_the_page_for_other_languages_tells_what_this_client_does():
    """Whoever writes a terminal from it must end up with the same states, numbers and reasons."""
    page = PAGE.read_text(encoding="utf-8")
    rules = TryRules()

    assert {state.value for state in State} == set(re.findall(r"^\| ([A-Z_]+) \|", page, re.MULTILINE)) - {"TO"}
    assert f"deadline of {rules.deadline_s:g} s" in page
    assert "wait 1, 2, then 4 s" in page
    assert f"after {rules.total_s:g} s in all" in page
    assert all(reason in page for reason in FOR_A_PERSON)
