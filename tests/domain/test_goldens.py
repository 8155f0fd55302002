"""The golden examples of the sums, G0 to G7, to the fen: every leg, every net position, every final balance.

A issues, C acquires, H operates, T holds in custody, S sells or sponsors. `WALLET->FLOAT(A) 25000` debits the wallet
and credits the float; `A=>C 25000` is a claim.
"""

from datetime import date
from typing import Any

import pytest

from coalition.domain.errors import Refused
from coalition.domain.rates import Rate
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines

FEES = {"operator_fee": "6/1000", "commission": "1/100"}


def house_of_terms_24(
    acceptance: dict[str, Any] | None = None, fees: dict[str, Any] | None = None, **terms: Any
) -> House:
    """Lots of 100000 + 20000 by A, taken at C."""
    house = House()
    house.terms("a", **terms)
    house.accept("a", "c", **(acceptance or {}))
    house.acquire("c", **(FEES if fees is None else fees))
    return house


def test_g0_issuer_held_purchase_and_a_refund_in_the_next_window():
    house = house_of_terms_24()
    top_up = house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    assert lines("FLOAT(A)->WALLET 100000, BONUS(A)->WALLET 20000") == top_up.legs
    assert (
        lines("WALLET->FLOAT(A) 25000, WALLET->BONUS(A) 5000, A=>C 25000, A=>C 5000, C=>H 180, C=>A 300")
        == purchase.legs
    )
    assert {"A": -29700, "C": 29520, "H": 180} == house.nets(1)

    house.next_window()
    refund = house.refund("c", 10000, purchase)

    assert lines("FLOAT(A)->WALLET 8333, BONUS(A)->WALLET 1667, C=>A 8333, C=>A 1667, H=>C 60, A=>C 100") == refund.legs
    assert {"A": 9900, "C": -9840, "H": -60} == house.nets(2)
    assert {"A": -29700, "C": 29520, "H": 180} == house.nets(1)
    assert {"WALLET": 100000, "FLOAT(A)": 83333, "BONUS(A)": 16667} == house.accounts()


def test_g0_acquirer_borne_bonus():
    house = house_of_terms_24({"issuer_bonus_share": "0"})
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    assert lines("WALLET->FLOAT(A) 25000, WALLET->BONUS(A) 5000, A=>C 25000, C=>H 180, C=>A 300") == purchase.legs
    assert {"A": -24700, "C": 24520, "H": 180} == house.nets(1)

    house.next_window()
    refund = house.refund("c", 10000, purchase)

    assert lines("FLOAT(A)->WALLET 8333, BONUS(A)->WALLET 1667, C=>A 8333, H=>C 60, A=>C 100") == refund.legs
    assert {"C": -8173, "A": 8233, "H": -60} == house.nets(2)


def test_worked_month_of_the_design():
    """The same 300 yuan at the cafe as HQ reads it: -297.00, +295.20, +1.80."""
    house = house_of_terms_24()
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    assert {"A": -297_00, "C": 295_20, "H": 1_80} == house.nets(1)

    house.next_window()
    refund = house.refund("c", 10000, purchase)

    assert {"C=>A 8333", "C=>A 1667", "H=>C 60", "A=>C 100"} == {leg for leg in refund.legs if "=>" in leg}
    assert {"A": -297_00, "C": 295_20, "H": 1_80} == house.nets(1)


