"""The second hand alone arrives at the goldens of SUMS.md, and sees a single altered fen."""

from pathlib import Path

import pytest

from coalition.replay.agreed import FactsMissing
from coalition.replay.comparison import judge
from coalition.replay.facts import Facts
from coalition.replay.posting import Books, Window
from coalition.replay.recompute import recompute
from tests.replay.exported import Export, claim, settle

TWO_POINT_FOUR = [{"from_minor": 1, "bonus": "1/5"}]


def terms(issuer: str, tiers: list[dict[str, object]], **more: object) -> dict[str, object]:
    return {"issuer": issuer, "custody": "ISSUER_HELD", "sellers": [issuer], "tiers": tiers, **more}


def acquiring(acquirer: str, operator_fee: str = "6/1000", commission: str = "1/100") -> dict[str, object]:
    return {"acquirer": acquirer, "operator_fee": operator_fee, "commission": commission, "commission_to": "a"}


def acceptance(issuer: str, share: str = "1", interchange: str = "0") -> dict[str, object]:
    return {"issuer": issuer, "acquirer": "c", "issuer_bonus_share": share, "interchange": interchange}


def nets(export: Export) -> dict[Window, dict[str, int]]:
    """The positions the second hand computes, of every window."""
    books = Books()
    for _ in recompute(Facts(export.write()), books):
        pass
    return {
        window: {code: standing.net for code, standing in sorted(standings.items()) if standing.net}
        for window, standings in books.positions.items()
    }


def g0(directory: Path, share: str = "1") -> Export:
    """A top-up of 1000 + 200 at A and a purchase of 300 at C, closed; next month 100 comes back."""
    export = Export(
        directory,
        [
            ("sold", "TERMS", terms("a", TWO_POINT_FOUR)),
            ("accepted", "ACCEPTANCE", acceptance("a", share)),
            ("pays", "ACQUIRING", acquiring("c")),
        ],
    )
    export.post(
        "TOP_UP",
        "a",
        100_000,
        "sold",
        [("FLOAT(a,a)", "WALLET", 100_000, "PRINCIPAL"), ("BONUS(a)", "WALLET", 20_000, "BONUS")],
    )
    bought = export.post(
        "PURCHASE",
        "c",
        30_000,
        "pays",
        [
            ("WALLET", "FLOAT(a,a)", 25_000, "PRINCIPAL"),
            ("WALLET", "BONUS(a)", 5_000, "BONUS"),
            claim("a", "c", 25_000, "PRINCIPAL"),
            claim("a", "c", 5_000, "BONUS"),
            claim("c", "h", 180, "OPERATOR_FEE"),
            claim("c", "a", 300, "COMMISSION"),
        ],
    )
    export.close_month()
    export.post(
        "REFUND",
        "c",
        10_000,
        "pays",
        [
            ("FLOAT(a,a)", "WALLET", 8_333, "PRINCIPAL"),
            ("BONUS(a)", "WALLET", 1_667, "BONUS"),
            claim("c", "a", 8_333, "PRINCIPAL"),
            claim("c", "a", 1_667, "BONUS"),
            claim("h", "c", 60, "OPERATOR_FEE"),
            claim("a", "c", 100, "COMMISSION"),
        ],
        original=bought,
    )
    export.close_month()
    return export


def settled(directory: Path) -> dict[Window, Path]:
    """What the settlement says of G0's two months."""
    return {
        ("monthly", "2017-01"): settle(
            directory / "2017-01", {"a": (300, 30_000), "c": (30_000, 480), "h": (180, 0), "t": (0, 0)}
        ),
        ("monthly", "2017-02"): settle(
            directory / "2017-02", {"a": (10_000, 100), "c": (160, 10_000), "h": (0, 60), "t": (0, 0)}
        ),
    }


def test_g0_issuer_held_purchase_and_next_months_refund(tmp_path):
    export = g0(tmp_path)

    assert {
        ("monthly", "2017-01"): {"a": -29_700, "c": 29_520, "h": 180},
        ("monthly", "2017-02"): {"a": 9_900, "c": -9_840, "h": -60},
    } == nets(export)


