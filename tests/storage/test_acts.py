"""Acts on a borrowed connection that others use, too: whatever they leave behind, the next act is done once."""

from uuid import uuid4

import psycopg
import pytest

from coalition.domain.acts import Act, body_hash
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.storage.connect import Connection, connect
from tests.offices import House, empty_house
from tests.postgres import SharedPostgres

USES_UNTIL_PREPARED = 6


@pytest.fixture
def house(postgres: SharedPostgres):
    house = empty_house(postgres)
    yield house
    for database in (house.ledger, house.keydb):
        postgres.drop(database)


def act(house: House) -> Act:
    return Act(Kind.MEMBER_VERIFIED, house.operator_id, uuid4(), body_hash(Kind.MEMBER_VERIFIED, {}), "/op/a")


def perform(house: House, connection: Connection, work: object = None) -> bool:
    def apply(_: Connection) -> dict[str, object]:
        if isinstance(work, Exception):
            raise work
        if callable(work):
            work()
        return {"done": True}

    return house.acts().perform(connection, act(house), apply).replayed  # type: ignore[arg-type]  # plain JSON


def roll_back_something_prepared(connection: Connection) -> None:
    """After which the driver deallocates what is prepared in the session, before its next statement."""
    for _ in range(USES_UNTIL_PREPARED):
        connection.execute("SELECT 1 WHERE 1 = %s", (1,))
    with pytest.raises(ZeroDivisionError), connection.transaction():
        raise ZeroDivisionError


def entries(house: House) -> int:
    return int(house.query("SELECT count(*) FROM entries WHERE kind = %s", int(Kind.MEMBER_VERIFIED))[0][0])


def test_an_act_is_done_once_whatever_was_rolled_back_before_or_in_it(house: House):
    with connect(house.postgres.dsn("coalition_app", house.ledger)) as connection:
        assert not perform(house, connection)
        roll_back_something_prepared(connection)
        connection.execute("SELECT 1")
        assert not perform(house, connection)
        roll_back_something_prepared(connection)
        assert not perform(house, connection, lambda: connection.execute("SELECT 1"))
    assert 3 == entries(house)


def test_a_refused_act_leaves_no_transaction_open_and_the_next_one_works(house: House):
    with connect(house.postgres.dsn("coalition_app", house.ledger)) as connection:
        for _ in range(3):
            with pytest.raises(Refused):
                perform(house, connection, Refused(Reason.DISCLOSURE_UNKNOWN, "disclosure_id"))
            assert psycopg.pq.TransactionStatus.IDLE == connection.info.transaction_status
            assert not perform(house, connection)
    assert 3 == entries(house)


def test_a_declined_act_undoes_what_it_did_and_is_kept(house: House):
    with connect(house.postgres.dsn("coalition_app", house.ledger)) as connection:
        asked = act(house)

        def apply(used: Connection) -> dict[str, object]:
            used.execute("UPDATE config_epoch SET epoch = epoch + 1000")
            raise Refused(Reason.MEMBER_UNKNOWN, "member_id")

        before = house.epoch()
        for _ in range(2):
            with pytest.raises(Refused) as told:
                house.acts().perform(connection, asked, apply)  # type: ignore[arg-type]  # never answers
            assert Reason.MEMBER_UNKNOWN == told.value.reason
        assert (before, 1) == (house.epoch(), entries(house))
