"""What a till sends for each planned operation, and which words of a receipt are held against the plan."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coalition.client import new_request_id
from coalition.replay.plan import Planned
from coalition.replay.till_messages import differences, giving_back, selling
from coalition.v1 import operations_pb2 as pb

NOON = datetime(2017, 1, 5, 17, tzinfo=UTC)
SALE = Planned("PASS_SALE", "m", "store-1", 2_300, 0, 4, NOON, "1/pass", visits_left=7, issuer="restaurant")


def test_a_pass_is_sold_in_its_issuers_name_and_paid_out_by_the_sale() -> None:
    asked, original = new_request_id(), new_request_id()
    sold = selling(SALE, asked, "9" * 16, "USD").sell_pass
    ended = giving_back(replace(SALE, kind="PASS_RETURN"), asked, original, "USD").return_pass

    assert (asked, "restaurant", 2_300, "1/pass") == (
        *(sold.request_id, sold.issuer),
        *(sold.amount_minor, sold.sale_reference),
    )
    assert (original, "store-1", NOON) == (
        *(ended.original_request_id, ended.terminal.participant),
        ended.occurred_time.ToDatetime(tzinfo=UTC),
    )


def test_points_are_told_as_a_count_above_zero_both_ways() -> None:
    spent = Planned("POINTS_SPEND", "m", "fuel", 150, 0, 4, NOON, "1/points", points=-200, points_balance=50)
    returned = replace(spent, kind="POINTS_RETURN", points=200)

    assert 200 == selling(spent, new_request_id(), "9" * 16, "USD").spend_points.points
    assert 200 == giving_back(returned, new_request_id(), new_request_id(), "USD").return_points.points
    told = pb.Receipt(balance_minor=4, points=-200, points_balance=50, points_worth_minor=150)
    assert [] == list(differences(spent, told, 0, 0))
    told.points_worth_minor = 149
    assert ["amount 149, planned 150"] == list(differences(spent, told, 0, 0))


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (pb.Receipt(balance_minor=5), "balance 5, planned 1"),
        (pb.Receipt(amount_minor=29), "amount 29, planned 30"),
        (pb.Receipt(points=6), "points 6, planned 7"),
        (pb.Receipt(points_balance=9), "points' balance 9, planned 5"),
        (pb.Receipt(visits_left=1), "visits left 1, planned 0"),
    ],
)
def test_every_word_of_a_receipt_that_is_not_as_planned_is_told(told: pb.Receipt, sentence: str) -> None:
    """A decline before has left the member with 3 less and 4 points less than planned."""
    planned = Planned("PURCHASE", "m", "store-1", 30, -30, 4, NOON, "1", points=7, points_balance=9)
    receipt = pb.Receipt(balance_minor=1, amount_minor=30, points=7, points_balance=5)
    assert [] == list(differences(planned, receipt, -3, -4))

    receipt.MergeFrom(told)

    assert [sentence] == list(differences(planned, receipt, -3, -4))


def test_a_decline_is_no_matter_for_who_moves_no_points() -> None:
    receipt = pb.Receipt(balance_minor=4, amount_minor=2_300, visits_left=7)

    assert [] == list(differences(SALE, receipt, 0, -4))
