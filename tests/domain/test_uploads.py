"""Sales approved offline and told later, to the fen: who pays what the wallet cannot, and how it comes back.

A issues, C acquires, H operates. The lot of A is 100000 + 20000, the fees of C are those of the goldens.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coalition.domain.accounts import TransferCode
from coalition.domain.errors import Refused
from coalition.domain.lots import SHORTFALL_LOT
from coalition.domain.reasons import Reason
from tests.domain.house import Done, House, lines
from tests.domain.test_goldens import house_of_terms_24

ISSUER_BEARS = {"offline_limit_minor": 50000, "shortfall_bearer": "ISSUER"}


def with_20000_left(acceptance: dict[str, Any] | None = None, fees: dict[str, Any] | None = None) -> House:
    """A wallet that has 16667 + 3333 left, and a new window."""
    house = house_of_terms_24(acceptance, fees)
    house.top_up("a", 100000)
    house.purchase("c", 100000)
    house.next_window()
    return house


def shortfall(done: Done) -> dict[str, str]:
    return {name.removeprefix("shortfall_"): told for name, told in (done.decision.facts or {}).items()}


def test_the_wallet_gives_what_is_there_and_the_issuer_the_rest():
    house = with_20000_left(ISSUER_BEARS)
    upload = house.upload("c", 30000)

    assert (
        lines(
            "WALLET->FLOAT(A) 16667, WALLET->BONUS(A) 3333, A=>C 16667, A=>C 3333, A=>C 10000, C=>H 180, C=>A 300",
        )
        == upload.legs
    )
    assert [10000] == [leg.amount_minor for leg in upload.decision.transfers if leg.code is TransferCode.SHORTFALL]
    assert {"A": -29700, "C": 29520, "H": 180} == house.nets(2)
    assert {} == house.accounts()
    assert {"minor": "10000", "bearer": "a", "reason": "INSUFFICIENT_FUNDS"} == shortfall(upload)
    assert (30000, 16667, 3333, -20000) == (
        upload.decision.amount_minor,
        upload.decision.principal_minor,
        upload.decision.bonus_minor,
        upload.decision.balance_change,
    )
    agreement = house.books.programme.acceptance(3, 5, house.day)
    assert agreement is not None
    assert agreement.version is not None
    last = upload.decision.allocations[-1]
    assert (SHORTFALL_LOT, 1, 10000, 0, agreement.version.agreement_id, 1) == last[:6]


def test_a_refund_gives_the_shortfall_back_first_and_then_the_lots():
    house = with_20000_left(ISSUER_BEARS)
    upload = house.upload("c", 30000)
    house.next_window()
    first = house.refund("c", 15000, upload)

    assert (
        lines(
            "C=>A 10000, FLOAT(A)->WALLET 4166, BONUS(A)->WALLET 834, C=>A 4166, C=>A 834, H=>C 90, A=>C 150",
        )
        == first.legs
    )
    assert {"minor": "10000", "bearer": "a"} == shortfall(first)
    assert (15000, 4166, 834, 5000) == (
        first.decision.amount_minor,
        first.decision.principal_minor,
        first.decision.bonus_minor,
        first.decision.balance_change,
    )

    second = house.refund("c", 15000, upload)

    assert (
        lines("FLOAT(A)->WALLET 12501, BONUS(A)->WALLET 2499, C=>A 12501, C=>A 2499, H=>C 90, A=>C 150") == second.legs
    )
    assert {} == shortfall(second)
    assert {"A": 29700, "C": -29520, "H": -180} == house.nets(3)
    assert {"WALLET": 20000, "FLOAT(A)": 16667, "BONUS(A)": 3333} == house.accounts()
    with pytest.raises(Refused) as refused:
        house.refund("c", 1, upload)
    assert Reason.REFUND_EXCEEDS_ORIGINAL is refused.value.reason


def test_the_acquirer_bears_it_by_default():
    house = with_20000_left({"offline_limit_minor": 30000})
    upload = house.upload("c", 30000)

    assert (
        lines("WALLET->FLOAT(A) 16667, WALLET->BONUS(A) 3333, A=>C 16667, A=>C 3333, C=>H 180, C=>A 300") == upload.legs
    )
    assert {"minor": "10000", "bearer": "c", "reason": "INSUFFICIENT_FUNDS"} == shortfall(upload)
    assert (SHORTFALL_LOT, 1, 10000, 0) == upload.decision.allocations[-1][:4]
    assert upload.decision.allocations[-1].agreement_id is not None


@pytest.mark.parametrize(
    "acceptance", [{}, {"offline_limit_minor": 29999, "shortfall_bearer": "ISSUER"}], ids=["nothing-agreed", "above"]
)
def test_beyond_what_is_agreed_the_wallet_pays_and_the_acquirer_bears_the_rest(acceptance: dict[str, Any]):
    """The terminal took a risk that nobody had agreed to; no agreement is named, so none is asked at a refund."""
    house = with_20000_left(acceptance)
    upload = house.upload("c", 30000)

    assert (
        lines("WALLET->FLOAT(A) 16667, WALLET->BONUS(A) 3333, A=>C 16667, A=>C 3333, C=>H 180, C=>A 300") == upload.legs
    )
    assert "c" == shortfall(upload)["bearer"]
    assert (SHORTFALL_LOT, 1, 10000, 0, None, None) == upload.decision.allocations[-1][:6]
    house.accept("a", "c", **ISSUER_BEARS)
    refund = house.refund("c", 10000, upload)
    assert lines("H=>C 60, A=>C 100") == refund.legs


def test_on_us_the_issuer_bears_it_itself():
    house = with_20000_left()
    house.acquire("a")
    upload = house.upload("a", 50000)

    assert lines("WALLET->FLOAT(A) 16667, WALLET->BONUS(A) 3333") == upload.legs
    assert {"minor": "30000", "bearer": "a", "reason": "INSUFFICIENT_FUNDS"} == shortfall(upload)
    assert {} == house.nets(2)


def test_with_enough_in_the_wallet_it_is_a_purchase():
    house = with_20000_left(ISSUER_BEARS)
    upload = house.upload("c", 20000)

    assert (
        lines("WALLET->FLOAT(A) 16667, WALLET->BONUS(A) 3333, A=>C 16667, A=>C 3333, C=>H 120, C=>A 200") == upload.legs
    )
    assert {} == shortfall(upload)


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ({"card_state": "FROZEN"}, "CARD_FROZEN"),
        ({"card_state": "REPLACED"}, "CARD_REPLACED"),
        ({"state": "CLOSED"}, "WALLET_CLOSED"),
    ],
)
def test_a_card_that_may_not_pay_leaves_its_wallet_alone(states: dict[str, str], reason: str):
    """The goods are gone, but the member has said that nothing more is to be taken."""
    house = with_20000_left(ISSUER_BEARS)
    house.member("other")
    house.top_up("a", 20000, card="other")
    card, wallet = house.books.cards[b"other"], house.wallet("other")
    house.books.cards[b"other"] = replace(card, state=states.get("card_state", card.state))
    wallet.state = states.get("state", wallet.state)
    upload = house.upload("c", 10000, card="other")

    assert lines("A=>C 10000, C=>H 60, C=>A 100") == upload.legs
    assert {"minor": "10000", "bearer": "a", "reason": reason} == shortfall(upload)
    assert 0 == upload.decision.balance_change
    assert upload.decision.wallet is house.wallet("other")


def test_value_that_is_not_accepted_here_or_is_kept_for_others_is_left_alone():
    house = with_20000_left(ISSUER_BEARS)
    house.terms("b")
    house.top_up("b", 5000)
    house.hold("c", 4000)
    upload = house.upload("c", 17000)

    assert {"minor": "1000", "bearer": "a", "reason": "NOT_ACCEPTED_HERE"} == shortfall(upload)
    assert 10000 == house.wallet().balance_minor, "6000 of B, and the 4000 held"


@pytest.mark.parametrize(
    ("token", "reason"), [("unknown", Reason.CARD_UNKNOWN), ("unlinked", Reason.CARD_NOT_LINKED)], ids=str
)
def test_what_leads_to_no_wallet_is_declined(token: str, reason: Reason):
    house = with_20000_left(ISSUER_BEARS)
    card = house.books.cards[b"w"]
    house.books.cards[b"unlinked"] = type(card)(9, None, "ISSUED", "0009", card.issuer_id)
    with pytest.raises(Refused) as refused:
        house.upload("c", 1, card=token)
    assert reason is refused.value.reason


def test_fees_are_on_the_whole_amount_and_interchange_on_what_was_drawn():
    """A shortfall is no bonus: of a fee on principal it is a part. 1.2 % of 26667 is 320, half of 16667 is 8334."""
    house = with_20000_left(
        {**ISSUER_BEARS, "interchange": "1/2", "interchange_base": "PRINCIPAL"},
        {"operator_fee": "12/1000", "fee_base": "PRINCIPAL"},
    )
    upload = house.upload("c", 30000)

    assert (
        lines(
            "WALLET->FLOAT(A) 16667, WALLET->BONUS(A) 3333, A=>C 16667, A=>C 3333, A=>C 10000, C=>A 8334, C=>H 320",
        )
        == upload.legs
    )
    reversal = house.reverse("c", upload)
    assert {"C=>A 10000", "A=>C 8334", "H=>C 320"} <= set(reversal.legs)
    assert {} == house.nets(2)
    assert {"minor": "10000", "bearer": "a"} == shortfall(reversal)


def test_the_shortfall_falls_to_the_calendar_of_its_agreement():
    house = House(calendars=("monthly", "daily"))
    house.terms("a")
    house.accept("a", "c", **ISSUER_BEARS, calendar="daily")
    house.acquire("c")
    house.books.windows = {1: 1, 2: 7}
    house.window = 7
    upload = house.upload("c", 500)

    assert [(TransferCode.SHORTFALL, 500, 7)] == [
        (leg.code, leg.amount_minor, leg.window_id) for leg in upload.decision.transfers
    ]


RATES = ["0", "5/1000", "1/3", "1"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_upload_refunded_in_any_slices_leaves_nothing_behind(data: st.DataObject):
    """Every account and every position is what it was before, whoever bore the shortfall."""
    house = House()
    house.terms("a", data.draw(st.sampled_from(["0", "1/5", "3/17"])), sponsor="s", sponsor_share="1/3")
    house.terms("b", "3/17", custody="OPERATOR_HELD")
    bearer, limit = data.draw(st.sampled_from(["ISSUER", "ACQUIRER"])), data.draw(st.integers(1, 6000))
    for issuer in "ab":
        house.accept(
            issuer,
            "c",
            issuer_bonus_share=data.draw(st.sampled_from(RATES)),
            interchange=data.draw(st.sampled_from(RATES)),
            offline_limit_minor=limit,
            shortfall_bearer=bearer,
        )
    house.acquire(
        "c", operator_fee="6/1000", commission="1/100", fee_base=data.draw(st.sampled_from(["GROSS", "PRINCIPAL"]))
    )
    for issuer in data.draw(st.lists(st.sampled_from("ab"), max_size=3)):
        house.top_up(issuer, data.draw(st.integers(1, 2000)))
    house.next_window()
    before, held = house.accounts(), house.wallet().balance_minor
    amount = data.draw(st.integers(1, 6000))
    upload = house.upload("c", amount)
    short = max(0, amount - held)
    assert short == int(shortfall(upload).get("minor", 0))
    assert held - house.wallet().balance_minor == amount - short
    assert amount == sum(row.face for row in upload.decision.allocations)
    house.accept("a", "c", offline_limit_minor=1)
    left = amount
    while left:
        left -= (part := data.draw(st.integers(1, left)))
        house.refund("c", part, upload)

    assert before == house.accounts()
    assert {} == house.nets(2)
