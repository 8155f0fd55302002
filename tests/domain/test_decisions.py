"""Declines, their order of precedence, and rules of single operations that the goldens do not show."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coalition.domain.commands import Purchase, Resolve, Reverse
from coalition.domain.decide import decide
from coalition.domain.errors import LedgerBroken, NoOpenWindow, Refused
from coalition.domain.reasons import Reason
from tests.domain.house import House, lines


@pytest.fixture
def house() -> House:
    """A sells 1000 + 200, taken at C; a lot of 120000 is in wallet w."""
    house = House()
    house.terms("a", sellers=["a", "s"], minimum_minor=100, balance_limit_minor=300000, bonus_months=1)
    house.accept("a", "c")
    house.acquire("c", operator_fee="6/1000")
    house.top_up("a", 100000)
    return house


def declined(reason: Reason, operation, *arguments, **named) -> Refused:
    with pytest.raises(Refused) as refused:
        operation(*arguments, **named)
    assert reason is refused.value.reason
    return refused.value


def test_a_card_that_may_not_be_used_says_why(house: House):
    house.member("frozen", card_state="FROZEN")
    house.member("replaced", card_state="REPLACED")
    house.member("loose", card_state="ISSUED")
    house.member("closed", state="CLOSED")

    declined(Reason.CARD_FROZEN, house.purchase, "c", 1, card="frozen")
    declined(Reason.CARD_REPLACED, house.purchase, "c", 1, card="replaced")
    declined(Reason.CARD_NOT_LINKED, house.purchase, "c", 1, card="loose")
    declined(Reason.WALLET_CLOSED, house.purchase, "c", 1, card="closed")
    declined(Reason.CARD_UNKNOWN, house.purchase, "c", 1, card="nobody")


def test_too_little_and_not_accepted_here_are_different_reasons(house: House):
    house.terms("b", "0")
    house.top_up("b", 5000)

    refused = declined(Reason.NOT_ACCEPTED_HERE, house.purchase, "c", 120001)
    assert {"balance_minor": "125000", "balance_here_minor": "120000"} == refused.metadata
    declined(Reason.INSUFFICIENT_FUNDS, house.purchase, "c", 125001)
    declined(Reason.NO_ACQUIRING_AGREEMENT, house.purchase, "d", 125001)


def test_the_last_fen_can_be_spent_once(house: House):
    house.purchase("c", 120000)

    declined(Reason.INSUFFICIENT_FUNDS, house.purchase, "c", 1)
    assert {} == house.accounts()


def test_top_ups_keep_to_their_terms(house: House):
    declined(Reason.TERMS_UNKNOWN, house.top_up, "b", 100)
    declined(Reason.TERMS_UNKNOWN, house.top_up, "a", 100, terms="other")
    declined(Reason.TERMS_NOT_SOLD_HERE, house.top_up, "c", 100, issuer="a")
    assert {"minimum_minor": "100"} == declined(Reason.TOP_UP_BELOW_MINIMUM, house.top_up, "a", 99).metadata
    declined(Reason.BALANCE_ABOVE_LIMIT, house.top_up, "a", 150001)
    house.top_up("a", 150000)


def test_refunds_never_exceed_the_purchase(house: House):
    purchase = house.purchase("c", 30000)
    house.refund("c", 29999, purchase)

    assert {"refundable_minor": "1"} == declined(
        Reason.REFUND_EXCEEDS_ORIGINAL, house.refund, "c", 2, purchase
    ).metadata
    house.refund("c", 1, purchase)
    declined(Reason.REFUND_EXCEEDS_ORIGINAL, house.refund, "c", 1, purchase)


def test_only_ones_own_accepted_purchase_is_refunded(house: House):
    top_up, purchase = house.journal[0], house.purchase("c", 30000)
    refund = house.refund("c", 100, purchase)

    declined(Reason.ORIGINAL_NOT_REFUNDABLE, house.refund, "a", 1, top_up)
    declined(Reason.ORIGINAL_NOT_REFUNDABLE, house.refund, "c", 1, refund)
    declined(Reason.ORIGINAL_UNKNOWN, house.refund, "d", 1, purchase)
    house.books.originals_by_request[house.participants["d"].participant_id, purchase.request_id] = (
        house.books.originals_by_entry[purchase.entry_id]
    )
    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.refund, "d", 1, purchase)


def test_a_frozen_card_and_a_closed_wallet_still_take_refunds(house: House):
    purchase = house.purchase("c", 30000)
    house.books.cards[b"w"] = replace(house.books.cards[b"w"], state="FROZEN")
    house.wallet().state = "CLOSED"

    assert 30000 == house.refund("c", 30000, purchase).decision.balance_change


def test_a_suspended_participant_operates_nothing(house: House):
    participant = house.participants["c"]
    house.participants["c"] = replace(participant, is_active=False)
    house.agree("other", "ACQUIRING", acquirer="d")

    declined(Reason.SUSPENDED, house.purchase, "c", 1, card="nobody")


def test_nothing_new_is_sold_in_the_name_of_a_suspended_issuer(house: House):
    house.participants["a"] = replace(house.participants["a"], is_active=False)
    house.agree("other", "ACQUIRING", acquirer="d")

    declined(Reason.SUSPENDED, house.top_up, "s", 1000, issuer="a")
    house.purchase("c", 1000)


def test_another_participants_terminal_operates_nothing(house: House):
    asked = house._asks("c") | {"terminal_id": house.participants["d"].participant_id}

    declined(Reason.SUSPENDED, decide, Purchase(**asked, amount_minor=1, token=b"w"), house.books, 1)


def test_without_an_open_window_nothing_is_decided(house: House):
    house.books.windows = {}

    with pytest.raises(NoOpenWindow) as refused:
        house.purchase("c", 1000)
    assert 1 == refused.value.calendar_id


def test_claims_fall_into_the_window_of_their_agreements_calendar():
    house = House(calendars=("monthly", "daily"))
    house.terms("a", custody="OPERATOR_HELD", calendar="daily")
    house.accept("a", "c", calendar="monthly", interchange="1/100")
    house.acquire("c", operator_fee="1/100", calendar="daily")
    house.books.windows = {1: 71, 2: 72}
    top_up, purchase = house.top_up("a", 1000), house.purchase("c", 600)

    assert ["A=>T 1000"] == [house.leg(leg) for leg in top_up.decision.transfers if leg.window_id == 72]
    assert lines("A=>C 100, C=>A 6") == sorted(
        house.leg(leg) for leg in purchase.decision.transfers if leg.window_id == 71
    )
    # What custody holds is settled by the calendar of the terms.
    assert lines("T=>C 500, C=>H 6") == sorted(
        house.leg(leg) for leg in purchase.decision.transfers if leg.window_id == 72
    )


def test_interchange_is_rounded_once_per_issuer_and_agreement_version():
    """Two lots of A are one portion; one chain agreement that covers A and B still rounds for each issuer."""
    house = House("abc", {"a": "x", "b": "x"})
    house.terms("a", "0")
    house.terms("b", "0")
    house.agree("all", "ACCEPTANCE", issuer="chain:x", acquirer="c", interchange="5/1000")
    house.acquire("c")
    for issuer, amount in (("a", 100), ("a", 200), ("b", 300)):
        house.top_up(issuer, amount)

    # A: 0.5 % of 300 is 1.5, to even 2 (of 100 and 200 apart: 0 + 1). B the same, on its own.
    assert lines("C=>A 2, C=>B 2") == [leg for leg in house.purchase("c", 600).legs if leg.startswith("C=>")]


@settings(max_examples=60, deadline=None)
@given(
    amounts=st.lists(st.integers(1, 4000), min_size=1, max_size=4),
    basis_points=st.integers(0, 300),
    gross=st.booleans(),
)
def test_interchange_is_half_even_of_the_exact_portion(amounts: list[int], basis_points: int, gross: bool):
    house = House("ac")
    house.terms("a", "1/7")
    house.accept("a", "c", interchange=f"{basis_points}/10000", interchange_base="GROSS" if gross else "PRINCIPAL")
    house.acquire("c")
    for amount in amounts:
        house.top_up("a", amount)
    purchase = house.purchase("c", house.wallet().balance_minor)
    base = purchase.decision.amount_minor if gross else purchase.decision.principal_minor
    fee = round(Fraction(basis_points, 10000) * base)

    assert ([f"C=>A {fee}"] if fee else []) == [leg for leg in purchase.legs if leg.startswith("C=>")]


@settings(max_examples=60, deadline=None)
@given(
    shares=st.tuples(*[st.sampled_from(["0", "1/3", "1/2", "7/10", "1"])] * 2),
    interchange=st.sampled_from(["0", "5/1000", "1/3"]),
    base=st.sampled_from(["GROSS", "PRINCIPAL"]),
    custody=st.sampled_from(["ISSUER_HELD", "OPERATOR_HELD"]),
    spent=st.integers(1, 9000),
    data=st.data(),
)
def test_a_full_refund_in_any_slices_is_the_exact_inverse(
    shares: tuple[str, str], interchange: str, base: str, custody: str, spent: int, data: st.DataObject
):
    """Lots, accounts, and every participant's position over both windows are back where they were."""
    house = House()
    house.terms("a", "1/7", sponsor="s", sponsor_share=shares[0], bonus_months=2, custody=custody)
    house.terms("b", "1/3")
    house.accept("a", "c", issuer_bonus_share=shares[1], interchange=interchange, interchange_base=base)
    house.accept("b", "c", issuer_bonus_share=shares[0], interchange=interchange)
    house.acquire("c", operator_fee="6/1000", commission="1/100", fee_base=base)
    house.top_up("b", 3511)
    house.top_up("a", 5003)
    house.purchase("c", data.draw(st.integers(1, 300)))
    accounts, nets = house.accounts(), house.nets()
    lots = {lot.lot_id: (lot.face, lot.principal) for lot in house.wallet().lots.values()}
    purchase = house.purchase("c", spent)
    house.next_window()
    marks = sorted(data.draw(st.sets(st.integers(1, spent), max_size=6)) | {0, spent})
    for before, after in pairwise(marks):
        house.refund("c", after - before, purchase)

    assert lots == {lot.lot_id: (lot.face, lot.principal) for lot in house.wallet().lots.values()}
    assert accounts == house.accounts()
    assert nets == house.nets()


