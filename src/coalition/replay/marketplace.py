"""Olist: orders of a Brazilian marketplace, 2016-2018, read from a directory of its published CSV files.

Reads; never writes, ships or prints rows: the data's licence is for non-commercial use. Rules of the reading:

- A seller is an alliance merchant. The marketplace issues the stored value; custody holds the members' principal.
- Almost no customer returns under one id, so a member is all customers of one zip code prefix.
- An order's items are purchases, price plus freight, one for each of its sellers. An order without items is left out.
- A canceled order that has items is bought and then given back whole.
- Tenders are not the merchants' total in every order (instalment interest, cents): the members pay what merchants sold,
  and the difference is told. A top-up is exactly what is missing, without bonus; vouchers were paid in before.
- Times are local times without a zone; a month is a month of that clock.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from coalition.replay.trade import Agreement, Basket, DataMissing, Merchant, Part, TopUpRule, Trade, unbroken

ZONE: Final = "America/Sao_Paulo"
MARKET: Final = "olist"
SELLERS: Final = "olist-sellers"
# Concentrators: the marketplace's checkout sells stored value, the sellers' checkout takes it.
MARKET_TILLS: Final = f"/ts/{MARKET}/checkout"
SELLER_TILLS: Final = f"/ts/{SELLERS}/checkout"
TOP_UP_RULE: Final = TopUpRule(steps_minor=(), tiers=())

AGREEMENTS: Final = (
    Agreement(
        "stored-value",
        "TERMS",
        {"issuer": MARKET, "custody": "OPERATOR_HELD", "sellers": [MARKET], "tiers": [], "minimum_minor": 1},
    ),
    Agreement(
        "accepted-by-sellers",
        "ACCEPTANCE",
        {"issuer": MARKET, "acquirer": f"chain:{SELLERS}", "accepted": True, "interchange": "1/100"},
    ),
    Agreement(
        "sellers-pay",
        "ACQUIRING",
        {
            "acquirer": f"chain:{SELLERS}",
            "operator_fee": "6/1000",
            "commission": "1/100",
            "commission_to": "RECRUITER",
            "fees_return": True,
        },
    ),
)

ORDERS: Final = """
SELECT o.order_id, c.customer_zip_code_prefix, o.order_purchase_timestamp, o.order_status = 'canceled', i.seller_id,
       sum(CAST(i.price AS DECIMAL(12, 2)) + CAST(i.freight_value AS DECIMAL(12, 2))) * 100
FROM read_csv($orders, all_varchar = true) o
JOIN read_csv($customers, all_varchar = true) c USING (customer_id)
JOIN read_csv($items, all_varchar = true) i USING (order_id)
GROUP BY ALL
ORDER BY o.order_purchase_timestamp, o.order_id, i.seller_id
"""
TENDERS: Final = """
WITH sold AS (
    SELECT order_id, sum(CAST(price AS DECIMAL(12, 2)) + CAST(freight_value AS DECIMAL(12, 2))) AS total
    FROM read_csv($items, all_varchar = true) GROUP BY 1
), paid AS (
    SELECT order_id, sum(CAST(payment_value AS DECIMAL(12, 2))) AS total,
           sum(CAST(payment_value AS DECIMAL(12, 2))) FILTER (payment_type = 'voucher') AS vouchers
    FROM read_csv($payments, all_varchar = true) GROUP BY 1
)
SELECT count(*), count(*) FILTER (sold.total <> paid.total), sum(abs(sold.total - paid.total)), sum(paid.vouchers)
FROM sold JOIN paid USING (order_id)
"""
FILES: Final = {
    "orders": "olist_orders_dataset.csv.gz",
    "customers": "olist_customers_dataset.csv.gz",
    "items": "olist_order_items_dataset.csv.gz",
    "payments": "olist_order_payments_dataset.csv.gz",
}


def read_marketplace(directory: Path, months: Sequence[str] | None = None, members_max: int | None = None) -> Trade:
    """The orders in `directory`, of `months` ("2017-11") or of all; `members_max` keeps those who come first.

    Raises DataMissing when a file is not there.
    """
    baskets: dict[str, list[Basket]] = {month: [] for month in months or ()}
    homes: dict[str, str] = {}
    sellers: set[str] = set()
    rows, tenders = _read(directory)
    for basket in _baskets(rows):
        if months is not None and basket.month not in baskets:
            continue
        if basket.member not in homes:
            if members_max is not None and len(homes) >= members_max:
                continue
            homes[basket.member] = MARKET
        sellers.update(part.merchant for part in basket.parts)
        baskets.setdefault(basket.month, []).append(basket)
    orders, unequal, apart, vouchers = tenders
    return Trade(
        display_name="Olist coalition",
        currency_code="BRL",
        zone=ZONE,
        merchants=_merchants(sellers),
        agreements=AGREEMENTS,
        top_up_rule=TOP_UP_RULE,
        homes=homes,
        baskets=unbroken(baskets),
        remarks=(
            "Olist: orders of a Brazilian marketplace, 2016-2018; members are zip code prefixes.",
            f"Tenders differ from merchants' totals in {unequal} of {orders} orders, by {apart}; vouchers: {vouchers}.",
            "Invented: top-ups of exactly what is missing, without bonus.",
        ),
    )


def _merchants(sellers: set[str]) -> list[Merchant]:
    market = Merchant(MARKET, "Olist marketplace", "CHAIN", "", MARKET_TILLS)
    return [
        market,
        *(Merchant(code, f"Seller {code[7:15]}", "ALLIANCE", SELLERS, SELLER_TILLS) for code in sorted(sellers)),
    ]


def _baskets(rows: Sequence[Any]) -> Iterator[Basket]:
    """Rows of one order stand together; each is the order's part of one seller."""
    order: list[Any] = []
    for row in [*rows, (None,)]:
        if order and row[0] != order[0][0]:
            yield _basket(order)
            order = []
        order.append(row)


def _basket(rows: Sequence[Any]) -> Basket:
    order_id, zip_prefix, told_time, is_canceled, _, _ = rows[0]
    time = datetime.fromisoformat(told_time).replace(tzinfo=ZoneInfo(ZONE))
    parts = tuple(Part(f"seller-{row[4]}", int(row[5])) for row in rows if row[5] > 0)
    return Basket(order_id, f"zip-{zip_prefix}", time, f"{time:%Y-%m-%d}", parts, is_returned=is_canceled)


def _read(directory: Path) -> tuple[list[Any], Any]:
    import duckdb  # noqa: PLC0415 - a library of the extra `demo`; the package is importable without it

    paths = {name: directory / file for name, file in FILES.items()}
    for path in paths.values():
        if not path.is_file():
            raise DataMissing(f"{path} is missing: name the directory that holds the Olist CSV files (.csv.gz)")
    with duckdb.connect() as database:
        rows = database.execute(
            ORDERS, {name: str(paths[name]) for name in ("orders", "customers", "items")}
        ).fetchall()
        tenders = database.execute(TENDERS, {name: str(paths[name]) for name in ("items", "payments")}).fetchone()
    return rows, tenders
