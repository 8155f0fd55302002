"""Two server processes on one ledger: the last yuan is spent once, a request_id has one answer, nobody deadlocks."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from coalition.client import Connection, new_request_id
from tests.faults.books import balances, check_books
from tests.faults.load import send_batch, send_one
from tests.faults.notes import Note
from tests.faults.site import Site, wait_until
from tests.faults.trade import TILL_SERVER, Trade, purchase

RIVALS = 64
LAST_YUAN_MINOR = 100
ROUNDS = 3
pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture
def two_servers(site: Site) -> list[str]:
    return [site.owner.address, site.second.address]


@pytest.fixture
def cafes(site: Site, two_servers: list[str]) -> Iterator[list[Connection]]:
    """Eight connections as the cafe's till, to both servers in turn."""
    connections = [site.connection(two_servers[number % 2], "t/cafe/main/till-1") for number in range(8)]
    for connection in connections:
        connection.wait_until_ready(20)
    yield connections
    for connection in connections:
        connection.close()


def all_at_once(works: Sequence[Callable[[], object]]) -> None:
    """Run every piece of work on a thread of its own, started by one barrier."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        barrier.wait(30)
        work()

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_64_concurrent_spends_of_the_last_yuan_succeed_once(site: Site, trade: Trade, cafes: list[Connection]):
    for card in trade.funded_cards(site.owner.address, ROUNDS, LAST_YUAN_MINOR):
        notes = [Note(purchase(card, LAST_YUAN_MINOR)) for _ in range(RIVALS)]
        all_at_once([partial(send_one, cafes[i % len(cafes)], note) for i, note in enumerate(notes)])

        assert {"ACCEPTED": 1, "INSUFFICIENT_FUNDS": RIVALS - 1} == Counter(n.answer.reason for n in notes if n.answer)
        assert {card: 0} == balances(site, [card])
    check_books(site)


def test_64_rivals_with_one_request_id_get_one_answer(site: Site, trade: Trade, cafes: list[Connection]):
    for card in trade.funded_cards(site.owner.address, ROUNDS, 10 * LAST_YUAN_MINOR):
        operation = purchase(card, LAST_YUAN_MINOR)
        notes = [Note(operation) for _ in range(RIVALS)]
        before = balances(site, [card])[card]
        all_at_once([partial(send_one, cafes[i % len(cafes)], note) for i, note in enumerate(notes)])
        answers = [note.answer for note in notes]

        assert None not in answers
        assert 1 == len({answer[:3] for answer in answers if answer})
        assert 1 == sum(not answer.replayed for answer in answers if answer)
        assert {card: before - LAST_YUAN_MINOR} == balances(site, [card])


def test_rivals_with_one_request_id_and_other_bodies_get_one_answer_and_refusals(
    site: Site, trade: Trade, cafes: list[Connection]
):
    (card,) = trade.funded_cards(site.owner.address, 1)
    request_id = new_request_id()
    notes = [Note(purchase(card, 100 + number, request_id=request_id)) for number in range(16)]
    all_at_once([partial(send_one, cafes[i % len(cafes)], note) for i, note in enumerate(notes)])

    assert 1 == sum(note.is_accepted for note in notes)
    assert {"REQUEST_ID_REUSED": 15} == Counter(note.refusal.reason for note in notes if note.refusal)
    assert [(1,)] == site.query("SELECT count(*) FROM entries WHERE request_id = %s", request_id)


def test_batches_of_the_same_requests_in_opposite_orders_never_deadlock(
    site: Site, trade: Trade, two_servers: list[str]
):
    """Requests are claimed in one order whatever order they came in, and each gets one answer.

    A third party holds a claim in the middle until both servers have some and wait, then gives it up.
    """
    shared = [purchase(card, 100, "shop-1") for card in trade.cards[:300]]
    deadlocks = deadlock_count(site)
    with site.connection(two_servers[0], TILL_SERVER) as one, site.connection(two_servers[1], TILL_SERVER) as other:
        for _ in range(3):
            for operation in shared:
                operation.purchase.request_id = new_request_id()
            mine = [Note(operation) for operation in shared]
            theirs = [Note(operation) for operation in reversed(shared)]
            middle = sorted(operation.purchase.request_id for operation in shared)[150]
            with ThreadPoolExecutor(2) as pool, site.blocked_claim(middle, "shop-1"):
                sent = [pool.submit(send_batch, one, mine), pool.submit(send_batch, other, theirs)]
                wait_until(lambda: is_waiting(site), 4, "both servers wait")
            assert all(each.result() for each in sent)
            told = [(m.answer, t.answer) for m, t in zip(mine, reversed(theirs), strict=True)]

            assert all(a and b and a.same_as(b) and a.replayed != b.replayed for a, b in told)
    assert deadlocks == deadlock_count(site)
    check_books(site)


def is_waiting(site: Site) -> bool:
    """Whether at least two batches wait for a lock of somebody else."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(site.query(waiting)[0][0] >= 2)


def deadlock_count(site: Site) -> int:
    """Deadlocks that the ledger's log tells of: PostgreSQL writes each there at once."""
    return site.database_log().count("deadlock detected")


def test_two_servers_take_turns_in_the_same_wallets(site: Site, trade: Trade, two_servers: list[str]):
    """Batches over the same wallets, in both servers: nothing is lost, nobody deadlocks.

    A third party holds one wallet while both take theirs, so that each has some when the other comes for them.
    """
    deadlocks = deadlock_count(site)
    cards = trade.cards[:100]
    before = sum(balances(site, cards).values())
    notes: list[Note] = []
    with site.connection(two_servers[0], TILL_SERVER) as one, site.connection(two_servers[1], TILL_SERVER) as other:
        for _ in range(3):
            batches = [[Note(purchase(card, 100, "shop-2")) for card in cards] for _ in range(2)]
            notes += batches[0] + batches[1]
            with ThreadPoolExecutor(2) as pool, site.blocked_wallet(cards[50]):
                sent = [pool.submit(send_batch, *each) for each in zip((one, other), batches, strict=True)]
                wait_until(lambda: is_waiting(site), 4, "both servers wait")
            assert all(each.result() for each in sent)

    assert all(note.is_accepted for note in notes)
    assert before - 100 * len(notes) == sum(balances(site, cards).values())
    assert deadlocks == deadlock_count(site)
    check_books(site)