def test_a_capture_is_refunded_like_a_purchase(house: House):
    capture = house.capture("c", 20000, house.hold("c", 30000))

    assert (100000, 120000) == (house.wallet().balance_minor, house.wallet().balance_minor + 20000)
    house.refund("c", 20000, capture)
    assert {} == house.nets()
    assert 120000 == house.here("c")


def test_a_capture_keeps_to_its_hold(house: House):
    hold = house.hold("c", 30000)
    house.acquire("d")
    house.accept("a", "d")

    declined(Reason.HOLD_UNKNOWN, house.capture, "d", 1, hold)
    assert {"hold_minor": "30000"} == declined(Reason.CAPTURE_EXCEEDS_HOLD, house.capture, "c", 30001, hold).metadata
    declined(Reason.INSUFFICIENT_FUNDS, house.purchase, "d", 90001)
    house.capture("c", 30000, hold)
    declined(Reason.HOLD_RESOLVED, house.capture, "c", 1, hold)


def test_a_capture_uses_the_agreements_of_its_own_day(house: House):
    hold = house.hold("c", 30000)
    house.acquire("c", operator_fee="1/100")

    assert "C=>H 300" in house.capture("c", 30000, hold).legs

    again = house.hold("c", 30000)
    house.accept("a", "c", accepted=False)

    declined(Reason.NOT_ACCEPTED_HERE, house.capture, "c", 30000, again)


