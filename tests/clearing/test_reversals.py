"""Reversals and killed request ids on a real ledger: exactly once, before, after or while the original comes."""

import threading

import pytest

from coalition.clearing.batch import Answer, run_batch
from coalition.clearing.store import Store
from coalition.domain.commands import Command
from coalition.domain.errors import Refused
from coalition.domain.journal import Outcome
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from tests.clearing.house import House, accepted, new_request_id, reasons

ROUNDS = 200


def amounts(answers: list[Answer]) -> list[int]:
    return [accepted(answer).amount_minor for answer in answers]


def test_a_purchase_is_undone_to_the_fen_with_its_fees(house: House) -> None:
    token = house.funded_card()
    paid = house.purchase("cafe", token, 30_000)
    house.run(paid)

    undone = accepted(house.run(house.reverse("cafe", paid.request_id))[0])

    assert (30_000, 25_000, 5_000) == (undone.amount_minor, undone.principal_minor, undone.bonus_minor)
    assert (120_000, 30_000) == (undone.balance_minor, undone.balance_change_minor)
    assert [(120_000, 100_000)] == house.query("SELECT face, principal FROM lots")
    assert [] == house.query(
        "SELECT 1 FROM transfers t JOIN entries e USING (lane, entry_id) WHERE e.kind IN (2, 11) AND NOT EXISTS"
        " (SELECT FROM transfers m WHERE (m.debit, m.credit, m.amount_minor) = (t.credit, t.debit, t.amount_minor))"
    )
    house.check_books()


def test_what_is_left_after_a_refund_is_undone_and_a_second_reversal_finds_nothing(house: House) -> None:
    token = house.funded_card()
    paid = house.purchase("cafe", token, 30_000)
    house.run(paid, house.refund("cafe", paid.request_id, 10_000))

    first = house.reverse("cafe", paid.request_id)
    answers = house.run(first, house.reverse("cafe", paid.request_id), house.refund("cafe", paid.request_id, 1))

    assert [20_000, 0] == amounts(answers[:2])
    assert Reason.REFUND_EXCEEDS_ORIGINAL == answers[2].reason
    assert [0] == amounts(house.run(house.reverse("cafe", paid.request_id)))
    assert [accepted(answers[0]).again()] == house.run(first)
    house.check_books()


def test_a_capture_is_undone_and_its_hold_stays_over(house: House) -> None:
    token = house.funded_card()
    hold = house.hold("cafe", token, 50_000)
    capture = house.capture("cafe", hold.request_id, 30_000)
    house.run(hold, capture)

    undone, again, of_hold = house.run(
        house.reverse("cafe", capture.request_id),
        house.capture("cafe", hold.request_id, 1),
        house.reverse("cafe", hold.request_id),
    )

    assert 120_000 == accepted(undone).balance_minor
    assert [Reason.HOLD_RESOLVED, Reason.ORIGINAL_NOT_REVERSIBLE] == reasons([again, of_hold])
    house.check_books()


def test_an_open_hold_is_released_and_one_that_ended_by_itself_has_no_effect_left(house: House) -> None:
    token = house.funded_card()
    hold, voided = house.hold("cafe", token, 500), house.hold("cafe", token, 700)
    house.run(hold, voided, house.void("cafe", voided.request_id))

    assert [500, 0, 0] == amounts(house.run(*[house.reverse("cafe", each.request_id) for each in (hold, hold, voided)]))
    assert [(Kind.REVERSAL,), (Kind.VOID,)] == house.query("SELECT resolved_kind FROM holds ORDER BY entry_id")
    house.check_books()


def test_a_top_up_is_taken_back_also_when_it_was_spent_to_the_last_fen(house: House) -> None:
    """The lot is closed then: it is found by its id all the same."""
    token, other = house.new_card(), house.new_card()
    whole, spent = house.top_up("a", token, 10_000), house.top_up("a", other, 10_000)
    house.run(whole, spent)
    house.run(house.purchase("cafe", other, 12_000))

    undone = house.run(house.reverse("a", whole.request_id), house.reverse("a", spent.request_id))

    assert [10_000, 0] == amounts(undone)
    assert [-12_000, 0] == [accepted(answer).balance_change_minor for answer in undone]
    assert [(0, True, False)] * 2 == house.query("SELECT face, is_reversed, is_open FROM lots")
    assert [0] == amounts(house.run(house.reverse("a", whole.request_id)))
    house.check_books()


def test_a_hold_outlives_the_reversal_of_its_top_up_and_what_it_releases_is_taken(house: House) -> None:
    token = house.new_card()
    sold = house.top_up("a", token, 10_000)
    hold = house.hold("cafe", token, 6_000)
    house.run(sold, hold)

    house.run(house.reverse("a", sold.request_id))

    assert [(6_000, 6_000, True)] == house.query("SELECT face, reserved, is_reversed FROM lots")
    house.check_books()
    captured = accepted(house.run(house.capture("cafe", hold.request_id, 2_500))[0])
    assert (2_500, 0, -6_000) == (captured.amount_minor, captured.balance_minor, captured.balance_change_minor)
    house.check_books()


