"""The Complete Journey read by its rules: months of the stores' clocks, splits that add up, coupons left out."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest

from coalition.replay.journey import data_directory, read_journey
from coalition.replay.journey_scheme import ALLIANCES
from coalition.replay.trade import DataMissing


@pytest.fixture(scope="module")
def january():
    return read_journey((1,))


def query(statement: str):
    """Rows of the package's own tables, read without our reader."""
    places = {name: str(data_directory() / f"{name}.parquet") for name in ("transactions", "products")}
    with duckdb.connect() as database:
        for name, path in places.items():
            database.read_parquet(path).create_view(name)
        return database.execute(statement).fetchall()


def test_the_parts_of_every_basket_add_up_to_what_its_lines_cost(january):
    """A household's lines of one merchant are summed before anything is left out; only wholly paid parts are."""
    lines: dict[str, int] = {}
    for basket, _, amount in query(
        """
        SELECT CAST(basket_id AS VARCHAR),
               CASE WHEN department = 'FUEL' THEN 'fuel'
                    WHEN department IN ('FLORAL', 'GARDEN CENTER') THEN 'flowers'
                    WHEN department IN ('DRUG GM', 'COSMETICS', 'NUTRITION') THEN 'drugstore'
                    WHEN department IN ('RESTAURANT', 'SALAD BAR', 'CHEF SHOPPE') THEN 'restaurant'
                    WHEN department = 'SPIRITS' THEN 'spirits'
                    WHEN department IN ('TRAVEL & LEISURE', 'AUTOMOTIVE') THEN 'travel'
                    WHEN department = 'PHOTO & VIDEO' THEN 'photo'
                    ELSE 'store' END,
               CAST(round(sum(sales_value - coupon_disc) * 100) AS BIGINT)
        FROM transactions LEFT JOIN products USING (product_id) GROUP BY ALL
        """
    ):
        lines[basket] = lines.get(basket, 0) + max(amount, 0)

    assert all(lines[basket.basket] == basket.amount_minor for basket in january.baskets["2017-01"])
    assert all(part.amount_minor > 0 for basket in january.baskets["2017-01"] for part in basket.parts)


def test_a_month_is_a_month_of_the_stores_clocks(january):
    """The timestamps are UTC: the evening of 31 January is February there."""
    baskets, zone = january.baskets["2017-01"], ZoneInfo("America/New_York")

    assert {(2017, 1)} == {(b.time.astimezone(zone).year, b.time.astimezone(zone).month) for b in baskets}
    assert max(basket.time for basket in baskets) > datetime(2017, 2, 1, tzinfo=UTC)
    assert min(basket.time for basket in baskets) >= datetime(2017, 1, 1, 5, tzinfo=UTC)


def test_the_whole_year_is_in_its_twelve_months():
    """No basket is lost or told twice at a month's end."""
    year = read_journey(tuple(range(1, 13)))
    told = [basket.basket for baskets in year.baskets.values() for basket in baskets]

    assert len(told) == len(set(told))
    assert 2_469 == len(year.homes)
    # 155,848 baskets, less those that coupons paid for or that cost nothing.
    assert 155_000 < len(told) < 155_848
    assert 457 + len(ALLIANCES) == len(year.merchants)


def test_every_alliance_department_is_one_that_the_data_has():
    known = {name for (name,) in query("SELECT DISTINCT department FROM products")}

    assert set() == {name for alliance in ALLIANCES for name in alliance.departments} - known


def test_a_household_is_recruited_where_its_first_basket_was_bought(january):
    first: dict[str, str] = {}
    stores = {merchant.code for merchant in january.merchants if merchant.role == "STORE"}
    for basket in january.baskets["2017-01"]:
        first.setdefault(basket.member, basket.parts[0].merchant)

    sellers = {alliance.code for alliance in ALLIANCES if alliance.sells}
    homes = january.homes

    assert set(homes.values()) <= stores | sellers
    assert sellers < set(homes.values())
    assert all(homes[member] in {store, *sellers} for member, store in first.items() if store in stores)


def test_fewer_members_are_the_ones_who_come_first_with_all_their_baskets(january):
    few = read_journey((1,), 20)
    members = list(few.homes)

    assert list(january.homes)[:20] == members
    assert [b for b in january.baskets["2017-01"] if b.member in few.homes] == list(few.baskets["2017-01"])


def test_reading_twice_gives_the_same_trade(january):
    assert january == read_journey((1,))


def test_a_missing_package_is_told_with_the_cure(monkeypatch):
    monkeypatch.setattr("coalition.replay.journey.PACKAGE", "no_such_package_of_trade")

    with pytest.raises(DataMissing, match="demo"):
        data_directory()
