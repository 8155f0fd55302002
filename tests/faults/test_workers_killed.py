"""kill -9 of the desk's worker processes, and of their server: nothing lost or doubled, and no worker left behind."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from coalition.bootstrap import workers as worker_processes
from coalition.clearing.frames import READY
from coalition.storage.connect import connect
from tests.faults.books import balances, check_balances, check_books, check_notes, entries_of
from tests.faults.load import Load, send_one
from tests.faults.notes import Counts, Note
from tests.faults.site import ServerProcess, Site, children_of, is_worker, wait_until
from tests.faults.trade import Trade, purchase

ROUNDS = 6
WORKERS = 4  # not the default
BACK_SECONDS = 20.0
END_SECONDS = 10.0
LOCK_TIMEOUT_SECONDS = 5.0  # of a session of ours; storage/connect.py
FORBIDDEN = """
import os, sys
from coalition.bootstrap import workers
def nice(increment):
    raise PermissionError("forbidden")
os.nice = nice
workers.main(int(sys.argv[1]))
"""
pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


@pytest.fixture
def doomed(site: Site) -> Iterator[ServerProcess]:
    """A server of the test's own to be killed; the databases are another's and go on."""
    with site.attached(desk_workers=str(WORKERS)) as server:
        yield server


def kill_worker_rounds(site: Site, trade: Trade, rounds: int, seed: int) -> Counts:
    """Load, kill -9 one worker or all, wait for the clients to be served again; the counts of all rounds."""
    draw = random.Random(seed)
    before, server, seconds = balances(site, trade.cards), site.owner, []
    had = set(server.workers)
    assert len(had) == site.settings.desk_workers != WORKERS
    with Load(site, [server.address], trade.cards, seed=seed) as load:
        for number in range(rounds):
            load.wait_for_more(draw.randint(50, 300))
            for pid in server.workers[: 1 + number % 2]:
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            seconds.append(load.first_answer_to_a_call_sent_after(killed, BACK_SECONDS) - killed)
            wait_until(lambda: len(server.workers) == len(had), BACK_SECONDS, "all workers are back")
    assert server.is_running, server.tail()
    assert had.isdisjoint(server.workers)
    assert all(note.answer is not None for note in load.notes), "a client got no answer"
    check_books(site)
    counts = check_notes(site, server.address, load.notes)
    check_balances(site, before, load.notes)
    counts.seconds += seconds
    return counts


def commands_of_dead_workers(server: ServerProcess) -> list[int]:
    """How many commands each worker of this server had under way when it ended, by the server's log."""
    lines = [line for line in server.log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    return [event["commands"] for event in events if event["event"] == "desk_worker_ended"]


def test_killed_workers_lost_nothing_doubled_nothing_and_no_client_noticed(site: Site, trade: Trade):
    counts = kill_worker_rounds(site, trade, ROUNDS, seed=51)
    under_way = commands_of_dead_workers(site.owner)
    print(f"kill -9 of workers, {ROUNDS} rounds: {counts}; under way: {under_way}")

    assert counts.acknowledged > 50 * ROUNDS
    assert 0 == counts.committed_unheard + counts.absent, "a client was not told what became of its operation"
    assert len(under_way) >= ROUNDS
    assert any(under_way), "no worker was killed in the middle of a batch"


def test_a_worker_leaves_signals_to_its_server(site: Site, trade: Trade):
    """A service manager may send SIGTERM to every process of the unit; the server drains first and then hangs up."""
    workers = site.owner.workers
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    notes = [Note(purchase(card, 100)) for card in trade.cards[:3]]
    with site.connection(site.owner.address, "t/cafe/main/till-1") as cafe:
        for note in notes:
            assert send_one(cafe, note)
            assert note.is_accepted

    assert workers == site.owner.workers


def test_a_server_that_ends_well_takes_its_workers_along(site: Site, doomed: ServerProcess):
    workers = doomed.workers
    assert len(workers) == WORKERS

    doomed.terminate()

    assert 0 == doomed.process.returncode, doomed.tail()
    assert [] == [pid for pid in workers if is_worker(pid)]
    assert site.owner.is_running


def test_a_worker_that_hangs_does_not_keep_its_server_from_ending(site: Site, monkeypatch: pytest.MonkeyPatch):
    """It is waited for, then killed: it holds a session of the ledger."""
    assert site.owner.is_running
    monkeypatch.setattr(worker_processes, "END_SECONDS", 0.5)
    workers = worker_processes.Workers(site.settings)
    with workers.open() as ours:
        assert READY == ours.recv(len(READY))
        (pid,) = [each for each in children_of(os.getpid()) if is_worker(each)]
        os.kill(pid, signal.SIGSTOP)

    workers.close()

    assert not is_worker(pid)


def test_a_worker_that_may_not_be_nice_works_all_the_same(site: Site):
    """Hardened units and containers forbid changes of priority."""
    assert site.owner.is_running
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", FORBIDDEN, str(theirs.fileno())],
            env=site.environment,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        ours.settimeout(BACK_SECONDS)
        assert READY == ours.recv(len(READY))

    assert 0 == worker.wait(END_SECONDS)


def test_no_worker_outlives_a_server_that_was_killed_under_load(site: Site, trade: Trade, doomed: ServerProcess):
    before, workers = balances(site, trade.cards), doomed.workers
    assert len(workers) == WORKERS
    with Load(site, [doomed.address], trade.cards, seed=52) as load:
        load.wait_for_more(100)
        doomed.kill()
        seconds = wait_until(lambda: not any(map(is_worker, workers)), END_SECONDS, "the workers end")
    print(f"workers ended {seconds:.2f} s after their server")
    counts = check_notes(site, site.owner.address, load.notes)
    check_balances(site, before, load.notes)
    check_books(site)

    assert counts.acknowledged >= 100
    assert counts.committed_unheard + counts.absent > 0, "nothing was under way when the server was killed"


def test_a_worker_that_is_starting_does_not_outlive_its_killed_server(doomed: ServerProcess):
    workers = doomed.workers
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: not set(doomed.workers) <= set(workers), BACK_SECONDS, "a new worker is started")
    workers = sorted({*workers, *doomed.workers})

    doomed.kill()

    wait_until(lambda: not any(map(is_worker, workers)), END_SECONDS, "the workers end")


