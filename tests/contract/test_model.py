"""The model is right about the worked examples of SUMS section 6, so that it may judge the service."""

from datetime import UTC, datetime
from itertools import count

from coalition.v1.operations_pb2 import (
    AuthorizeRequest,
    CaptureRequest,
    PurchaseRequest,
    RefundRequest,
    ReverseRequest,
    TopUpRequest,
)
from tests.contract.books import Verdict
from tests.contract.model import Model
from tests.contract.wallets import Card, Lot, Wallet

_entries = count(1)


def model_with(*lots: Lot) -> Model:
    model = Model()
    model.cards["card"] = Card(Wallet("w", list(lots)))
    return model


def wallet_of(model: Model) -> Wallet:
    wallet = model.cards["card"].wallet
    assert wallet is not None
    return wallet


def do(model: Model, at: str, request) -> Verdict:
    which = type(request).__name__.removesuffix("Request").lower().replace("topup", "top_up")
    return model.apply(at, which, request, next(_entries) + 100, datetime(2026, 11, 26, 12, tzinfo=UTC))


def lot(entry_id: int, issuer: str, face: int, principal: int, *, ends: bool = False) -> Lot:
    return Lot(entry_id, issuer, ends, face, principal, face, principal)


def test_g0_a_purchase_of_300_from_1000_and_200_is_250_and_50_and_its_refund_of_100_gives_8333():
    model = model_with(lot(1, "store-a", 120_000, 100_000))
    paid = do(model, "cafe", PurchaseRequest(request_id="p", card_number="card", amount_minor=30_000))
    back = do(model, "cafe", RefundRequest(request_id="r", original_request_id="p", amount_minor=10_000))

    assert (25_000, 5_000, 90_000) == (paid.principal, paid.bonus, paid.balance)
    assert (8_333, 1_667, 100_000) == (back.principal, back.bonus, back.balance)


def test_g2_two_lots_are_drawn_in_order_and_refunded_last_first():
    model = model_with(lot(1, "store-b", 12_000, 10_000, ends=True), lot(2, "store-a", 5_750, 5_000))
    wallet_of(model).lots[0].issuer = "store-a"  # both taken at the cafe
    paid = do(model, "cafe", PurchaseRequest(request_id="p", card_number="card", amount_minor=15_000))
    first = do(model, "cafe", RefundRequest(request_id="r1", original_request_id="p", amount_minor=4_000))
    second = do(model, "cafe", RefundRequest(request_id="r2", original_request_id="p", amount_minor=11_000))

    assert (12_608, 2_392) == (paid.principal, paid.bonus)
    assert 2_608 + 833 == first.principal
    assert 9_167 == second.principal
    assert 17_750 == second.balance


def test_g6_a_hold_keeps_parts_of_lots_and_its_capture_releases_the_rest():
    """L1 is taken at the cafe and at A, L2 at A only."""
    model = model_with(lot(1, "store-a", 10_000, 10_000, ends=True), lot(2, "store-b", 10_000, 8_000))
    held = do(model, "cafe", AuthorizeRequest(request_id="h", card_number="card", amount_minor=8_000))
    assert (2_000, 12_000) == (held.here, wallet_of(model).here("store-a"))
    paid = do(model, "store-a", PurchaseRequest(request_id="p", card_number="card", amount_minor=10_000))
    assert 2_000 + 6_400 == paid.principal
    taken = do(model, "cafe", CaptureRequest(request_id="c", hold_request_id="h", amount_minor=5_000))

    assert (5_000, 5_000) == (taken.balance, taken.principal)
    assert [(3_000, 3_000), (2_000, 1_600)] == [(x.face, x.principal) for x in wallet_of(model).lots]


def test_g4_a_bounced_top_up_takes_what_is_left_and_what_is_refunded_later():
    model = model_with()
    do(model, "store-a", TopUpRequest(request_id="t", card_number="card", amount_minor=100_000))
    do(model, "cafe", PurchaseRequest(request_id="p", card_number="card", amount_minor=30_000))
    bounced = do(model, "store-a", ReverseRequest(request_id="b", original_request_id="t"))
    back = do(model, "cafe", RefundRequest(request_id="r", original_request_id="p", amount_minor=10_000))

    assert (75_000, 15_000, 0) == (bounced.principal, bounced.bonus, bounced.balance)
    assert 0 == back.balance


def test_a_lot_that_was_given_no_bonus_has_none_that_ends_and_waits_for_the_older_one():
    """SUMS 1: the sooner a bonus ends the earlier it is spent; 2 x 1/3 is no bonus at all."""
    model = model_with(lot(1, "store-b", 1_000, 1_000))
    do(model, "store-b", TopUpRequest(request_id="t", card_number="card", amount_minor=2))
    do(model, "store-b", TopUpRequest(request_id="u", card_number="card", amount_minor=3))
    do(model, "store-b", PurchaseRequest(request_id="p", card_number="card", amount_minor=10))

    assert [994, 2, 0] == [each.face for each in wallet_of(model).lots]


def test_a_reversal_that_comes_first_kills_its_original():
    model = model_with(lot(1, "store-a", 1_000, 1_000))
    first = do(model, "cafe", ReverseRequest(request_id="x", original_request_id="p"))
    late = do(model, "cafe", PurchaseRequest(request_id="p", card_number="card", amount_minor=100))

    assert 0 == first.amount
    assert {"KILLED"} == late.reasons
    assert 1_000 == wallet_of(model).balance
