"""The newest legs are found by their range: whoever follows the journal keeps up the index it reads by."""

import threading
import time
from datetime import UTC, datetime

import psycopg
import pytest

from coalition.followers.follower import KeptFold, follow
from coalition.storage import cursors
from coalition.storage.connect import Connection
from coalition.storage.embedded import SUPERUSER
from coalition.storage.journal_ranges import find_by_range, summarise_newest
from coalition.storage.positions import POSITIONS
from tests.ledger_fixtures import Ledger, write_batch

LEGS = 40_000
"""Some twenty ranges of 16 pages."""
INDEX = "transfers_0_entry_id_idx"


def add_legs(ledger: Ledger, first_batch: int) -> None:
    """LEGS claims in the journal, a thousand a batch, as fast as SQL makes them."""
    with ledger.connect(SUPERUSER) as connection:
        connection.execute(
            "INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id) "
            "SELECT 0, (%s + n / 1000)::bigint << 22 | (n %% 1000) << 8, 0, (4::bigint << 48) + (3 << 24), "
            "(4::bigint << 48) + (4 << 24), 1, 1, 1, (SELECT max(window_id) FROM windows) "
            "FROM generate_series(0, %s - 1) n",
            (first_batch, LEGS),
        )
        connection.execute("SELECT setval('journal_number', %s)", (first_batch + LEGS // 1000 - 1,))


def unknown_ranges(ledger: Ledger) -> int:
    """How many ranges of pages the index does not know: counted by making it learn them."""
    with ledger.connect(SUPERUSER) as connection:
        ((count,),) = connection.execute("SELECT brin_summarize_new_values(%s::regclass)", (INDEX,)).fetchall()
        return int(count)


def pages_read(connection: Connection, first_batch: int) -> int:
    """Of the heap, by a reader of one batch."""
    plan = connection.execute(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM transfers WHERE entry_id >= %s AND entry_id < %s",
        (first_batch << 22, first_batch + 1 << 22),
    ).fetchall()[0][0][0]["Plan"]
    while "Plans" in plan and plan["Node Type"] != "Bitmap Heap Scan":
        plan = plan["Plans"][0]
    assert plan["Node Type"] == "Bitmap Heap Scan", plan
    return int(plan["Lossy Heap Blocks"] + plan["Exact Heap Blocks"])


def test_a_reader_of_one_batch_reads_its_own_pages_however_much_is_new(ledger: Ledger):
    add_legs(ledger, 1)
    with ledger.connect("coalition_app") as connection:
        find_by_range(connection)
        add_legs(ledger, 41)
        without = pages_read(connection, 60)
        summarise_newest(connection)
        found = pages_read(connection, 60)

    assert without > 10 * 16  # nothing else makes them known within seconds, or there is nothing to prove here
    assert found <= 3 * 16


def test_only_the_range_that_is_being_filled_is_left_alone(ledger: Ledger):
    """A summary that exists is written again by every insert below it."""
    add_legs(ledger, 1)
    with ledger.connect("coalition_app") as connection:
        summarise_newest(connection)

    assert unknown_ranges(ledger) == 1


@pytest.mark.parametrize("role", ["coalition_app", "coalition_settlement"])
def test_a_hole_that_somebody_left_is_filled_by_who_begins(ledger: Ledger, role: str):
    add_legs(ledger, 1)
    with ledger.connect(SUPERUSER) as connection:
        connection.execute("SELECT brin_summarize_range(%s::regclass, 160)", (INDEX,))
        connection.execute("SELECT brin_desummarize_range(%s::regclass, 32)", (INDEX,))
    with ledger.connect(role) as connection:
        find_by_range(connection)

    assert unknown_ranges(ledger) == 0


def test_whoever_vacuums_is_not_waited_for(ledger: Ledger):
    add_legs(ledger, 1)
    with ledger.connect(SUPERUSER) as vacuum, vacuum.transaction(), ledger.connect("coalition_app") as connection:
        vacuum.execute("LOCK TABLE transfers_0 IN SHARE UPDATE EXCLUSIVE MODE")  # as VACUUM does
        before = time.monotonic()
        find_by_range(connection)
        summarise_newest(connection)

        assert time.monotonic() - before < 2
        assert ledger.follower().catch_up() == LEGS // 1000


def test_an_auditor_may_not(ledger: Ledger):
    with ledger.connect("coalition_auditor") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        summarise_newest(connection)


def test_a_follower_keeps_the_index_up_while_it_follows(ledger: Ledger):
    add_legs(ledger, 1)
    stop = threading.Event()
    kept = KeptFold(POSITIONS, lambda: datetime.now(UTC))
    thread = threading.Thread(target=follow, args=([kept], ledger.connect, time.sleep, stop))
    thread.start()
    try:
        with ledger.connect("coalition_app") as connection:
            _wait_until_folded(connection, LEGS // 1000)
            add_legs(ledger, LEGS // 1000 + 1)
            last, _ = write_batch(connection, [(3, 4, 1)])
            _wait_until_folded(connection, last)
    finally:
        stop.set()
        thread.join()

    assert unknown_ranges(ledger) <= 2  # what is being filled, twice


def _wait_until_folded(connection: Connection, number: int) -> None:
    deadline = time.monotonic() + 30
    while cursors.cursor_of(connection, POSITIONS.name) < number and time.monotonic() < deadline:
        time.sleep(0.02)
