"""kill -9 of PostgreSQL during load: the server starts it again, the clients' retries get their one answer."""

import os
import signal
import time

import pytest

from tests.faults.books import balances, check_balances, check_books, check_notes
from tests.faults.load import Load
from tests.faults.notes import Counts
from tests.faults.site import Site, wait_until
from tests.faults.trade import Trade

ROUNDS = 2
PATIENCE_SECONDS = 40.0
pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


def kill_postgres_rounds(site: Site, trade: Trade, rounds: int, seed: int) -> Counts:
    """Load, kill the ledger's postmaster, wait for the clients to be served again; the counts of all rounds."""
    total = Counts()
    for number in range(rounds):
        before = balances(site, trade.cards)
        server = site.owner
        pid = site.database().pid
        assert pid is not None
        with Load(site, [server.address], trade.cards, patience_s=PATIENCE_SECONDS, seed=seed * 1_000 + number) as load:
            load.wait_for_more(100)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            back = load.first_answer_to_a_call_sent_after(killed, PATIENCE_SECONDS) - killed
            load.wait_for_more(100)
        assert server.is_running, server.tail()
        assert site.database().pid != pid
        check_books(site)
        assert all(note.answer is not None for note in load.notes), "a client ran out of patience"
        counts = check_notes(site, server.address, load.notes)
        check_balances(site, before, load.notes)
        counts.seconds.append(back)
        total.add(counts)
    return total


def test_the_server_survives_its_killed_database_and_every_client_gets_its_answer(site: Site, trade: Trade):
    counts = kill_postgres_rounds(site, trade, ROUNDS, seed=2)
    print(f"kill -9 of PostgreSQL, {ROUNDS} rounds: {counts}")

    assert counts.acknowledged > 100 * ROUNDS
    assert max(counts.seconds) < 30


def test_a_killed_key_database_comes_back_while_the_tills_go_on(site: Site, trade: Trade):
    pid = site.database("keydb").pid
    assert pid is not None
    with Load(site, [site.owner.address], trade.cards, unary=2, batches=0) as load:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: site.database("keydb").pid != pid, 30, "the key database is started again")
        load.wait_for_more(10)

    assert all(note.answer is not None for note in load.notes)


def test_a_killed_backend_of_the_desk_makes_postgresql_recover_and_loses_nothing(site: Site, trade: Trade):
    """PostgreSQL throws everybody out and replays its WAL by itself; the batch under way is run again."""
    before = balances(site, trade.cards)
    server, postmaster = site.owner, site.database().pid
    with Load(site, [server.address], trade.cards, patience_s=PATIENCE_SECONDS, seed=3) as load:
        load.wait_for_more(100)
        ((backend,),) = site.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'coalition desk' ORDER BY backend_start LIMIT 1"
        )
        os.kill(backend, signal.SIGKILL)
        load.first_answer_to_a_call_sent_after(time.monotonic(), PATIENCE_SECONDS)
        load.wait_for_more(100)
    assert site.database().pid == postmaster
    assert all(note.answer is not None for note in load.notes), "a client ran out of patience"
    check_notes(site, server.address, load.notes)
    check_balances(site, before, load.notes)
    check_books(site)