def test_refunds_reversals_and_voids_are_not_reversed(house: House) -> None:
    token = house.funded_card()
    paid, hold = house.purchase("cafe", token, 900), house.hold("cafe", token, 100)
    refund, void = house.refund("cafe", paid.request_id, 100), house.void("cafe", hold.request_id)
    reversal = house.reverse("cafe", paid.request_id)
    house.run(paid, hold, refund, void, reversal)

    answers = house.run(*[house.reverse("cafe", each.request_id) for each in (refund, void, reversal)])

    assert [Reason.ORIGINAL_NOT_REVERSIBLE] * 3 == reasons(answers)
    of_itself = new_request_id()
    assert [Reason.ORIGINAL_NOT_REVERSIBLE] == reasons(house.run(house.reverse("cafe", of_itself, of_itself)))
    house.check_books()


def test_a_declined_original_has_no_effect_to_undo(house: House) -> None:
    declined = house.purchase("cafe", house.new_card(), 500)
    house.run(declined)

    undone = accepted(house.run(house.reverse("cafe", declined.request_id))[0])

    assert (0, 0, "") == (undone.amount_minor, undone.balance_minor, undone.last_four)
    assert [Reason.INSUFFICIENT_FUNDS] == reasons(house.run(declined))
    house.check_books()


def test_a_reversal_that_comes_first_kills_its_original_for_ever_and_whatever_its_body(house: House) -> None:
    """Promise 7."""
    token = house.funded_card()
    late = house.purchase("cafe", token, 700)
    assert [0] == amounts(house.run(house.reverse("cafe", late.request_id)))

    others = (
        late,
        house.purchase("cafe", token, 1, late.request_id),
        house.top_up("cafe", token, 700, late.request_id),
    )

    for _ in range(2):
        for other in others:
            assert [Reason.KILLED] == reasons(house.run(other))
    assert [0] == amounts(house.run(house.reverse("cafe", late.request_id)))
    assert [(120_000,)] == house.query("SELECT balance_minor FROM wallets")
    assert [(Kind.TOMBSTONE, Reason.KILLED)] == house.query(
        "SELECT kind, reason FROM entries WHERE request_id = %s", late.request_id
    )
    house.check_books()


def test_another_participants_original_is_not_touched(house: House) -> None:
    """Request ids are a participant's own: what cannot be seen is killed in one's own name only."""
    token = house.funded_card()
    paid = house.purchase("cafe", token, 700)
    house.run(paid)

    assert [0] == amounts(house.run(house.reverse("b", paid.request_id)))
    assert [Reason.KILLED] == reasons(house.run(house.purchase("b", token, 700, paid.request_id)))
    assert 119_300 == accepted(house.run(paid)[0]).balance_minor
    house.check_books()


def test_within_one_batch_the_order_of_arrival_decides(house: House) -> None:
    token = house.funded_card()
    before, after = house.purchase("cafe", token, 700), house.purchase("cafe", token, 900)

    answers = house.run(
        before,
        house.reverse("cafe", before.request_id),
        house.reverse("cafe", after.request_id),
        after,
        house.reverse("cafe", after.request_id),
        house.purchase("cafe", token, 1, after.request_id),
        before,
    )

    assert [
        Reason.ACCEPTED,
        Reason.ACCEPTED,
        Reason.ACCEPTED,
        Reason.KILLED,
        Reason.ACCEPTED,
        Reason.KILLED,
        Reason.ACCEPTED,
    ] == reasons(answers)
    assert [700, 700, 0] == amounts(answers[:3])
    assert accepted(answers[0]).again() == answers[6]
    assert [Reason.KILLED] == reasons(house.run(after))
    assert [(120_000,)] == house.query("SELECT balance_minor FROM wallets")
    house.check_books()


def test_reversals_of_reversals_within_one_batch_leave_no_claim_without_an_entry(house: House) -> None:
    """A killed reversal does nothing: what it would have killed may still come."""
    token = house.funded_card()
    paid = house.purchase("cafe", token, 700)
    reversal = house.reverse("cafe", paid.request_id)

    answers = house.run(house.reverse("cafe", reversal.request_id), reversal)

    assert [Reason.ACCEPTED, Reason.KILLED] == reasons(answers)
    house.check_books()
    assert [Reason.ACCEPTED] == reasons(house.run(paid))
    house.check_books()


