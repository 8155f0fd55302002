"""Holds on a real ledger: they count at once, and end once, by a capture, a void, a reversal or their time."""

import contextlib
import threading
from datetime import timedelta

import pytest

from coalition.clearing.batch import Answer, run_batch
from coalition.domain.commands import Command
from coalition.domain.errors import LedgerBroken
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from tests.clearing.house import House, accepted, new_request_id, reasons

ROUNDS = 40


def race(house: House, *commands: Command) -> list[Answer]:
    """Each command on a connection of its own, all at once; the answers in the commands' order."""
    start = threading.Barrier(len(commands))
    answers: dict[int, Answer] = {}

    def send(place: int) -> None:
        store = house.store()
        start.wait()
        answers[place] = run_batch(store, [commands[place]])[0]
        store.close()

    threads = [threading.Thread(target=send, args=(place,)) for place in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[place] for place in range(len(commands))]


def test_a_hold_counts_against_what_can_be_spent_and_leaves_the_balance_alone(house: House) -> None:
    token = house.funded_card()
    hold = house.hold("cafe", token, 50_000)

    held = accepted(house.run(hold)[0])
    too_much, rest = house.run(house.purchase("cafe", token, 70_001), house.purchase("cafe", token, 70_000))

    assert (50_000, 0, 0) == (held.amount_minor, held.principal_minor, held.bonus_minor)
    assert (120_000, 70_000) == (held.balance_minor, held.balance_here_minor)
    assert held.hold_expire_time == held.post_time + timedelta(days=7)
    assert Reason.INSUFFICIENT_FUNDS == too_much.reason
    assert (50_000, 0) == (accepted(rest).balance_minor, accepted(rest).balance_here_minor)
    house.check_books()


def test_a_capture_spends_a_part_and_releases_the_rest(house: House) -> None:
    """The split is made at the capture: what was paid of the lot, in proportion, as if it were bought now."""
    token = house.funded_card()
    hold = house.hold("cafe", token, 50_000)
    house.run(hold)

    captured = accepted(house.run(house.capture("cafe", hold.request_id, 30_000))[0])

    assert (30_000, 25_000, 5_000) == (captured.amount_minor, captured.principal_minor, captured.bonus_minor)
    assert (90_000, 90_000) == (captured.balance_minor, captured.balance_here_minor)
    assert [(90_000, 75_000, 0)] == house.query("SELECT face, principal, reserved FROM lots")
    assert [(False, Kind.CAPTURE)] == house.query("SELECT is_open, resolved_kind FROM holds")
    assert house.query("SELECT entry_id FROM entries WHERE kind = 7") == house.query(
        "SELECT original_entry_id FROM entries WHERE kind = 8"
    )
    house.check_books()


def test_a_capture_names_its_hold_by_entry_too(house: House) -> None:
    token = house.funded_card()
    held = accepted(house.run(house.hold("cafe", token, 500))[0])
    capture = house.capture("cafe", new_request_id(), 500)
    by_entry = type(capture)(**{**house._common("cafe", 500, None), "original_entry_id": held.entry_id})

    assert 119_500 == accepted(house.run(by_entry)[0]).balance_minor


def test_a_hold_keeps_to_its_merchant_its_amount_and_its_one_end(house: House) -> None:
    token = house.funded_card()
    hold = house.hold("cafe", token, 500)
    held = accepted(house.run(hold)[0])
    foreign = type(house.void("b", hold.request_id))(
        **{**house._common("b", 0, None), "original_entry_id": held.entry_id}
    )

    answers = house.run(
        house.capture("b", hold.request_id, 500),
        foreign,
        house.capture("cafe", new_request_id(), 500),
        house.capture("cafe", hold.request_id, 501),
        house.void("cafe", hold.request_id),
        house.capture("cafe", hold.request_id, 500),
        house.void("cafe", hold.request_id),
    )

    assert [
        Reason.HOLD_UNKNOWN,
        Reason.HOLD_UNKNOWN,
        Reason.HOLD_UNKNOWN,
        Reason.CAPTURE_EXCEEDS_HOLD,
        Reason.ACCEPTED,
        Reason.HOLD_RESOLVED,
        Reason.HOLD_RESOLVED,
    ] == reasons(answers)
    assert isinstance(answers[3], Outcome)
    assert {"hold_minor": "500"} == answers[3].facts
    assert (500, 120_000, 120_000) == (
        accepted(answers[4]).amount_minor,
        accepted(answers[4]).balance_minor,
        accepted(answers[4]).balance_here_minor,
    )
    house.check_books()


def test_top_up_hold_capture_and_refund_in_one_batch(house: House) -> None:
    """Later commands see the earlier ones, and the rows are written as they stand at the end."""
    token = house.new_card()
    hold, other = house.hold("cafe", token, 8_000), house.hold("cafe", token, 2_000)
    capture = house.capture("cafe", hold.request_id, 5_000)

    answers = house.run(
        house.top_up("a", token, 10_000),
        hold,
        other,
        house.purchase("cafe", token, 3_000),
        capture,
        house.refund("cafe", capture.request_id, 1_000),
    )

    assert [Reason.ACCEPTED] * 3 + [Reason.INSUFFICIENT_FUNDS] + [Reason.ACCEPTED] * 2 == reasons(answers)
    assert [(8_000, 2_000, True)] == house.query("SELECT face, reserved, is_open FROM lots")
    assert [(False,), (True,)] == house.query("SELECT is_open FROM holds ORDER BY entry_id")
    house.check_books()
    assert 8_000 == accepted(house.run(house.void("cafe", other.request_id))[0]).balance_here_minor
    house.check_books()


