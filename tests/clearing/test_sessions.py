"""A desk's session of the database: whole or not kept, and no error of it is answered as a mistake of ours."""

import psycopg
import pytest

from coalition.clearing.batch import run_batch
from coalition.domain.errors import Contention, StoreUnavailable
from coalition.storage import connect
from coalition.storage.embedded import SUPERUSER
from tests.clearing.house import House, accepted


def test_a_session_that_could_not_be_opened_whole_is_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk that connects while a window is being closed waits to prepare its statements, and may give up."""
    token, store = house.funded_card(), house.store()
    monkeypatch.setitem(connect.SESSION, "lock_timeout", "100ms")
    with psycopg.connect(house.dsn(SUPERUSER)) as closing:
        closing.execute("LOCK TABLE windows IN EXCLUSIVE MODE")
        with pytest.raises(Contention):
            run_batch(store, [house.purchase("cafe", token, 100)])

    accepted(run_batch(store, [house.purchase("cafe", token, 100)])[0])
    store.close()


def test_a_desk_on_a_standby_asks_to_send_again_and_connects_anew(house: House) -> None:
    """During a failover a connection may reach a server that only reads; the desk does not stay there."""
    token, store = house.funded_card(), house.store()
    house.execute("ALTER ROLE coalition_app SET default_transaction_read_only = on")
    try:
        with pytest.raises(StoreUnavailable):
            run_batch(store, [house.purchase("cafe", token, 100)])
    finally:
        house.execute("ALTER ROLE coalition_app RESET default_transaction_read_only")

    accepted(run_batch(store, [house.purchase("cafe", token, 100)])[0])
    store.close()


def test_a_session_keeps_its_statements_when_a_batch_is_rolled_back(house: House) -> None:
    """The driver forgets all prepared statements at a rollback once it has one of its own: a query sent often."""
    token, store = house.funded_card(), house.store()
    for _ in range(10):  # the programme is loaded anew
        house.execute("UPDATE config_epoch SET epoch = epoch + 1")
        accepted(run_batch(store, [house.purchase("cafe", token, 1)])[0])
    with psycopg.connect(house.dsn(SUPERUSER)) as rival:
        rival.execute("SELECT 1 FROM wallets FOR UPDATE")
        with pytest.raises(Contention):
            run_batch(store, [house.purchase("cafe", token, 100)])

    accepted(run_batch(store, [house.purchase("cafe", token, 100)])[0])
    store.close()


def test_what_can_never_be_sent_is_not_an_absent_database(house: House) -> None:
    """PostgreSQL holds no NUL in a text: the driver refuses it here, and a caller told to send again would for ever."""
    with connect.connect(house.dsn()) as connection, pytest.raises(psycopg.DataError) as refused:
        connection.execute("SELECT %s::text", ("a\0b",))

    assert refused.value is connect.translated(refused.value)
