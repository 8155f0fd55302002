"""The second hand over a whole settlement: fees of windows, positions, runs and caps; each altered fen is found."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from coalition.replay.agreed import FactsMissing
from coalition.replay.comparison import Verdict, judge
from coalition.replay.facts import Facts
from coalition.replay.sums import FeesFacts, window_fee
from tests.replay.exported import Export, claim
from tests.replay.test_recompute import g0

BANDS = ((0, Fraction(5, 1000)), (100_000, Fraction(3, 1000)), (300_000, Fraction(1, 1000)))
SETTLEMENT = {"WINDOW_FEE", "NETTING", "SETTLEMENT_PAYMENT"}
JANUARY, FEBRUARY = "2017-01", "2017-02"


def schedule(**said: Any) -> FeesFacts:
    content: dict[str, Any] = {
        "payer": "c",
        "payee": "h",
        "base": "PURCHASES",
        "of_payee": False,
        "bands": BANDS,
        "by_whole": False,
        "flat": 0,
        "minimum": None,
        "maximum": None,
        "calendar": "monthly",
    }
    return FeesFacts(**(content | said))


@pytest.mark.parametrize(
    ("volume", "said", "fee"),
    [
        (0, {}, 0),
        (-5_000, {"flat": 7}, 7),
        (100_000, {}, 500),
        (100_001, {}, 500),
        (400_000, {}, 500 + 600 + 100),
        (99_999, {"by_whole": True}, 500),
        (100_000, {"by_whole": True}, 300),
        (1_000_000, {"by_whole": True}, 1_000),
        (100, {}, 0),  # 0.5 to the even one
        (300, {}, 2),  # 1.5 too
        (400_000, {"maximum": 999}, 999),
        (0, {"minimum": 200, "maximum": 999}, 200),
        (9, {"bands": ((5, Fraction(40)),)}, 160),
        (4, {"bands": ((5, Fraction(40)),), "by_whole": True}, 0),
    ],
)
def test_a_fee_by_its_bands(volume: int, said: dict[str, Any], fee: int) -> None:
    assert fee == window_fee(schedule(**said), volume)


def fees(code: str, bands: Sequence[tuple[int, str]], **said: Any) -> tuple[str, str, dict[str, Any]]:
    rows = [{"from_volume": start, "rate": rate} for start, rate in bands]
    content = {"payee": "OPERATOR", "banding": "MARGINAL", "measured": "PAYER", "calendar": "monthly", "bands": rows}
    return (code, "FEES", content | said)


def settled_g0(directory: Path) -> Export:
    """G0 over two months with fees: C pays 0.5 % of sales, at least 1.00; A 3.00 for each member it won, and C 2.00 for
    each of A's that bought for the first time. January's small dues are carried into February's run.
    """
    export = g0(directory)
    export.agreements += [
        fees("by-volume", [(0, "5/1000"), (20_000, "1/1000")], payer="c", base="PURCHASES", minimum_minor=100),
        fees("by-new", [(0, "300")], payer="a", base="NEW_MEMBERS"),
        fees("by-active", [(0, "200")], payer="c", payee="a", base="ACTIVATED_MEMBERS", measured="PAYEE"),
    ]
    # 30000: 100 + 10. A refund of 10000 in February is a volume below zero, which counts as 0: the minimum.
    january = [
        claim("a", "h", 300, "WINDOW_FEE"),
        claim("c", "a", 200, "WINDOW_FEE"),
        claim("c", "h", 110, "WINDOW_FEE"),
    ]
    export.act("ASSESS", january, JANUARY)
    export.act("ASSESS", [claim("c", "h", 100, "WINDOW_FEE")], FEBRUARY)
    export.net(JANUARY, {"a": (500, 30_300), "c": (30_000, 790), "h": (590, 0), "t": (0, 0)})
    export.pay([JANUARY], 1_000, {"a": (-29_800, -29_800), "c": (29_210, 29_210), "h": (590, 0)})
    export.net(FEBRUARY, {"a": (10_000, 100), "c": (160, 10_100), "h": (100, 60), "t": (0, 0)})
    export.pay([FEBRUARY], 0, {"a": (9_900, 9_900), "c": (-9_940, -9_940), "h": (630, 630)})
    return export


def judged(export: Export) -> Verdict:
    return judge(export.write(), {})


def test_two_months_with_fees_and_runs_are_equal_and_nothing_is_left_due(tmp_path: Path) -> None:
    verdict = judged(settled_g0(tmp_path))

    assert () == verdict.differences
    assert (5, 8, 2, 6, 5, {}) == (
        verdict.entries,
        verdict.positions,
        verdict.windows,
        verdict.fees,
        verdict.payments,
        verdict.left,
    )


def test_every_altered_fen_of_the_settlement_is_found(tmp_path: Path) -> None:
    """Of each fee, netting and payment, and of a position and a line of a run of each participant."""
    places = [place for place, row in enumerate(settled_g0(tmp_path).transfers) if row[5] in SETTLEMENT]
    assert len(places) == 15
    for place in places:
        export = settled_g0(tmp_path)
        entry, leg, debit, credit, amount, *rest = export.transfers[place]
        export.transfers[place] = (entry, leg, debit, credit, amount - 1, *rest)
        assert not judged(export).equal, export.transfers[place]
    for place in range(3):
        export = settled_g0(tmp_path)
        row = export.positions[place]
        export.positions[place] = (*row[:4], row[4] + 1, row[5])
        assert not judged(export).equal, export.positions[place]
        export = settled_g0(tmp_path)
        export.run_parties[place] = (*export.run_parties[place][:4], export.run_parties[place][4] + 1)
        assert not judged(export).equal, export.run_parties[place]


def test_a_wrong_fen_in_a_band_is_told_with_the_window_and_the_fee(tmp_path: Path) -> None:
    export = settled_g0(tmp_path)
    entry = export.transfers.index(next(row for row in export.transfers if row[5] == "WINDOW_FEE" and row[4] == 110))
    number = export.transfers[entry][0]
    export.transfers[entry] = (*export.transfers[entry][:4], 111, *export.transfers[entry][5:])

    assert (
        f"entry {number}: CLEARING(c) -> CLEARING(h) WINDOW_FEE in monthly/2017-01: posted 111, computed 110"
        in judged(export).differences
    )


def test_a_refund_in_the_window_of_its_purchase_is_found(tmp_path: Path) -> None:
    """It belongs into the window that is open when it comes back."""
    export = settled_g0(tmp_path)
    refund = next(entry for entry, *_ in export.entries if export.entries[entry - 1][3] == "REFUND")
    export.transfers = [
        (*row[:6], "monthly/2017-01", row[7]) if row[0] == refund and row[6] else row for row in export.transfers
    ]

    differences = judged(export).differences

    assert any(
        f"entry {refund}" in told and "in monthly/2017-01: posted 8333, computed 0" in told for told in differences
    )
    assert any(told.startswith("monthly/2017-02: c: posted") for told in differences)


def test_fees_that_nobody_posted_are_found(tmp_path: Path) -> None:
    export = settled_g0(tmp_path)
    assessed = next(row[0] for row in export.entries if row[3] == "ASSESS")
    export.transfers = [row for row in export.transfers if row[0] != assessed]

    assert any("entry 0" in told and "posted 0, computed 110" in told for told in judged(export).differences)


def test_a_fee_of_another_window_is_found(tmp_path: Path) -> None:
    export = settled_g0(tmp_path)
    assessed = next(row[0] for row in export.entries if row[3] == "ASSESS")
    export.transfers = [
        (*row[:6], "monthly/2017-02", row[7]) if row[0] == assessed else row for row in export.transfers
    ]

    assert not judged(export).equal


def test_fees_follow_the_version_that_held_on_the_last_day_of_the_window(tmp_path: Path) -> None:
    export = settled_g0(tmp_path)
    facts = Facts(export.write())
    volumes = facts.versions["by-volume", 1]
    facts.versions["by-volume", 2] = type(volumes)(
        "by-volume", 2, "FEES", date(2017, 2, 28), None, volumes.parties, schedule(bands=((0, Fraction(1)),))
    )

    assert date(2017, 1, 31) == facts.last_day("monthly", JANUARY)
    rates = [
        [each.bands[0][1] for each in facts.fees("monthly", date(2017, 2, day)) if each.base == "PURCHASES"]
        for day in (27, 28)
    ]
    assert [[Fraction(5, 1000)], [1]] == rates


def test_two_schedules_for_the_same_are_not_guessed_between(tmp_path: Path) -> None:
    export = settled_g0(tmp_path)
    export.agreements.append(fees("rival", [(0, "1/1000")], payer="c", base="PURCHASES"))

    with pytest.raises(FactsMissing, match="two agreements of kind FEES"):
        judged(export)


def test_what_others_carry_is_left_by_the_operator(tmp_path: Path) -> None:
    """The bank pays no more than comes in (SUMS section 4): H leaves of its own what C does not pay yet."""
    export = g0(tmp_path)
    export.net(JANUARY, {"a": (300, 30_000), "c": (30_000, 480), "h": (180, 0), "t": (0, 0)})
    export.net(FEBRUARY, {"a": (10_000, 100), "c": (160, 10_000), "h": (0, 60), "t": (0, 0)})
    export.pay([JANUARY], 0, {"a": (-29_700, -29_700), "c": (29_520, 29_520), "h": (180, 180)})
    export.pay([FEBRUARY], 9_850, {"a": (9_900, 9_900), "c": (-9_840, 0), "h": (-60, -9_900)})

    verdict = judged(export)

    assert () == verdict.differences
    assert {"c": -9_840, "h": 9_840} == verdict.left


def capped(directory: Path, cap: int, *, paid: bool = False, collateral: int = 0) -> Export:
    """G0's first month, A with a cap; then another purchase with its value is declined at C."""
    export = g0(directory)
    export.agreements.append(
        (
            "cap",
            "CAPS",
            {"participant": "a", "net_debit_minor": cap, "warning_percent": 80, "collateral_counts": True},
        )
    )
    export.net(JANUARY, {"a": (300, 30_000), "c": (30_000, 480), "h": (180, 0), "t": (0, 0)})
    export.net(FEBRUARY, {"a": (10_000, 100), "c": (160, 10_000), "h": (0, 60), "t": (0, 0)})
    if collateral:
        export.act("COLLATERAL_MOVED", [("BANK", "COLLATERAL(a)", collateral, "COLLATERAL")])
    if paid:
        export.pay([JANUARY, FEBRUARY], 0, {"a": (-19_800, -19_800), "c": (19_680, 19_680), "h": (120, 120)})
        for _ in range(300):
            export.act("PARTICIPANT_STATE_SET", [])
    export.decline("PURCHASE", "c", 500, "a", balance=100_000)
    return export


def test_a_decline_for_a_cap_that_was_reached_is_explained(tmp_path: Path) -> None:
    """A owed 29700, then 19800: above the mark of 80 % it is stopped still."""
    verdict = judged(capped(tmp_path, 24_000))

    assert () == verdict.differences
    (exposure,) = verdict.exposures
    assert (24_000, 29_700, 1, 1, 1) == (
        exposure.cap,
        exposure.most,
        exposure.warnings,
        exposure.stops,
        exposure.declines,
    )


@pytest.mark.parametrize(
    ("cap", "paid", "collateral"), [(30_000, False, 0), (24_000, True, 0), (20_000, False, 20_000)]
)
def test_a_decline_without_a_cap_that_was_reached_is_a_difference(
    tmp_path: Path, cap: int, paid: bool, collateral: int
) -> None:
    """Never reached; reached and paid long since; reached before collateral was paid in, and below the mark since."""
    export = capped(tmp_path, cap, paid=paid, collateral=collateral)
    if collateral:
        for _ in range(300):
            export.act("PARTICIPANT_STATE_SET", [])
        export.decline("PURCHASE", "c", 500, "a", balance=100_000)

    assert any("PURCHASE at c was declined for the cap of a" in told for told in judged(export).differences)