def test_g1_custody_through_top_up_refund_and_cash_out():
    house = house_of_terms_24(custody="OPERATOR_HELD")
    top_up = house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    assert lines("FLOAT(T,A)->WALLET 100000, BONUS(A)->WALLET 20000, A=>T 100000") == top_up.legs
    assert (
        lines("WALLET->FLOAT(T,A) 25000, WALLET->BONUS(A) 5000, T=>C 25000, A=>C 5000, C=>H 180, C=>A 300")
        == purchase.legs
    )
    assert {"A": -104700, "C": 29520, "H": 180, "T": 75000} == house.nets(1)
    assert {"WALLET": 90000, "FLOAT(T,A)": 75000, "BONUS(A)": 15000} == house.accounts()

    house.next_window()
    refund = house.refund("c", 10000, purchase)

    assert (
        lines("FLOAT(T,A)->WALLET 8333, BONUS(A)->WALLET 1667, C=>T 8333, C=>A 1667, H=>C 60, A=>C 100") == refund.legs
    )
    assert {"C": -9840, "A": 1567, "H": -60, "T": 8333} == house.nets(2)

    house.next_window()
    cash_out = house.cash_out("a")

    assert lines("WALLET->FLOAT(T,A) 83333, WALLET->BONUS(A) 16667, T=>A 83333") == cash_out.legs
    assert 83333 == cash_out.decision.amount_minor
    assert {} == house.accounts()
    nets = house.nets()
    # A took 100000 in cash from the member and handed 83333 back: with that, it is 3133 poorer over all.
    assert {"A": -3133, "C": 19680, "H": 120} == nets | {"A": nets["A"] + 100000 - 83333}


def test_g2_two_issuers_two_agreements_and_a_refund_in_two_slices():
    house = House()
    house.terms("a", "1/5", bonus_months=1)
    house.terms("b", "3/20")
    house.accept("a", "c", issuer_bonus_share="0", interchange="5/1000")
    house.accept("b", "c", interchange="8/1000")
    house.acquire("c", **FEES)
    second = house.top_up("b", 5000)
    first = house.top_up("a", 10000)
    purchase = house.purchase("c", 15000)

    assert (
        lines(
            """WALLET->FLOAT(A) 10000, WALLET->BONUS(A) 2000, WALLET->FLOAT(B) 2608, WALLET->BONUS(B) 392
            A=>C 10000, B=>C 2608, B=>C 392, C=>A 60, C=>B 24, C=>H 90, C=>A 150"""
        )
        == purchase.legs
    )
    assert [(first.entry_id, 12000, 10000), (second.entry_id, 3000, 2608)] == [
        (row.lot_id, row.face, row.principal) for row in purchase.decision.allocations
    ]
    assert {"A": -9790, "B": -2976, "C": 12676, "H": 90} == house.nets(1)

    house.next_window()
    refund = house.refund("c", 4000, purchase)

    assert (
        lines(
            """FLOAT(B)->WALLET 2608, BONUS(B)->WALLET 392, FLOAT(A)->WALLET 833, BONUS(A)->WALLET 167
            C=>B 2608, C=>B 392, C=>A 833, B=>C 24, A=>C 5, H=>C 24, A=>C 40"""
        )
        == refund.legs
    )
    assert [(second.entry_id, 3000, 2608), (first.entry_id, 1000, 833)] == [
        (row.lot_id, row.face, row.principal) for row in refund.decision.allocations
    ]
    assert {"A": 788, "B": 2976, "C": -3740, "H": -24} == house.nets(2)

    house.next_window()
    rest = house.refund("c", 11000, purchase)

    assert 9167 == rest.decision.principal_minor
    assert lines("FLOAT(A)->WALLET 9167, BONUS(A)->WALLET 1833, C=>A 9167, A=>C 55, H=>C 66, A=>C 110") == rest.legs
    assert {"A": 9002, "C": -8936, "H": -66} == house.nets(3)
    assert {} == house.nets()


def test_g3_bonus_split_between_issuer_and_sponsor():
    house = house_of_terms_24(fees={}, sponsor="s", sponsor_share="1/2")
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    assert lines("WALLET->FLOAT(A) 25000, WALLET->BONUS(A) 5000, A=>C 25000, A=>C 2500, S=>C 2500") == purchase.legs

    slices = [house.refund("c", 10000, purchase).legs for _ in range(3)]

    for legs, (principal, issuer, sponsor) in zip(
        slices, [(8333, 833, 834), (8333, 834, 833), (8334, 833, 833)], strict=True
    ):
        assert lines(f"C=>A {principal}, C=>A {issuer}, C=>S {sponsor}") == [leg for leg in legs if "=>" in leg]
    assert {} == house.nets()


