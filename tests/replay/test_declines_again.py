"""Declines follow from what the wallet held: the second hand knows why, and tells of every one that does not follow."""

from pathlib import Path

import pytest

from coalition.replay.agreed import FactsMissing
from coalition.replay.comparison import judge
from tests.replay.exported import CAPPED, Export, claim
from tests.replay.test_recompute import acceptance, acquiring, terms


def two_issuers(directory: Path) -> Export:
    """A wallet with 100.00 of A and 60.00 of B; C takes A's alone, both take their own."""
    export = Export(
        directory,
        [
            ("a-sells", "TERMS", terms("a", [])),
            ("b-sells", "TERMS", terms("b", [])),
            ("taken", "ACCEPTANCE", acceptance("a")),
            *((f"{code}-pays", "ACQUIRING", acquiring(code, "0", "0")) for code in "abc"),
        ],
    )
    for issuer, amount in (("a", 10_000), ("b", 6_000)):
        export.post(
            "TOP_UP", issuer, amount, f"{issuer}-sells", [(f"FLOAT({issuer},{issuer})", "WALLET", amount, "PRINCIPAL")]
        )
    return export


def told(export: Export) -> tuple[str, ...]:
    """What is not explained, without what was (not) reached of caps: there are none here."""
    return tuple(each for each in judge(export.write(), {}).differences if "for the cap of" not in each)


@pytest.mark.parametrize(
    ("kind", "at", "amount", "capped", "reason"),
    [
        ("PURCHASE", "c", 16_001, "", "INSUFFICIENT_FUNDS"),
        ("PURCHASE", "c", 10_001, "", "NOT_ACCEPTED_HERE"),
        ("PURCHASE", "c", 10_000, "a", CAPPED),
        ("TOP_UP", "b", 5_000, "b", CAPPED),
    ],
)
def test_a_decline_that_follows_from_the_wallet_is_explained(
    tmp_path: Path, kind: str, at: str, amount: int, capped: str, reason: str
) -> None:
    export = two_issuers(tmp_path)
    export.decline(kind, at, amount, capped, reason, balance=16_000 if kind == "PURCHASE" else 0)

    assert () == told(export)
    assert 1 == judge(export.write(), {}).declines


@pytest.mark.parametrize(
    ("kind", "at", "amount", "capped", "reason"),
    [
        ("PURCHASE", "c", 16_000, "", "INSUFFICIENT_FUNDS"),
        ("PURCHASE", "c", 10_000, "", "NOT_ACCEPTED_HERE"),
        ("PURCHASE", "c", 16_001, "a", CAPPED),
        ("PURCHASE", "c", 10_000, "b", CAPPED),  # not taken there anyway
        ("PURCHASE", "a", 10_000, "a", CAPPED),  # at home its members buy as ever
        ("PURCHASE", "c", 10_000, "", "CARD_FROZEN"),
        ("TOP_UP", "b", 5_000, "a", CAPPED),
        ("POINTS_SPEND", "c", 0, "", "POINTS_TOO_FEW"),
    ],
)
def test_a_decline_that_does_not_follow_is_a_difference(
    tmp_path: Path, kind: str, at: str, amount: int, capped: str, reason: str
) -> None:
    export = two_issuers(tmp_path)
    entry = export.decline(kind, at, amount, capped, reason, balance=0 if kind == "TOP_UP" else 16_000)

    assert (f"entry {entry}: a {kind} of {amount} at {at} was declined, {reason}",) == told(export)


def test_a_balance_that_was_told_wrong_is_found_and_one_of_then_is_meant(tmp_path: Path) -> None:
    """What is spent later counts not yet."""
    export = two_issuers(tmp_path)
    entry = export.decline("PURCHASE", "c", 20_000, "", "INSUFFICIENT_FUNDS", balance=15_999)
    export.post(
        "PURCHASE",
        "c",
        4_000,
        "c-pays",
        [("WALLET", "FLOAT(a,a)", 4_000, "PRINCIPAL"), claim("a", "c", 4_000, "PRINCIPAL")],
    )
    export.decline("PURCHASE", "c", 20_000, "", "INSUFFICIENT_FUNDS", balance=12_000)

    assert (f"entry {entry}: the wallet was told to hold 15999, computed 16000",) == told(export)


def test_a_decline_of_nobody_knows_whose_card_cannot_be_explained(tmp_path: Path) -> None:
    export = two_issuers(tmp_path)
    export.decline("PURCHASE", "c", 20_000, "", "INSUFFICIENT_FUNDS", balance=16_000, wallet=0)

    with pytest.raises(FactsMissing, match="whose card"):
        told(export)