def test_a_batch_that_waits_in_the_database_is_given_up_when_its_server_is_killed(
    site: Site, trade: Trade, doomed: ServerProcess
):
    """Its client was not answered and may pay otherwise: the sale must not appear when the wallet is free again."""
    note, workers = Note(purchase(trade.cards[0], 100)), doomed.workers
    with site.connection(doomed.address, "t/cafe/main/till-1") as cafe:
        cafe.wait_until_ready(20)
        with site.blocked_wallet(trade.cards[0]):
            sender = threading.Thread(target=send_one, args=(cafe, note), daemon=True)
            sender.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            wait_until(lambda: site.query(waiting) != [(0,)], 10, "a worker waits for the wallet")
            doomed.kill()
            sender.join(30)
            wait_until(
                lambda: not any(map(is_worker, workers)), LOCK_TIMEOUT_SECONDS + END_SECONDS / 2, "the workers end"
            )
    assert note.answer is None
    assert {} == entries_of(site, [note])

    counts = check_notes(site, site.owner.address, [note])
    assert 1 == counts.absent
    assert note.is_accepted


def test_a_server_starts_although_a_table_of_the_desk_is_locked(site: Site, trade: Trade):
    """Closing a month locks tables too: a worker that cannot warm up serves its first batch later."""
    with ExitStack() as closing:
        with connect(site.dsn(), "test") as connection, connection.transaction():
            connection.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
            server = closing.enter_context(site.attached())
        with site.connection(server.address, "t/cafe/main/till-1") as cafe:
            note = Note(purchase(trade.cards[0], 100))
            assert send_one(cafe, note)
        assert note.is_accepted
