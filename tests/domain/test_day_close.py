"""A terminal's day: the bytes it signs, and every point in which it and the journal differ."""

import hashlib
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.day_close import (
    BEFORE_THE_FIRST,
    DayClose,
    DayOperation,
    LastClose,
    Total,
    check_follows,
    compare_operations,
    compare_totals,
    since,
)
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason

FIRST = UUID("018cc251-f400-7000-8000-000000000001")
SECOND = UUID("018cc251-f400-7000-8000-000000000002")


def day_close(**changes: object) -> DayClose:
    fields: dict[str, object] = {
        "place": "cafe/main/till-1",
        "business_date": date(2026, 11, 26),
        "number": 1,
        "previous_hash": b"",
        "totals": {Kind.PURCHASE: Total(2, 30_500, 1), Kind.TOP_UP: Total(1, 100_000, 0)},
    }
    return DayClose(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_statement_is_lines_that_any_language_can_write():
    """Merchants sign these bytes in their own programs: they may never change under version 1."""
    assert day_close().statement() == (
        b"coalition day close 1\ncafe/main/till-1\n2026-11-26\n1\n-\n1 1 100000 0\n2 2 30500 1\noperations -\n"
    )


def test_a_statement_binds_the_operations_listed_and_the_close_before():
    operations = [DayOperation(FIRST, Kind.PURCHASE, accepted=True, amount_minor=500)]
    close = day_close(number=2, previous_hash=b"\x01" * 32, totals={}, operations=operations)

    assert close.statement() == (
        b"coalition day close 1\ncafe/main/till-1\n2026-11-26\n2\n"
        + b"01" * 32
        + b"\noperations 1 "
        + operations_hash(f"{FIRST} 2 1 500\n")
        + b"\n"
    )


def operations_hash(lines: str) -> bytes:
    return hashlib.sha256(lines.encode()).hexdigest().encode()


@pytest.mark.parametrize(
    "change",
    [
        {"place": "cafe/main/till-2"},
        {"business_date": date(2026, 11, 27)},
        {"number": 2},
        {"previous_hash": b"\x02" * 32},
        {"totals": {Kind.PURCHASE: Total(2, 30_501, 1), Kind.TOP_UP: Total(1, 100_000, 0)}},
        {"totals": {Kind.PURCHASE: Total(2, 30_500, 1)}},
        {"operations": []},
        {"operations": [DayOperation(FIRST, Kind.PURCHASE, accepted=False, amount_minor=0)]},
    ],
)
def test_whatever_is_stated_changes_the_hash(change: dict[str, object]):
    assert day_close(**change).statement_hash() != day_close().statement_hash()


def test_equal_totals_have_no_difference_and_nothing_counts_as_nothing():
    assert compare_totals({Kind.VOID: Total(), Kind.PURCHASE: Total(1, 5, 0)}, {Kind.PURCHASE: Total(1, 5, 0)}) == []


def test_every_kind_that_differs_is_named_with_both_sides():
    differences = compare_totals(
        {Kind.PURCHASE: Total(1, 5, 0)}, {Kind.PURCHASE: Total(1, 6, 0), Kind.REFUND: Total(1, 2, 0)}
    )

    assert [tuple(each) for each in differences] == [
        (Kind.PURCHASE, None, Total(1, 5, 0), Total(1, 6, 0)),
        (Kind.REFUND, None, None, Total(1, 2, 0)),
    ]


def test_a_lost_an_invented_and_a_changed_sale_are_each_named():
    lost = DayOperation(FIRST, Kind.PURCHASE, accepted=True, amount_minor=500)
    changed = DayOperation(SECOND, Kind.PURCHASE, accepted=True, amount_minor=700)
    invented = DayOperation(UUID(int=3), Kind.TOP_UP, accepted=True, amount_minor=900)
    differences = compare_operations([changed._replace(amount_minor=701), invented], [lost, changed])

    assert [(each.request_id, each.stated, each.recorded) for each in differences] == [
        (SECOND, Total(1, 701, 0), Total(1, 700, 0)),
        (UUID(int=3), Total(1, 900, 0), None),
        (FIRST, None, Total(1, 500, 0)),
    ]


def test_an_operation_listed_twice_differs_the_second_time():
    """The journal holds each request_id once; a till that counts a sale twice must be told."""
    sale = DayOperation(FIRST, Kind.PURCHASE, accepted=True, amount_minor=500)

    assert [each.recorded for each in compare_operations([sale, sale], [sale])] == [None]


def test_a_close_is_the_next_link_of_the_chain():
    last = LastClose(4, b"\x05" * 32, 0, {})
    check_follows(day_close(), BEFORE_THE_FIRST)
    check_follows(day_close(number=5, previous_hash=b"\x05" * 32), last)
    with pytest.raises(Refused) as skipped:
        check_follows(day_close(number=6, previous_hash=b"\x05" * 32), last)
    with pytest.raises(Refused) as broken:
        check_follows(day_close(number=5, previous_hash=b"\x06" * 32), last)

    assert (Reason.DAY_CLOSE_OUT_OF_ORDER, "5") == (skipped.value.reason, skipped.value.metadata["next_number"])
    assert Reason.DAY_CLOSE_CHAIN_BROKEN is broken.value.reason


TOTALS = st.dictionaries(
    st.sampled_from([Kind.TOP_UP, Kind.PURCHASE, Kind.REFUND]),
    st.tuples(st.integers(0, 9), st.integers(0, 999), st.integers(0, 9)).map(lambda each: Total(*each)),
)


@given(TOTALS, TOTALS)
def test_what_came_since_and_what_was_before_are_all_there_is(before: dict[Kind, Total], fresh: dict[Kind, Total]):
    """No operation falls between two closes, and none is in both."""
    ever = {
        kind: Total(*map(sum, zip(before.get(kind, Total()), fresh.get(kind, Total()), strict=True)))
        for kind in before.keys() | fresh.keys()
    }

    assert since(ever, before) == {kind: total for kind, total in sorted(fresh.items()) if total != Total()}