def test_a_capture_is_refunded_like_a_purchase(house: House) -> None:
    token = house.funded_card()
    hold = house.hold("cafe", token, 50_000)
    capture = house.capture("cafe", hold.request_id, 30_000)
    house.run(hold, capture)

    returned, never = house.run(
        house.refund("cafe", capture.request_id, 30_000), house.refund("cafe", hold.request_id, 1)
    )

    assert 120_000 == accepted(returned).balance_minor
    assert Reason.ORIGINAL_NOT_REFUNDABLE == never.reason
    house.check_books()


def test_answers_about_holds_are_the_same_for_ever(house: House) -> None:
    token = house.funded_card()
    hold = house.hold("cafe", token, 500, seconds=60)
    capture = house.capture("cafe", hold.request_id, 500)
    void = house.void("cafe", hold.request_id)
    told = house.run(hold, capture, void)

    assert [answer.again() for answer in told if isinstance(answer, Outcome)] == house.run(hold, capture, void)
    other = house.hold("cafe", token, 500, hold.request_id, seconds=61)
    assert [Reason.REQUEST_ID_REUSED] == reasons(house.run(other))


def test_time_ends_a_hold_for_the_merchant_before_the_job_has_run(house: House) -> None:
    token = house.funded_card()
    hold = house.hold("cafe", token, 50_000)
    held = accepted(house.run(hold)[0])
    house.pass_time(held.entry_id)

    late = house.run(house.capture("cafe", hold.request_id, 1), house.void("cafe", hold.request_id))

    assert [Reason.HOLD_RESOLVED] * 2 == reasons(late)
    assert [(50_000,)] == house.query("SELECT reserved FROM lots")
    first, second = house.run(house.hold_expiry(held.entry_id), house.hold_expiry(held.entry_id))
    assert (50_000, 120_000) == (accepted(first).amount_minor, accepted(first).balance_minor)
    assert Reason.HOLD_RESOLVED == second.reason
    assert [(0,)] == house.query("SELECT reserved FROM lots")
    house.check_books()


def test_no_hold_expires_before_its_time(house: House) -> None:
    """Nothing is stored then either: the job's request id, which is the hold's for ever, is not used up."""
    token = house.funded_card()
    held = accepted(house.run(house.hold("cafe", token, 500))[0])
    expiry = house.hold_expiry(held.entry_id)

    with pytest.raises(LedgerBroken, match="has time until"):
        house.run(expiry)

    house.pass_time(held.entry_id)
    assert [Reason.ACCEPTED] == reasons(house.run(expiry))
    house.check_books()


def test_a_hold_is_captured_once_by_sixteen_at_once(house: House) -> None:
    """Promise 9: sixteen captures under request ids of their own, one winner."""
    token = house.funded_card()
    hold = house.hold("cafe", token, 5_000)
    house.run(hold)

    answers = race(house, *[house.capture("cafe", hold.request_id, 5_000) for _ in range(16)])

    assert 1 == reasons(answers).count(Reason.ACCEPTED)
    assert 15 == reasons(answers).count(Reason.HOLD_RESOLVED)
    assert [(115_000,)] == house.query("SELECT balance_minor FROM wallets")
    house.check_books()


def test_captures_voids_and_reversals_race_and_each_hold_ends_once(house: House) -> None:
    """Promise 9 again, among unequals: whoever comes first wins, the others find it resolved or nothing left."""
    token = house.funded_card()
    ends = set()
    for _ in range(ROUNDS):
        hold = house.hold("cafe", token, 1_000)
        house.run(hold)
        captured, voided, reversed_ = race(
            house,
            house.capture("cafe", hold.request_id, 700),
            house.void("cafe", hold.request_id),
            house.reverse("cafe", hold.request_id),
        )

        undone = isinstance(reversed_, Outcome) and reversed_.amount_minor > 0
        winners = [
            captured.reason is Reason.ACCEPTED,
            voided.reason is Reason.ACCEPTED,
            undone,
        ]
        assert 1 == winners.count(True)
        if captured.reason is Reason.ACCEPTED:
            assert Reason.ORIGINAL_NOT_REVERSIBLE == reversed_.reason
        ends.add(winners.index(True))
    assert [] == house.query("SELECT 1 FROM lots WHERE reserved <> 0")
    assert len(ends) > 1, "the race has one winner only: it is no race"
    house.check_books()


def test_expiry_and_capture_race_at_the_last_moment(house: House) -> None:
    """The capture loses as soon as the time is over, and nobody wins twice."""
    token = house.funded_card()
    for turn in range(ROUNDS):
        hold = house.hold("cafe", token, 1_000)
        held = accepted(house.run(hold)[0])
        house.execute(
            "UPDATE holds SET expire_time = clock_timestamp() + %s WHERE entry_id = %s",
            timedelta(milliseconds=turn % 8),
            held.entry_id,
        )
        capture = house.capture("cafe", hold.request_id, 1_000)

        answers: list[Answer] = []
        job = threading.Thread(target=expire_in_time, args=(house, held.entry_id, answers))
        job.start()
        captured = house.run(capture)[0]
        job.join()

        assert {Reason.ACCEPTED, Reason.HOLD_RESOLVED} == {captured.reason, answers[0].reason}
    house.check_books()


def expire_in_time(house: House, hold_entry_id: int, answers: list[Answer]) -> None:
    """Try the expiry until the hold's time is over."""
    while not answers:
        with contextlib.suppress(LedgerBroken):
            answers += house.run(house.hold_expiry(hold_entry_id))
