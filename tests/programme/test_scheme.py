"""The first laying of a scheme, and the snapshot that desks load."""

import time
from datetime import date
from typing import Any, Self
from uuid import uuid4

import psycopg
import pytest

from coalition.domain.calendars import window_label
from coalition.domain.errors import LedgerBroken
from coalition.storage.programme import SchemeDiffers, load
from tests.offices import BUSINESS_DATE, DEPLOYMENT, House, at_once, lay


def test_a_ledger_begins_with_operator_custody_calendar_and_an_open_window(house: House):
    with house.lease()() as connection:
        programme = load(connection)

    assert (DEPLOYMENT, "CNY", 8) == (
        programme.scheme.deployment_id,
        programme.scheme.currency_code,
        programme.scheme.lane_count,
    )
    assert "OPERATOR" == programme.participants[programme.scheme.operator_id].role
    assert "CUSTODY" == programme.participants[programme.scheme.custody_id].role
    assert [("monthly", "2017-01", "OPEN")] == house.query(
        "SELECT code, label, state FROM windows JOIN calendars USING (calendar_id)"
    )


def test_laying_a_scheme_again_changes_nothing(house: House):
    """Each start of a server lays it."""
    before = house.epoch()
    with house.lease()() as connection:
        assert not lay(connection, display_name="Other", business_date=date(2017, 2, 1))

    assert before == house.epoch()
    assert [("2017-01",)] == house.query("SELECT label FROM windows")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lane_count", 64),
        ("currency_code", "EUR"),
        ("zone", "UTC"),
        ("trust_domain", "other.example"),
        ("deployment_id", uuid4()),
    ],
)
def test_a_setting_that_can_never_change_is_named(house: House, setting, value):
    """Another lane count would look for every wallet in the wrong place."""
    with house.lease()() as connection, pytest.raises(SchemeDiffers) as caught:
        lay(connection, **{setting: value})

    assert setting == caught.value.setting


def test_servers_that_start_together_lay_one_scheme(house: House):
    with house.lease("", "coalition")() as owner:
        owner.execute("TRUNCATE scheme, participants, calendars, windows CASCADE")

    def start() -> bool:
        with house.lease()() as connection:
            return lay(connection, first_label="first")

    assert [False] * 7 + [True] == sorted(at_once([start] * 8))
    assert [("first",)] == house.query("SELECT label FROM windows")


def test_a_ledger_without_a_scheme_is_not_loaded(house: House):
    with house.lease("", "coalition")() as owner:
        owner.execute("DELETE FROM scheme")

    with house.lease()() as connection, pytest.raises(LedgerBroken):
        load(connection)


def test_a_programme_of_full_size_loads_quickly(house: House):
    """A desk reloads between two batches: what it takes, tills wait."""
    with house.lease("", "coalition")() as owner:
        owner.execute(
            "INSERT INTO participants (code, display_name, role, chain_code, create_time)"
            " SELECT 'p-' || n, 'Participant ' || n, 'STORE', 'chain', now() FROM generate_series(1, 500) n"
        )
        owner.execute(
            "INSERT INTO stores (participant_id, code, display_name, create_time)"
            " SELECT participant_id, 'main', 'Main', now() FROM participants WHERE role = 'STORE'"
        )
        owner.execute(
            "INSERT INTO terminals (store_id, code, create_time)"
            " SELECT store_id, 'till-' || n, now() FROM stores, generate_series(1, 2) n"
        )
        owner.execute(
            "INSERT INTO agreements (code, kind, create_time)"
            " SELECT 'fees-' || n, 'ACQUIRING', now() FROM generate_series(1, 300) n"
        )
        owner.execute(
            "INSERT INTO agreement_versions (agreement_id, version, effective_from, content, create_time)"
            " SELECT agreement_id, 1, '2017-01-01',"
            " jsonb_build_object('acquirer', 'p-' || agreement_id, 'operator_fee', '6/1000'), now() FROM agreements"
        )
    statements: list[Any] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *more: Any, **options: Any) -> Self:
            statements.append(query)
            return super().execute(query, *more, **options)

    with house.lease()() as connection:
        connection.cursor_factory = Noting
        started = time.thread_time()
        programme = load(connection)
        seconds = time.thread_time() - started

    assert (502, 500, 1000, 300) == (
        len(programme.participants),
        len(programme.stores),
        len(programme.terminals),
        len(programme.versions),
    )
    assert 1 == len(statements)
    # Of this thread alone, whatever else the machine does: 15 ms.
    assert seconds < 0.5


def test_a_snapshot_can_be_loaded_inside_a_transaction(house: House):
    """A desk finds the epoch moved in the middle of its batch."""
    with house.lease()() as connection, connection.transaction():
        connection.execute("SELECT 1 FROM windows FOR SHARE")

        assert house.epoch() == load(connection).epoch


@pytest.mark.parametrize(
    ("cadence", "day", "label"),
    [
        ("MONTHLY", date(2017, 1, 31), "2017-01"),
        ("WEEKLY", date(2017, 1, 1), "2016-W52"),
        ("WEEKLY", date(2017, 1, 2), "2017-W01"),
        ("DAILY", BUSINESS_DATE, "2017-01-15"),
        ("MANUAL", BUSINESS_DATE, "2017-01-15"),
    ],
)
def test_a_window_is_called_by_its_calendar(cadence, day, label):
    assert label == window_label(cadence, day)


def test_an_unknown_cadence_is_refused():
    with pytest.raises(ValueError, match="MONTHLY"):
        window_label("YEARLY", BUSINESS_DATE)
