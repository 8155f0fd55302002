"""Two lists of one month's sales, held against each other."""

from coalition.domain.kinds import Kind
from coalition.domain.reconciliation import (
    Elsewhere,
    Finding,
    KeyKind,
    OurLine,
    Result,
    TheirLine,
    Why,
    reconcile,
)

SALE = OurLine(11, "id-11", "R-1", Kind.PURCHASE, 500)
REFUND = OurLine(12, "id-12", "R-1", Kind.REFUND, 200)
REVERSED = OurLine(13, "id-13", "R-3", Kind.PURCHASE, 900, is_reversed=True)
OURS = (SALE, REFUND, REVERSED)


def by_reference(number: int, reference: str, amount: int) -> TheirLine:
    return TheirLine(number, KeyKind.SALE_REFERENCE, reference, amount)


def told(theirs: list[TheirLine], known: dict[int, Elsewhere] | None = None) -> list[tuple[object, ...]]:
    results: list[Result] = reconcile(theirs, OURS, lambda lines: known or {})
    return [
        (each.finding.name, each.why.name if each.why else "", each.ours.entry_id if each.ours else 0)
        for each in results
    ]


def test_a_sale_and_its_refund_under_one_reference_each_find_their_own():
    """Tills print one number on both slips; the file may list them in any order, the refund with a minus or without."""
    for refund in (-200, 200):
        assert [("MATCHED", "", 12), ("MATCHED", "", 11), ("MISSING_THERE", "REVERSED", 13)] == told(
            [by_reference(1, "R-1", refund), by_reference(2, "R-1", 500)]
        )


def test_another_amount_is_different_and_names_the_entry():
    assert ("DIFFERENT", "AMOUNT", 13) in told([by_reference(1, "R-3", 901)])


def test_a_minus_before_a_sale_is_different():
    assert ("DIFFERENT", "SIGN", 13) in told([by_reference(1, "R-3", -900)])


def test_a_line_that_comes_twice_is_told_as_repeated():
    lines = [TheirLine(1, KeyKind.ENTRY_ID, "13", 900), TheirLine(2, KeyKind.ENTRY_ID, "13", 900)]

    assert [("MATCHED", "", 13), ("MISSING_HERE", "REPEATED", 0)] == told(lines)[:2]


def test_what_is_not_here_says_where_it_is_or_that_nobody_knows():
    lines = [TheirLine(1, KeyKind.REQUEST_ID, "id-99", 5), TheirLine(2, KeyKind.REQUEST_ID, "id-98", 5)]
    known = {1: Elsewhere(Why.DECLINED, "INSUFFICIENT_FUNDS")}

    assert [("MISSING_HERE", "DECLINED", 0), ("MISSING_HERE", "UNKNOWN", 0)] == told(lines, known)[:2]


def test_every_line_of_both_sides_is_told_once():
    results = reconcile([by_reference(1, "R-1", 500), by_reference(2, "x", 1)], OURS, lambda lines: {})

    assert [1, 2] == [each.theirs.number for each in results if each.theirs]
    assert {11, 12, 13} == {each.ours.entry_id for each in results if each.ours}
    assert {Finding.MATCHED, Finding.MISSING_HERE, Finding.MISSING_THERE} == {each.finding for each in results}
