"""A full queue refuses before it takes: RESOURCE_EXHAUSTED with RetryInfo, nothing stored, and the retry is served."""

import threading
from collections.abc import Iterator

import pytest

from coalition.client import RetryPolicy
from tests.faults.books import check_books, entries_of
from tests.faults.load import send_batch, send_one
from tests.faults.notes import Note
from tests.faults.site import ServerProcess, Site, wait_until
from tests.faults.trade import TILL_SERVER, Trade, purchase

QUEUE_MAX = 8
CALLS = 40
pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture(scope="module")
def small_server(running_site: Site) -> Iterator[ServerProcess]:
    with running_site.attached(desk_queue_max=str(QUEUE_MAX)) as server:
        yield server


def test_a_full_queue_answers_resource_exhausted_with_retry_info_and_stores_nothing(
    site: Site, trade: Trade, small_server: ServerProcess
):
    notes = [Note(purchase(card, 100)) for card in trade.cards[:CALLS]]
    with site.connection(small_server.address, "t/cafe/main/till-1") as cafe:
        cafe.wait_until_ready(20)
        with site.blocked_wallet(trade.cards[0]):
            first = threading.Thread(target=send_one, args=(cafe, notes[0]), daemon=True)
            first.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            wait_until(lambda: site.query(waiting) != [(0,)], 10, "the desk waits for the wallet")
            others = [threading.Thread(target=send_one, args=(cafe, note), daemon=True) for note in notes[1:]]
            for sender in others:
                sender.start()
            wait_until(lambda: sum(n.refusal is not None for n in notes) == CALLS - 1 - QUEUE_MAX, 4, "refusals")
        for sender in (first, *others):
            sender.join(30)
        refused = [note for note in notes if note.refusal is not None]

        assert CALLS - 1 - QUEUE_MAX == len(refused)
        assert {("QUEUE_FULL", "RESOURCE_EXHAUSTED")} == {
            (n.refusal.reason, n.refusal.code) for n in refused if n.refusal
        }
        assert all(n.refusal and n.refusal.retry_after and n.refusal.retry_after.total_seconds() > 0 for n in refused)
        assert {} == entries_of(site, refused)
        assert all(note.is_accepted for note in notes if note not in refused)

    with site.connection(small_server.address, "t/cafe/main/till-1", retry=RetryPolicy(attempts_max=20)) as cafe:
        for note in refused:
            assert send_one(cafe, note)
            assert note.is_accepted
    check_books(site)


def test_a_batch_call_that_does_not_fit_is_refused_whole(site: Site, trade: Trade, small_server: ServerProcess):
    notes = [Note(purchase(card, 100, "shop-1")) for card in trade.cards[: QUEUE_MAX + 1]]
    with site.connection(small_server.address, TILL_SERVER) as tills:
        assert not send_batch(tills, notes)

    assert {"QUEUE_FULL"} == {note.refusal.reason for note in notes if note.refusal}
    assert {} == entries_of(site, notes)
