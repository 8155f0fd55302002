"""What is due by the calendars on a real ledger: each window once, whichever calendar, and late sales by name."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from coalition.domain.journal import Outcome
from coalition.storage import settlement as store
from coalition.storage.window_volumes import WINDOW_VOLUMES
from settlement import calendars, due
from settlement.errors import NeedsHuman, NothingToDo
from tests.clearing.house import House, accepted, new_house
from tests.ledger_fixtures import NOTARY
from tests.postgres import SharedPostgres
from tests.settlement.test_window_fees import connection, follower

MIDNIGHT = datetime(2017, 1, 31, 16, 0, tzinfo=UTC)  # February begins in Shanghai


@pytest.fixture
def house(postgres: SharedPostgres) -> Iterator[House]:
    house = new_house(postgres)
    yield house
    postgres.drop(house.database)


def open_daily(house: House, now: datetime) -> calendars.Opened:
    with connection(house) as work:
        return calendars.open_calendar(work, "daily", "DAILY", clock=lambda: now, notary=NOTARY)


def close_due(house: House, now: datetime) -> list[str]:
    with connection(house) as work:
        closed = due.close_due(work, clock=lambda: now, sleep=time.sleep, notary=NOTARY)
    return [f"{each.calendar}/{each.label}" for each in closed]


def test_every_calendar_is_cut_at_its_own_midnight_and_each_window_once(house: House) -> None:
    """Missed days are closed one by one; what is not over stays open."""
    opened = open_daily(house, MIDNIGHT - timedelta(days=3))
    with pytest.raises(NothingToDo):
        open_daily(house, MIDNIGHT)

    assert ("daily", "2017-01-29") == (opened.calendar, opened.label)
    with pytest.raises(NothingToDo):
        close_due(house, MIDNIGHT - timedelta(days=2, seconds=1))
    assert ["daily/2017-01-29"] == close_due(house, MIDNIGHT - timedelta(days=2))
    assert ["daily/2017-01-30", "daily/2017-01-31", "monthly/2017-01"] == close_due(house, MIDNIGHT)
    with pytest.raises(NothingToDo):
        close_due(house, MIDNIGHT + timedelta(hours=23))


@pytest.mark.parametrize(("code", "cadence"), [("Daily!", "DAILY"), ("daily", "HOURLY")])
def test_a_calendar_needs_a_code_and_a_cadence(house: House, code: str, cadence: str) -> None:
    with connection(house) as work, pytest.raises(NeedsHuman):
        calendars.open_calendar(work, code, cadence, clock=lambda: MIDNIGHT, notary=NOTARY)


def test_a_calendar_may_begin_with_a_period_that_is_named(house: House) -> None:
    """Books that begin before today, as those of a replay, are cut by their own days."""
    with connection(house) as work:
        with pytest.raises(NeedsHuman, match="2017-01-31"):
            calendars.open_calendar(
                work, "daily", "DAILY", clock=lambda: MIDNIGHT, notary=NOTARY, first_label="2017-01"
            )
        opened = calendars.open_calendar(
            work, "daily", "DAILY", clock=lambda: MIDNIGHT, notary=NOTARY, first_label="2016-12-31"
        )

    assert "2016-12-31" == opened.label
    assert "daily/2016-12-31" == close_due(house, MIDNIGHT)[0]


def test_a_calendar_opened_while_trading_counts_from_its_opening_on(house: House) -> None:
    """The desk's next batch finds it; entries before it lie in no window of it, also when the fold is made again."""
    card = house.funded_card()
    house.run(house.purchase("cafe", card, 1_000))
    reader = follower(house).beside(WINDOW_VOLUMES)
    reader.catch_up()
    open_daily(house, MIDNIGHT)
    house.run(house.purchase("cafe", card, 300))
    reader.catch_up()

    sold = house.query(
        "SELECT code, volume_minor FROM window_volumes"
        " JOIN windows USING (window_id) JOIN calendars USING (calendar_id)"
        " WHERE base = 'PURCHASES' ORDER BY 1"
    )
    assert [("daily", 300), ("monthly", 1_300)] == sold
    assert reader.rebuild().equal


def test_offline_sales_of_before_the_period_are_listed_where_they_were_told(house: House) -> None:
    """Sold on the 14th by the till's clock, told in February: they are February's, and January stays closed."""
    card = house.funded_card()
    in_time = accepted(house.run(house.upload("cafe", card, 500))[0])
    close_due(house, MIDNIGHT)
    late: Outcome = accepted(house.run(house.upload("cafe", card, 700, sequence_number=2))[0])
    with connection(house) as work:
        january, february = (due.late_sales(work, "monthly", label) for label in ("2017-01", "2017-02"))
        window = next(each for each in store.windows(work, "monthly") if each.label == "2017-01")
        with pytest.raises(NeedsHuman):
            due.late_sales(work, "monthly", "1999-01")

    assert [] == january
    assert [(late.entry_id, "cafe", "main/till", 700)] == [
        (sale.entry_id, sale.participant, sale.terminal, sale.amount_minor) for sale in february
    ]
    assert window.cut_number is not None
    assert in_time.entry_id >> 22 <= window.cut_number < late.entry_id >> 22