def test_g0_bonus_borne_by_the_acquirer(tmp_path):
    export = g0(tmp_path, share="0")

    assert {
        ("monthly", "2017-01"): {"a": -24_700, "c": 24_520, "h": 180},
        ("monthly", "2017-02"): {"a": 8_233, "c": -8_173, "h": -60},
    } == nets(export)


def test_g1_custody_holds_the_principal(tmp_path):
    export = Export(
        tmp_path,
        [
            ("sold", "TERMS", terms("a", TWO_POINT_FOUR) | {"custody": "OPERATOR_HELD"}),
            ("accepted", "ACCEPTANCE", acceptance("a")),
            ("pays", "ACQUIRING", acquiring("c")),
        ],
    )
    export.post("TOP_UP", "a", 100_000, "sold", [])
    bought = export.post("PURCHASE", "c", 30_000, "pays", [])
    export.close_month()
    export.post("REFUND", "c", 10_000, "pays", [], original=bought)
    export.close_month()

    assert {
        ("monthly", "2017-01"): {"a": -104_700, "c": 29_520, "h": 180, "t": 75_000},
        ("monthly", "2017-02"): {"a": 1_567, "c": -9_840, "h": -60, "t": 8_333},
    } == nets(export)


def test_g2_two_issuers_interchange_and_a_refund_in_two_slices(tmp_path):
    export = Export(
        tmp_path,
        [
            ("a-sells", "TERMS", terms("a", TWO_POINT_FOUR, bonus_months=1)),
            ("b-sells", "TERMS", terms("b", [{"from_minor": 1, "bonus": "15/100"}], bonus_months=2)),
            ("a-accepted", "ACCEPTANCE", acceptance("a", "0", "5/1000")),
            ("b-accepted", "ACCEPTANCE", acceptance("b", "1", "8/1000")),
            ("pays", "ACQUIRING", acquiring("c")),
        ],
    )
    # B's lot is the older one: A's goes first because its bonus expires first.
    export.post("TOP_UP", "b", 5_000, "b-sells", [])
    export.post("TOP_UP", "a", 10_000, "a-sells", [])
    bought = export.post("PURCHASE", "c", 15_000, "pays", [])
    export.close_month()
    export.post("REFUND", "c", 4_000, "pays", [], original=bought)
    export.close_month()
    export.post("REFUND", "c", 11_000, "pays", [], original=bought)
    export.close_month()

    assert {
        ("monthly", "2017-01"): {"a": -9_790, "b": -2_976, "c": 12_676, "h": 90},
        ("monthly", "2017-02"): {"a": 788, "b": 2_976, "c": -3_740, "h": -24},
        ("monthly", "2017-03"): {"a": 9_002, "c": -8_936, "h": -66},
    } == nets(export)


def test_beyond_its_sponsors_limit_the_issuer_bears_the_bonus(tmp_path):
    """Three bonuses of 200.00, half of each the sponsor's, 150.00 at most: it bears 100.00, 50.00 and nothing."""
    held = {"sponsor": "s", "sponsor_share": "1/2", "sponsor_limit_minor": 15_000, "when_used_up": "ISSUER"}
    export = Export(
        tmp_path,
        [
            ("sold", "TERMS", terms("a", TWO_POINT_FOUR, **held)),
            ("accepted", "ACCEPTANCE", acceptance("a")),
            ("pays", "ACQUIRING", acquiring("c", "0", "0")),
        ],
    )
    for _ in range(3):
        export.post("TOP_UP", "a", 100_000, "sold", [])
    export.post("PURCHASE", "c", 120_000, "pays", [])
    export.close_month()
    bought = export.post("PURCHASE", "c", 120_000, "pays", [])
    export.close_month()
    export.post("REFUND", "c", 60_000, "pays", [], original=bought)
    export.post("PURCHASE", "c", 180_000, "pays", [])
    export.close_month()

    assert {
        ("monthly", "2017-01"): {"a": -110_000, "c": 120_000, "s": -10_000},
        ("monthly", "2017-02"): {"a": -115_000, "c": 120_000, "s": -5_000},
        ("monthly", "2017-03"): {"a": -120_000, "c": 120_000},
    } == nets(export)