def test_a_reversal_under_a_used_request_id_kills_nothing(house: House) -> None:
    """It is refused and nothing is stored: neither an answer nor a claim on what it names."""
    token, late = house.funded_card(), house.purchase("cafe", house.new_card(), 1)
    used = house.purchase("cafe", token, 700)
    house.run(used)
    wrong = house.reverse("cafe", late.request_id, used.request_id)
    right = house.reverse("cafe", used.request_id)

    refused, undone = house.run(wrong, right)

    assert isinstance(refused, Refused)
    assert Reason.REQUEST_ID_REUSED is refused.reason
    assert 700 == accepted(undone).amount_minor
    house.check_books()
    assert [Reason.INSUFFICIENT_FUNDS] == reasons(house.run(late))
    house.check_books()


def test_a_request_id_that_is_asked_for_is_told_or_killed(house: House) -> None:
    token = house.funded_card()
    paid, poor, never = house.purchase("cafe", token, 700), house.purchase("bar", token, 5), new_request_id()
    told = house.run(paid, poor)

    answers = house.run(house.resolve("cafe", paid.request_id), house.resolve("bar", poor.request_id))

    assert [answer.again() for answer in told if isinstance(answer, Outcome)] == answers
    killed = house.run(house.resolve("cafe", never), house.purchase("cafe", token, 1, never))
    assert [Reason.KILLED] * 2 == reasons(killed)
    assert [Reason.KILLED] * 2 == reasons(
        house.run(house.purchase("cafe", token, 1, never), house.resolve("cafe", never))
    )
    assert [(3,)] == house.query("SELECT count(*) FROM entries WHERE kind > 1")
    house.check_books()


def test_what_is_asked_for_in_the_batch_that_decides_it_is_told(house: House) -> None:
    token = house.funded_card()
    paid = house.purchase("cafe", token, 700)

    first, told = house.run(paid, house.resolve("cafe", paid.request_id))

    assert accepted(first).again() == told


def test_a_reversal_that_may_not_be_made_kills_all_the_same(house: House) -> None:
    """A claim needs its entry; and what a suspended till sends late would be declined anyway."""
    token = house.funded_card()
    late, paid = house.purchase("cafe", token, 700), house.purchase("cafe", token, 900)
    house.run(paid)
    house.execute("UPDATE terminals SET state = 'SUSPENDED' WHERE terminal_id = %s", house.terminals["cafe"][2])
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")

    answers = house.run(house.reverse("cafe", late.request_id), house.reverse("cafe", paid.request_id), late)

    assert [Reason.SUSPENDED, Reason.SUSPENDED, Reason.KILLED] == reasons(answers)
    house.check_books()


@pytest.mark.parametrize("original", ["purchase", "top-up", "hold"])
def test_an_original_and_its_reversal_from_two_servers_at_once_leave_nothing(house: House, original: str) -> None:
    """Promise 7 under fire: either the original was accepted and undone, or it was killed and nothing was undone.

    Two stores on connections of their own, the original and its reversal let go at the same time, 200 rounds.
    """
    token, at = house.funded_card(), "a" if original == "top-up" else "cafe"
    stores = (house.store(), house.store())
    outcomes = set()
    for _ in range(ROUNDS if original == "purchase" else ROUNDS // 10):
        request = new_request_id()
        command = {
            "purchase": house.purchase(at, token, 700, request),
            "top-up": house.top_up(at, token, 700, request),
            "hold": house.hold(at, token, 700, request),
        }[original]
        sent, undone = at_once(stores, [command], [house.reverse(at, request)])
        outcomes.add(sent.reason)
        assert sent.reason in {Reason.ACCEPTED, Reason.KILLED}
        assert (700 if sent.reason is Reason.ACCEPTED else 0) == accepted(undone).amount_minor
    for store in stores:
        store.close()
    assert [(120_000, 0)] == house.query("SELECT balance_minor, sum(reserved)::int FROM wallets, lots GROUP BY 1")
    assert original != "purchase" or {Reason.ACCEPTED, Reason.KILLED} == outcomes, "one side always wins: no race"
    house.check_books()


def test_reversals_that_name_each_others_ids_do_not_deadlock(house: House) -> None:
    """All claims of a batch are made in one order, those on originals too."""
    stores = (house.store(), house.store())
    for _ in range(ROUNDS // 4):
        one, two = new_request_id(), new_request_id()
        answers = at_once(stores, [house.reverse("cafe", two, one)], [house.reverse("cafe", one, two)])
        assert {Reason.ACCEPTED, Reason.KILLED} == set(reasons(list(answers)))
    for store in stores:
        store.close()
    house.check_books()


def at_once(stores: tuple[Store, Store], *batches: list[Command]) -> tuple[Answer, Answer]:
    """Each batch of one on a store of its own, let go together."""
    start = threading.Barrier(2)
    answers: dict[int, Answer] = {}

    def send(place: int) -> None:
        start.wait()
        answers[place] = run_batch(stores[place], batches[place])[0]

    threads = [threading.Thread(target=send, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers[0], answers[1]