def test_a_bonus_expires_after_its_last_day_and_once(house: House):
    top_up = house.journal[0]

    house.on(date(2026, 2, 10))
    declined(Reason.LOT_NOT_OPEN, house.expire, top_up)
    house.on(date(2026, 2, 11))
    assert ["WALLET->BONUS(A) 20000"] == house.expire(top_up).legs
    declined(Reason.LOT_NOT_OPEN, house.expire, top_up)
    assert 100000 == house.purchase("c", 100000).decision.principal_minor


def test_reserved_value_does_not_expire(house: House):
    top_up, hold = house.journal[0], house.hold("c", 60000)
    house.on(date(2026, 3, 1))

    declined(Reason.WALLET_HAS_HOLDS, house.expire, top_up)
    assert (50000, 10000) == (
        (capture := house.capture("c", 60000, hold).decision).principal_minor,
        capture.bonus_minor,
    )
    assert ["WALLET->BONUS(A) 10000"] == house.expire(top_up).legs


def test_open_holds_block_a_cash_out_and_an_empty_wallet_has_none(house: House):
    hold = house.hold("c", 60000)

    declined(Reason.WALLET_HAS_HOLDS, house.cash_out, "a")
    house.capture("c", 60000, hold)
    assert 50000 == house.cash_out("s").decision.amount_minor
    assert {"A": -110000, "C": 59640, "H": 360, "S": 50000} == house.nets()
    declined(Reason.INSUFFICIENT_FUNDS, house.cash_out, "a")


