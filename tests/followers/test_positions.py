"""The positions fold: every claim once, in any number of processes, and the same bytes when made again."""

import threading
import time

import pytest

from coalition.domain.accounts import TransferCode
from coalition.storage import cursors
from coalition.storage import positions as store
from coalition.storage.cursors import Lag
from tests.ledger_fixtures import NAMES, Ledger, write_batch


def test_claims_are_summed_by_window_debtor_creditor_and_code(ledger: Ledger):
    with ledger.connect("coalition_app") as connection:
        _, window = write_batch(connection, [(3, 4, 25000), (3, 4, 5000)])
        write_batch(connection, [(4, 1, 180)], code=TransferCode.OPERATOR_FEE)
        write_batch(connection, [(3, 4, 1)])
    ledger.follower().catch_up()
    with ledger.connect() as connection:
        claims = store.bilateral(connection, window)

    assert claims == [
        store.Claim(window, 3, 4, TransferCode.PRINCIPAL, 1, 30001, 3),
        store.Claim(window, 4, 1, TransferCode.OPERATOR_FEE, 1, 180, 1),
    ]


def test_every_participant_has_a_position_also_with_nothing(ledger: Ledger):
    with ledger.connect("coalition_app") as connection:
        _, window = write_batch(connection, [(3, 4, 30000)])
        write_batch(connection, [(4, 1, 180)])
        ledger.follower().catch_up()
        positions = store.live_positions(connection, window)

    assert [position.participant_id for position in positions] == sorted(NAMES)
    assert [position.net_minor for position in positions] == [180, 0, -30000, 29820, 0]


def test_postings_of_netting_and_other_accounts_are_no_claims(ledger: Ledger):
    """NETTED postings carry the window too; counting them would net a month to nothing (SUMS section 4)."""
    with ledger.connect("coalition_app") as connection:
        _, window = write_batch(connection, [(3, 4, 500)], code=TransferCode.NETTING)
        connection.execute(
            "INSERT INTO transfers (lane, entry_id, leg, debit, credit, amount_minor, code, unit) "
            "VALUES (0, 1::bigint << 22, 9, 1::bigint << 48, (2::bigint << 48) + (3 << 24), 77, 1, 1)"
        )
        ledger.follower().catch_up()
        claims = store.bilateral(connection, window)

    assert claims == []


def test_small_steps_fold_the_same_as_one(ledger: Ledger):
    """Ranges meet without a gap and without an overlap."""
    with ledger.connect("coalition_app") as connection:
        for amount in range(1, 30):
            write_batch(connection, [(3 + amount % 3, 1 + amount % 2, amount), (5, 3, 1)])
    whole = ledger.follower()
    whole.catch_up()
    expected = whole.digest()
    whole.forget()
    small = ledger.follower(numbers_max=4)
    cursor = small.catch_up()

    assert cursor == 29
    assert small.digest() == expected


def test_several_followers_at_once_count_every_claim_once(ledger: Ledger):
    """The row lock decides who folds a range; the others find the cursor moved."""
    stop = threading.Event()
    followers = [threading.Thread(target=ledger.follower(numbers_max=3).run, args=(stop,)) for _ in range(3)]
    for follower in followers:
        follower.start()
    with ledger.connect("coalition_app") as connection:
        number, window = write_batch(connection, [(3, 4, 100)])
        for amount in range(1, 100):
            number, _ = write_batch(connection, [(3, 4, amount)])
        deadline = time.monotonic() + 30
        while cursors.cursor_of(connection, store.POSITIONS.name) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()
        for follower in followers:
            follower.join()
        claims = store.bilateral(connection, window)

    assert [(claim.amount_minor, claim.transfer_count) for claim in claims] == [(5050, 100)]


def test_rebuilding_gives_the_same_bytes_while_writers_go_on(ledger: Ledger):
    """A follower can be deleted and rebuilt; the check that says so must hold while the tills are open."""
    stop = threading.Event()

    def write() -> None:
        with ledger.connect("coalition_app") as connection:
            amount = 0
            while not stop.is_set():
                amount += 1
                write_batch(connection, [(3, 4, amount), (4, 5, 1)])

    threads = [threading.Thread(target=write) for _ in range(3)]
    follower = threading.Thread(target=ledger.follower().run, args=(stop,))
    for thread in (*threads, follower):
        thread.start()
    with ledger.connect() as connection:
        while connection.execute("SELECT 1 FROM followers WHERE cursor_number > 0").fetchone() is None:
            time.sleep(0.02)
    comparisons = [ledger.follower(numbers_max=50).rebuild() for _ in range(3)]
    stop.set()
    for thread in (*threads, follower):
        thread.join()

    assert all(comparison.equal for comparison in comparisons)
    assert comparisons[-1].cursor > 0


def test_rebuilding_notices_one_minor_unit_of_difference(ledger: Ledger):
    """A check that cannot fail checks nothing."""
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 100)])
        follower = ledger.follower()
        follower.catch_up()
        connection.execute("UPDATE window_claims SET amount_minor = amount_minor + 1")

    assert not follower.rebuild().equal


def test_forgetting_and_folding_again_gives_the_same_digest(ledger: Ledger):
    with ledger.connect("coalition_app") as connection:
        for amount in range(1, 20):
            write_batch(connection, [(3, 4, amount), (1, 5, 3)])
    follower = ledger.follower()
    follower.catch_up()
    before = follower.digest()
    follower.forget()
    emptied = follower.digest()
    follower.catch_up()

    assert emptied != before
    assert follower.digest() == before


def test_lag_counts_batches_and_the_age_of_the_oldest(ledger: Ledger):
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 1)])
        write_batch(connection, [(3, 4, 1)])
    follower = ledger.follower()
    behind = follower.lag()
    follower.catch_up()

    assert behind.batches == 2
    assert behind.seconds > 0
    assert follower.lag() == Lag(0, 0.0)


def test_a_number_that_nobody_took_cannot_be_caught_up_with(ledger: Ledger):
    """Folding beyond the frontier would skip the batches that take those numbers later."""
    with pytest.raises(ValueError, match="not taken yet"):
        ledger.follower().catch_up(5)