def test_g4_bounced_top_up_is_the_sellers_loss():
    house = house_of_terms_24(fees={}, sellers=["s"])
    top_up = house.top_up("s", 100000, issuer="a")
    purchase = house.purchase("c", 30000)
    reversal = house.reverse_top_up("s", top_up)

    assert lines("FLOAT(A)->WALLET 100000, BONUS(A)->WALLET 20000, S=>A 100000") == top_up.legs
    assert lines("WALLET->FLOAT(A) 75000, WALLET->BONUS(A) 15000, A=>S 75000") == reversal.legs
    assert {"S": -25000, "A": -5000, "C": 30000} == house.nets(1)
    assert {} == house.accounts()

    house.next_window()
    refund = house.refund("c", 10000, purchase)

    assert (
        lines(
            """FLOAT(A)->WALLET 8333, BONUS(A)->WALLET 1667, WALLET->FLOAT(A) 8333, WALLET->BONUS(A) 1667
            C=>A 8333, C=>A 1667, A=>S 8333"""
        )
        == refund.legs
    )
    assert 0 == house.wallet().balance_minor
    assert {"C": -10000, "A": 1667, "S": 8333} == house.nets(2)


def test_g4_bounced_top_up_is_the_issuers_loss_where_the_terms_say_so():
    house = house_of_terms_24(fees={}, sellers=["s"], top_up_loss="ISSUER")
    top_up = house.top_up("s", 100000, issuer="a")
    purchase = house.purchase("c", 30000)
    reversal = house.reverse_top_up("s", top_up)

    assert lines("WALLET->FLOAT(A) 75000, WALLET->BONUS(A) 15000, A=>S 75000, A=>S 25000") == reversal.legs
    assert {"A": -30000, "C": 30000} == house.nets(1)

    house.next_window()
    house.refund("c", 30000, purchase)

    assert {"A": 30000, "C": -30000} == house.nets(2)
    assert {} == house.accounts()


@pytest.mark.parametrize(
    ("loss", "bearer", "nets"),
    [("SELLER", "S", {"A": -5000, "C": 30000, "S": -25000}), ("ISSUER", "A", {"A": -30000, "C": 30000})],
)
def test_g4_in_custody_the_pool_keeps_nothing_of_a_bounced_top_up(loss: str, bearer: str, nets: dict[str, int]):
    """T passes on what comes back to whoever bore the loss."""
    house = house_of_terms_24(fees={}, sellers=["s"], custody="OPERATOR_HELD", top_up_loss=loss)
    top_up = house.top_up("s", 100000, issuer="a")
    purchase = house.purchase("c", 30000)
    house.reverse_top_up("s", top_up)

    assert nets == house.nets()

    refund = house.refund("c", 10000, purchase)

    assert f"T=>{bearer} 8333" in refund.legs
    assert "T" not in house.nets()


def test_g5_refund_of_an_expired_bonus_restores_and_expires_it_at_once():
    house = house_of_terms_24(fees={}, bonus_months=1)
    top_up = house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    assert {"A": -30000, "C": 30000} == house.nets()

    house.on(date(2026, 2, 11))
    expiry = house.expire(top_up)

    assert lines("WALLET->BONUS(A) 15000") == expiry.legs
    assert 75000 == house.wallet().balance_minor

    refund = house.refund("c", 30000, purchase)

    assert (
        lines("FLOAT(A)->WALLET 25000, BONUS(A)->WALLET 5000, WALLET->BONUS(A) 5000, C=>A 25000, C=>A 5000")
        == refund.legs
    )
    assert {} == house.nets()
    assert {"WALLET": 100000, "FLOAT(A)": 100000} == house.accounts()