def test_a_top_up_is_reversed_once(house: House):
    top_up = house.top_up("s", 1000, issuer="a")
    purchase = house.purchase("c", 1200)

    declined(Reason.ORIGINAL_OF_OTHER_PARTICIPANT, house.reverse_top_up, "b", top_up)
    declined(Reason.ORIGINAL_NOT_REFUNDABLE, house.reverse_top_up, "c", purchase)
    house.reverse_top_up("s", top_up)
    declined(Reason.LOT_NOT_OPEN, house.reverse_top_up, "s", top_up)


def test_a_top_up_that_was_spent_to_the_last_fen_is_reversed_all_the_same(house: House):
    house.purchase("c", 120000)

    reversal = house.reverse_top_up("a", house.journal[0])

    assert ([], [], 0) == (reversal.legs, reversal.decision.allocations, reversal.decision.balance_change)


@pytest.mark.parametrize(("loss", "bearer"), [("SELLER", "S"), ("ISSUER", "A")])
def test_a_hold_outlives_the_reversal_of_its_top_up(loss: str, bearer: str):
    """The merchant was promised 60000: it captures 24000 of that, and the released rest is taken with the capture."""
    house = House()
    house.terms("a", sellers=["s"], custody="OPERATOR_HELD", top_up_loss=loss)
    house.accept("a", "c")
    house.acquire("c")
    top_up = house.top_up("s", 100000, issuer="a")
    hold = house.hold("c", 60000)
    reversal = house.reverse_top_up("s", top_up)

    assert (-60000, 0) == (reversal.decision.balance_change, house.here("c"))

    capture = house.capture("c", 24000, hold)

    assert f"T=>{bearer} 30000" in capture.legs
    assert {} == house.accounts()
    assert {"SELLER": {"A": -4000, "C": 24000, "S": -20000}, "ISSUER": {"A": -24000, "C": 24000}}[loss] == house.nets()


def test_a_reversal_that_was_not_preceded_by_a_tombstone_is_a_bug_and_one_of_itself_a_decline(house: House):
    """Whether an original is unknown is for the batch to settle first: it must not be forgotten silently."""
    asks = house._asks("c")
    unknown = Reverse(**asks, original_request_id=UUID(int=99))
    with pytest.raises(LedgerBroken, match="not killed first"):
        decide(unknown, house.books, 1)

    with pytest.raises(Refused) as refused:
        decide(Reverse(**asks, original_request_id=asks["request_id"]), house.books, 1)

    assert Reason.ORIGINAL_NOT_REVERSIBLE is refused.value.reason
    assert Reverse(**asks, original_request_id=asks["request_id"]).kills is None


def test_who_is_suspended_may_still_ask_what_became_of_a_request(house: House):
    """The answer is for every body, so it is KILLED for a suspended one too, and never SUSPENDED."""
    stranger = house._asks("c") | {"terminal_id": house.participants["d"].participant_id}
    with pytest.raises(Refused) as refused:
        decide(Resolve(**stranger), house.books, 1)

    assert Reason.KILLED is refused.value.reason