def test_g3_bonus_split_with_a_sponsor_comes_back_in_three_slices(tmp_path):
    export = Export(
        tmp_path,
        [
            ("sold", "TERMS", terms("a", TWO_POINT_FOUR, sponsor="s", sponsor_share="1/2")),
            ("accepted", "ACCEPTANCE", acceptance("a")),
            ("pays", "ACQUIRING", acquiring("c", "0", "0")),
        ],
    )
    export.post("TOP_UP", "a", 100_000, "sold", [])
    bought = export.post("PURCHASE", "c", 30_000, "pays", [])
    export.close_month()
    for _ in range(3):
        export.post("REFUND", "c", 10_000, "pays", [], original=bought)
        export.close_month()

    assert {
        ("monthly", "2017-01"): {"a": -27_500, "c": 30_000, "s": -2_500},
        ("monthly", "2017-02"): {"a": 8_333 + 833, "c": -10_000, "s": 834},
        ("monthly", "2017-03"): {"a": 8_333 + 834, "c": -10_000, "s": 833},
        ("monthly", "2017-04"): {"a": 8_334 + 833, "c": -10_000, "s": 833},
    } == nets(export)


def test_both_hands_agree_on_an_untouched_journal(tmp_path):
    verdict = judge(g0(tmp_path / "export").write(), settled(tmp_path))

    assert () == verdict.differences
    assert 3 == verdict.entries


@pytest.mark.parametrize("line", range(14))
def test_a_single_altered_fen_in_the_exported_journal_is_found(tmp_path, line):
    export = g0(tmp_path / "export")
    entry, leg, debit, credit, amount, *rest = export.transfers[line]
    export.transfers[line] = (entry, leg, debit, credit, amount + 1, *rest)

    verdict = judge(export.write(), settled(tmp_path))

    assert not verdict.equal
    assert any(f"entry {entry}: {debit} -> {credit}" in sentence for sentence in verdict.differences)


def test_an_altered_amount_that_was_asked_for_is_found(tmp_path):
    export = g0(tmp_path / "export")
    row = list(export.entries[1])
    row[7] += 1
    export.entries[1] = tuple(row)

    assert not judge(export.write(), settled(tmp_path)).equal


def test_a_single_altered_fen_in_the_settlement_is_found(tmp_path):
    reports = settled(tmp_path / "reports")
    altered = settle(tmp_path / "altered", {"a": (300, 30_000), "c": (30_000, 480), "h": (181, 0), "t": (0, 0)})

    verdict = judge(g0(tmp_path / "export").write(), reports | {("monthly", "2017-01"): altered})

    assert (
        "monthly/2017-01: h: settled 181 - 0 = 181, computed 180 - 0 = 180",
        "monthly/2017-01: settled net positions add up to 1, not to 0",
    ) == verdict.differences


def test_a_dropped_transfer_and_a_dropped_entry_are_found(tmp_path):
    whole = g0(tmp_path / "one")
    del whole.transfers[-1]
    assert not judge(whole.write(), settled(tmp_path / "reports")).equal

    short = g0(tmp_path / "two")
    short.entries.pop()
    assert not judge(short.write(), {}).equal


def test_spending_more_than_the_wallet_holds_cannot_be_computed(tmp_path):
    export = g0(tmp_path)
    export.post("PURCHASE", "c", 200_000, "pays", [])

    with pytest.raises(FactsMissing, match="were not in wallet 7"):
        nets(export)


def test_a_chain_takes_its_own_card_where_nothing_is_agreed(tmp_path: Path) -> None:
    """A owes C all of the 300, no interchange; between others nothing is taken."""
    export = g0(tmp_path / "export")
    export.agreements = [each for each in export.agreements if each[1] != "ACCEPTANCE"]
    export.chains = {"a": "blue", "c": "blue"}

    assert {"a": -29_700, "c": 29_520, "h": 180} == nets(export)["monthly", "2017-01"]
    export.chains = {"a": "blue", "c": "red"}
    with pytest.raises(Exception, match="entry 2"):
        nets(export)