def test_g6_hold_capture_and_release():
    house = House()
    house.terms("a", "0")
    house.terms("b", "1/4")
    for issuer, acquirer in ("ac", "ad", "bd"):
        house.accept(issuer, acquirer)
    house.acquire("c")
    house.acquire("d")
    first = house.top_up("a", 10000)
    second = house.top_up("b", 8000)
    hold = house.hold("c", 8000)

    assert [] == hold.legs
    assert (2000, 12000) == (house.here("c"), house.here("d"))

    purchase = house.purchase("d", 10000)

    assert [(first.entry_id, 2000, 2000), (second.entry_id, 8000, 6400)] == [
        (row.lot_id, row.face, row.principal) for row in purchase.decision.allocations
    ]
    assert lines(
        "WALLET->FLOAT(A) 2000, WALLET->FLOAT(B) 6400, WALLET->BONUS(B) 1600, A=>D 2000, B=>D 6400, B=>D 1600"
    ) == (purchase.legs)

    capture = house.capture("c", 5000, hold)

    assert lines("WALLET->FLOAT(A) 5000, A=>C 5000") == capture.legs
    assert 5000 == house.wallet().balance_minor == house.here("d")
    assert {first.entry_id: (3000, 3000), second.entry_id: (2000, 1600)} == {
        lot.lot_id: (lot.face, lot.principal) for lot in house.wallet().lots.values()
    }
    assert {"A": -7000, "B": -8000, "C": 5000, "D": 10000} == house.nets()

    with pytest.raises(Refused) as refused:
        house.capture("c", 1, hold)

    assert Reason.HOLD_RESOLVED is refused.value.reason


def test_g6_void_and_expiry_release_without_a_posting():
    """Everything is as before the hold: no leg, no split, the same lots."""
    house = house_of_terms_24()
    house.top_up("a", 100000)
    voided, expired = house.hold("c", 50000), house.hold("c", 60000, seconds=60)
    assert 10000 == house.here("c")

    house.wait(59)
    assert ([], 50000) == (house.void("c", voided).legs, house.journal[-1].decision.amount_minor)
    assert 60000 == house.here("c")

    house.wait(1)
    assert ([], 60000) == (house.expire_hold(expired).legs, house.journal[-1].decision.amount_minor)
    assert (120000, 120000) == (house.here("c"), house.wallet().balance_minor)
    assert {} == house.nets()


@pytest.mark.parametrize("fees_return", [True, False])
def test_a_reversal_mirrors_every_leg_and_the_fees_always(fees_return: bool):
    """A refund keeps the fees if the agreement says so; what is undone never was, and costs nothing."""
    house = house_of_terms_24(
        {"interchange": "1/200", "fees_return": fees_return}, {**FEES, "fees_return": fees_return}
    )
    house.top_up("a", 100000)
    purchase = house.purchase("c", 30000)

    reversal = house.reverse("c", purchase)

    assert sorted(mirrored(leg) for leg in purchase.legs) == reversal.legs
    assert {} == house.nets()
    assert ([], 0) == (house.reverse("c", purchase).legs, house.journal[-1].decision.amount_minor)


def test_a_reversal_of_a_top_up_gives_the_sellers_commission_back():
    house = house_of_terms_24(sellers=["a", "s"], seller_commission="1/100")
    sold = house.top_up("s", 100000, issuer="a")
    assert lines("FLOAT(A)->WALLET 100000, BONUS(A)->WALLET 20000, S=>A 100000, A=>S 1000") == sold.legs

    reversal = house.reverse("s", sold)

    assert sorted(mirrored(leg) for leg in sold.legs) == reversal.legs
    assert ({}, {}) == (house.nets(), house.accounts())


def mirrored(leg: str) -> str:
    parties, amount = leg.split()
    arrow = "=>" if "=>" in parties else "->"
    debit, credit = parties.split(arrow)
    return f"{credit}{arrow}{debit} {amount}"


def test_g7_fees_are_rounded_half_to_even():
    rate = Rate.parse("5/1000")

    assert 50 == rate.half_even(10100)
    assert 52 == rate.half_even(10300)
