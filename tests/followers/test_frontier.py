"""The frontier: no batch may appear behind it, and it waits for nobody it need not wait for."""

import threading
import time

import psycopg
import pytest

from coalition.storage.frontier import FrontierStalled, frontier
from tests.ledger_fixtures import Ledger, write_batch


def test_frontier_of_an_unused_journal_is_zero(ledger: Ledger):
    """`last_value` of a sequence that was never called is 1 although no number was taken."""
    with ledger.connect() as connection:
        reached = frontier(connection, sleep=time.sleep)

    assert reached == 0


def test_frontier_waits_for_a_writer_that_took_its_number_and_has_not_committed(ledger: Ledger):
    """A later number commits first: whoever reads up to it now would lose the late one for ever."""
    took, release = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        took.set()
        release.wait(30)

    late: list[tuple[int, int]] = []

    def write_late() -> None:
        with ledger.connect("coalition_app") as connection:
            late.append(write_batch(connection, [(3, 4, 100)], before_commit=hold))

    writer = threading.Thread(target=write_late)
    writer.start()
    took.wait(30)
    with ledger.connect("coalition_app") as connection:
        early, _ = write_batch(connection, [(4, 3, 7)])
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            release.set()
        time.sleep(seconds)

    with ledger.connect() as connection:
        reached = frontier(connection, sleep=sleep)
        visible = [row[0] for row in connection.execute("SELECT number FROM batches ORDER BY number")]
    writer.join()

    assert len(slept) >= 5
    assert reached == early
    assert [late[0][0], early] == visible


def test_frontier_does_not_wait_for_writers_that_came_later(ledger: Ledger):
    """Under constant load somebody always holds the lock; only those of the first look count."""
    first, second = threading.Event(), threading.Event()
    stop = threading.Event()

    def hold(event: threading.Event):
        def wait(number: int) -> None:
            event.set()
            stop.wait(30)

        return wait

    with ledger.connect("coalition_app") as connection:
        number, _ = write_batch(connection, [(3, 4, 1)])

    def write() -> None:
        with ledger.connect("coalition_app") as connection:
            write_batch(connection, [(3, 4, 1)], before_commit=hold(second))

    later = threading.Thread(target=write)
    begun = threading.Thread(target=lambda: write_first(ledger, first))
    begun.start()
    first.wait(30)

    def sleep(seconds: float) -> None:
        if not later.is_alive() and not second.is_set():
            later.start()
            second.wait(30)
            begun.join()

    try:
        with ledger.connect() as connection:
            reached = frontier(connection, sleep=sleep)
    finally:
        stop.set()
        later.join()

    assert reached == number + 1


def write_first(ledger: Ledger, taken: threading.Event) -> None:
    with ledger.connect("coalition_app") as connection:

        def wait(number: int) -> None:
            taken.set()
            time.sleep(0.2)

        write_batch(connection, [(3, 4, 1)], before_commit=wait)


def test_frontier_is_not_stalled_by_an_idle_transaction(ledger: Ledger):
    """A report, a backup or a psql left open holds back every snapshot xmin of the cluster, and nothing here."""
    with psycopg.connect(ledger.dsn("coalition_auditor")) as idle, ledger.connect("coalition_app") as connection:
        idle.execute("SELECT count(*) FROM transfers")
        number, _ = write_batch(connection, [(3, 4, 1)])
        reached = frontier(connection, sleep=lambda seconds: pytest.fail("waited"))

    assert reached == number


def test_a_writer_that_hangs_is_named(ledger: Ledger):
    """Nobody can decide for it whether its batch will be; a human must."""
    took, release = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        took.set()
        release.wait(30)

    def write() -> None:
        with ledger.connect("coalition_app") as connection:
            write_batch(connection, [(3, 4, 1)], before_commit=hold)

    writer = threading.Thread(target=write)
    writer.start()
    took.wait(30)
    try:
        with ledger.connect() as connection, pytest.raises(FrontierStalled) as stalled:
            frontier(connection, sleep=lambda seconds: None, patience_seconds=0.5)
    finally:
        release.set()
        writer.join()

    assert len(stalled.value.processes) == 1


def test_frontier_refuses_a_connection_inside_a_transaction(ledger: Ledger):
    """The reading that follows must have a snapshot taken after the answer."""
    with ledger.connect() as connection, connection.transaction(), pytest.raises(ValueError, match="autocommit"):
        frontier(connection, sleep=time.sleep)
