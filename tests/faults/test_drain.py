"""SIGTERM: calls in the house are answered, later ones sent away, the process ends with 0 and in time."""

import time

import pytest

from tests.faults.books import balances, check_balances, check_books, check_notes
from tests.faults.load import Load
from tests.faults.site import Site
from tests.faults.trade import Trade

DRAIN_SECONDS_MAX = 15.0
pytestmark = pytest.mark.xdist_group("faults")


def test_calls_in_the_house_are_answered_when_the_server_is_told_to_end(site: Site, trade: Trade):
    """All clients wait behind a blocked wallet when SIGTERM comes: none of them may be sent away unheard."""
    before = balances(site, trade.cards)
    with site.attached() as server:
        load = Load(site, [server.address], trade.cards[:1], seed=31)
        with load:
            load.wait_for_more(20)
            with site.blocked_wallet(trade.cards[0]):
                time.sleep(0.5)  # now every client has sent its next call and waits
                in_house = [note for note in load.notes if note.answer is None]
                server.process.terminate()
                told = time.monotonic()
                time.sleep(0.5)
            server.process.wait(DRAIN_SECONDS_MAX)
            seconds = time.monotonic() - told
    print(f"drained {len(in_house)} operations in {seconds:.1f} s")

    assert len(in_house) >= 8
    assert all(note.answer is not None for note in in_house), "a call in the house was not answered"
    assert 0 == server.process.returncode, server.tail()
    counts = check_notes(site, site.owner.address, load.notes)
    check_balances(site, before, load.notes)
    assert counts.acknowledged >= len(in_house)
    assert 0 == counts.committed_unheard, "a call was taken and not answered"


def test_the_owner_ends_well_under_load_and_with_it_its_databases(site: Site, trade: Trade):
    before = balances(site, trade.cards)
    server = site.owner
    postmaster = site.database().pid
    with Load(site, [server.address], trade.cards, seed=32) as load:
        load.wait_for_more(100)
        seconds = server.terminate()
    print(f"the owner and its databases ended in {seconds:.1f} s")

    assert 0 == server.process.returncode, server.tail()
    assert seconds < DRAIN_SECONDS_MAX
    again = site.owner
    assert site.database().pid != postmaster
    counts = check_notes(site, again.address, load.notes)
    check_balances(site, before, load.notes)
    check_books(site)
    assert 0 == counts.committed_unheard, "a call was taken and not answered"
