"""Olist read by its rules. Skips where the data is not beside the project: it is not ours to ship."""

from collections import Counter
from pathlib import Path

import pytest

from coalition.replay.marketplace import read_marketplace
from coalition.replay.plan import plan
from coalition.replay.trade import DataMissing

OLIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "olist"
needs_data = pytest.mark.skipif(
    not OLIST.is_dir(), reason="the Olist CSV files are not beside the project (../shared/data/olist)"
)


@pytest.fixture(scope="module")
def trade():
    return read_marketplace(OLIST)


@needs_data
def test_every_order_with_items_is_a_basket_and_sellers_are_its_parts(trade):
    baskets = [basket for month in trade.baskets.values() for basket in month]

    assert 16_789 == len(baskets)
    assert 2_091 == len({part.merchant for basket in baskets for part in basket.parts})
    assert 461 == sum(basket.is_returned for basket in baskets)
    assert 210 == sum(len(basket.parts) > 1 for basket in baskets)


@needs_data
def test_months_without_orders_are_months_too(trade):
    assert {"2016-11", "2016-12"} <= set(trade.months)
    assert 25 == len(trade.months)


@needs_data
def test_tenders_that_differ_from_the_merchants_total_are_told(trade):
    assert any("107 of 16789 orders" in remark for remark in trade.remarks)


@needs_data
def test_every_member_ends_with_what_was_given_back(trade):
    """Top-ups are exactly what is missing, so what is left in wallets came from refunds alone."""
    balances: dict[str, int] = {}
    sums: Counter[str] = Counter()
    for month in trade.months:
        for operation in plan(trade.baskets[month], trade.homes, trade.top_up_rule, balances):
            sums[operation.kind] += operation.amount_minor

    assert sums["TOP_UP"] + sums["REFUND"] - sums["PURCHASE"] == sum(balances.values())
    assert 0 <= sum(balances.values()) <= sums["REFUND"]


def test_a_directory_without_the_files_is_told_with_the_cure(tmp_path):
    with pytest.raises(DataMissing, match="olist_orders_dataset"):
        read_marketplace(tmp_path)
