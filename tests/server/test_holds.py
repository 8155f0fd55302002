"""Authorize, capture, void, reverse and resolve as tills know them: over mutual TLS, by call, batch and stream."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from coalition.domain.reasons import Reason
from coalition.storage.connect import connect
from coalition.v1 import operations_pb2
from coalition.v1.terminal_pb2 import (
    GetBalanceRequest,
    ListEntriesRequest,
    ResolveRequest,
    StreamRequest,
    SubmitBatchRequest,
)
from tests.house import House, Refusal, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_REF,
    CAFE_TILL,
    STORE_TILL,
    authorize,
    capture,
    operation,
    purchase,
    refund,
    reverse,
    top_up,
    void,
)

DAY = 86_400.0


@pytest.fixture
def card(house: House, tills: Tills) -> str:
    """120,000 in its wallet."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    return card


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def balances(tills: Tills, card: str) -> tuple[int, int]:
    balance = tills(CAFE_TILL).GetBalance(GetBalanceRequest(card_number=card)).balance
    return balance.balance_minor, balance.balance_here_minor


def test_a_tab_is_opened_and_closed_for_less(tills: Tills, card: str):
    held = tills(CAFE_TILL).Authorize(authorize(card, 50_000)).receipt
    between = balances(tills, card)
    captured = tills(CAFE_TILL).Capture(capture(held.request_id, 30_000)).receipt

    assert (operations_pb2.ENTRY_KIND_HOLD, 50_000, 0) == (held.kind, held.amount_minor, held.principal_minor)
    assert (120_000, 70_000) == (held.balance_minor, held.balance_here_minor) == between
    assert held.hold_expire_time.seconds == held.post_time.seconds + 7 * 86_400
    assert (operations_pb2.ENTRY_KIND_CAPTURE, 30_000, 25_000, 5_000) == (
        captured.kind,
        captured.amount_minor,
        captured.principal_minor,
        captured.bonus_minor,
    )
    assert not captured.HasField("hold_expire_time")
    assert card[-4:] == captured.card_last_four == held.card_last_four
    assert (90_000, 90_000) == balances(tills, card)
    assert 120_000 == tills(CAFE_TILL).Refund(refund(captured.request_id, 30_000)).receipt.balance_minor


def test_a_hold_lasts_as_long_as_the_till_says_and_is_named_by_entry_too(tills: Tills, card: str):
    held = tills(CAFE_TILL).Authorize(authorize(card, hold_seconds=60)).receipt
    request = void("")
    request.hold_entry_id = held.entry_id

    voided = tills("t/cafe/main/till-2").Void(request).receipt

    assert held.post_time.seconds + 60 == held.hold_expire_time.seconds
    assert (operations_pb2.ENTRY_KIND_VOID, 30_000, 120_000) == (
        voided.kind,
        voided.amount_minor,
        voided.balance_here_minor,
    )
    late = refused(lambda: tills(CAFE_TILL).Capture(capture(held.request_id)))
    assert ("HOLD_RESOLVED", "FAILED_PRECONDITION") == (late.reason, late.code)


def test_what_was_answered_is_answered_again_as_a_replay(tills: Tills, card: str):
    till = tills(CAFE_TILL)
    hold = authorize(card)
    calls: list[tuple[Callable[[Any], Any], Any]] = [
        (till.Authorize, hold),
        (till.Capture, capture(hold.request_id)),
        (till.Reverse, reverse(hold.request_id, original_request_id=new_id())),
    ]
    for call, request in calls:
        first, again = call(request).receipt, call(request).receipt

        assert (False, True) == (first.replayed, again.replayed)
        again.replayed = False
        assert first == again


def test_an_unanswered_purchase_is_undone_whether_it_arrived_or_not(house: House, tills: Tills, card: str):
    till = tills(CAFE_TILL)
    arrived, lost = purchase(card), purchase(card)
    till.Purchase(arrived)

    undone = till.Reverse(reverse(arrived.request_id)).receipt
    nothing = till.Reverse(reverse(lost.request_id)).receipt

    assert (operations_pb2.ENTRY_KIND_REVERSAL, 30_000, 120_000) == (
        undone.kind,
        undone.amount_minor,
        undone.balance_minor,
    )
    assert (operations_pb2.ENTRY_KIND_REVERSAL, 0, "") == (nothing.kind, nothing.amount_minor, nothing.card_last_four)
    before = house.entry_count()
    lost.amount_minor += 1
    killed = refused(lambda: till.Purchase(lost))
    assert ("KILLED", "FAILED_PRECONDITION") == (killed.reason, killed.code)
    assert before == house.entry_count()
    assert (120_000, 120_000) == balances(tills, card)


def test_what_became_of_a_request_is_told_or_it_is_killed(house: House, tills: Tills, card: str):
    till = tills(CAFE_TILL)
    paid, dear, never = purchase(card), purchase(card, 500_000), purchase(card)
    receipt = till.Purchase(paid).receipt
    refused(lambda: till.Purchase(dear))

    told = [till.Resolve(ResolveRequest(request_id=each.request_id)).result for each in (paid, dear, never, never)]

    assert [paid.request_id, dear.request_id, never.request_id, never.request_id] == [each.request_id for each in told]
    assert told[0].receipt.replayed
    told[0].receipt.replayed = False
    assert receipt == told[0].receipt
    assert ["INSUFFICIENT_FUNDS", "KILLED", "KILLED"] == [Refusal.of_status(each.error).reason for each in told[1:]]
    assert "KILLED" == refused(lambda: till.Purchase(never)).reason
    stored = house.query("SELECT count(*) FROM entries WHERE request_id = %s", never.request_id)
    assert [(1,)] == stored


def test_a_till_server_resolves_for_the_terminal_it_names(tills: Tills, card: str):
    paid = purchase(card, terminal=CAFE_REF)
    tills("ts/cafe/pos").Purchase(paid)

    told = tills("ts/cafe/pos").Resolve(ResolveRequest(request_id=paid.request_id, terminal=CAFE_REF)).result

    assert 30_000 == told.receipt.amount_minor
    unnamed = refused(lambda: tills("ts/cafe/pos").Resolve(ResolveRequest(request_id=paid.request_id)))
    assert ("FIELD_INVALID", "terminal") == (unnamed.reason, unnamed.fields[0])
    foreign = ResolveRequest(request_id=paid.request_id, terminal=CAFE_REF)
    assert "TERMINAL_OF_OTHER_STORE" == refused(lambda: tills(STORE_TILL).Resolve(foreign)).reason


def test_every_operation_goes_by_batch_and_by_stream(tills: Tills, card: str):
    """In arrival order: what stands later sees what stands before it."""
    till = tills(CAFE_TILL)

    def operations() -> list[Any]:
        tab, pump, late = authorize(card, 1_000), authorize(card, 2_000), purchase(card)
        return [
            tab,
            pump,
            capture(tab.request_id, 600),
            void(pump.request_id),
            capture(pump.request_id, 1),
            reverse(tab.request_id),
            reverse(late.request_id),
            late,
        ]

    def told(results: list[Any]) -> list[Any]:
        return [
            each.receipt.amount_minor if each.HasField("receipt") else Refusal.of_status(each.error).reason
            for each in results
        ]

    batch = till.SubmitBatch(SubmitBatchRequest(operations=[operation(each) for each in operations()])).results
    stream = till.Stream(iter([StreamRequest(operation=operation(each)) for each in operations()]))

    expected = [1_000, 2_000, 600, 2_000, "HOLD_RESOLVED", "ORIGINAL_NOT_REVERSIBLE", 0, "KILLED"]
    assert expected == told(list(batch))
    assert expected == told([each.result for each in stream])
    assert (118_800, 118_800) == balances(tills, card)


def test_a_wallets_lines_tell_of_holds_and_reversals(tills: Tills, card: str):
    till = tills(CAFE_TILL)
    tab, paid = authorize(card, 1_000), purchase(card, 700)
    till.Authorize(tab)
    till.Capture(capture(tab.request_id, 600))
    till.Purchase(paid)
    till.Reverse(reverse(paid.request_id))

    lines = till.ListEntries(ListEntriesRequest(card_number=card)).entries

    assert [("REVERSAL", 700), ("PURCHASE", -700), ("CAPTURE", -600), ("HOLD", 0)] == [
        (operations_pb2.EntryKind.Name(line.kind).removeprefix("ENTRY_KIND_"), line.balance_change_minor)
        for line in lines
    ]
    assert (lines[1].entry_id, lines[3].entry_id) == (lines[0].original_entry_id, lines[2].original_entry_id)
    assert [120_000 - 600, 120_000 - 1_300, 120_000 - 600, 120_000] == [line.balance_minor for line in lines]


def test_a_server_releases_what_nobody_captured(house: House, tills: Tills, card: str):
    """By its own clock and on its own; the till is told when it asks."""
    held = tills(CAFE_TILL).Authorize(authorize(card, hold_seconds=60)).receipt
    with connect(house.dsn("owner")) as owner:
        owner.execute("UPDATE holds SET expire_time = now() WHERE entry_id = %s", (held.entry_id,))

    until = time.monotonic() + 20
    while balances(tills, card) != (120_000, 120_000):
        assert time.monotonic() < until, "the hold is not released"
        time.sleep(0.05)

    stored = house.query("SELECT actor, reason FROM entries WHERE kind = 10 AND original_entry_id = %s", held.entry_id)
    assert [("/op/holds", 0)] == stored
    assert "HOLD_RESOLVED" == refused(lambda: tills(CAFE_TILL).Capture(capture(held.request_id))).reason
    assert 0 == tills(CAFE_TILL).Reverse(reverse(held.request_id)).receipt.amount_minor


FIELDS: list[tuple[str, Callable[[], Any], Reason, str]] = [
    ("no card", lambda: authorize(""), Reason.FIELD_INVALID, "card_number"),
    ("nothing to hold", lambda: authorize("9" * 16, 0), Reason.AMOUNT_NOT_POSITIVE, "amount_minor"),
    ("a hold above the bound", lambda: authorize("9" * 16, 100_000_001), Reason.AMOUNT_TOO_LARGE, "amount_minor"),
    ("another currency", lambda: authorize("9" * 16, currency_code="USD"), Reason.CURRENCY_UNKNOWN, "currency_code"),
    ("59 seconds", lambda: authorize("9" * 16, hold_seconds=59), Reason.FIELD_INVALID, "hold_seconds"),
    ("a month and a second", lambda: authorize("9" * 16, hold_seconds=2_592_001), Reason.FIELD_INVALID, "hold_seconds"),
    ("a negative time", lambda: authorize("9" * 16, hold_seconds=-60), Reason.FIELD_INVALID, "hold_seconds"),
    (
        "an old request",
        lambda: authorize("9" * 16, request_id=new_id(90 * DAY)),
        Reason.REQUEST_ID_TOO_OLD,
        "request_id",
    ),
    ("a capture of nothing", lambda: capture(new_id(), 0), Reason.AMOUNT_NOT_POSITIVE, "amount_minor"),
    ("a capture of a word", lambda: capture("tab"), Reason.FIELD_INVALID, "hold_request_id"),
    ("a capture of entry 0", lambda: _by_entry(capture(""), 0), Reason.FIELD_INVALID, "hold_entry_id"),
    ("a void of a word", lambda: void("tab"), Reason.FIELD_INVALID, "hold_request_id"),
    ("a reversal of a word", lambda: reverse("sale"), Reason.FIELD_INVALID, "original_request_id"),
    ("a reversal of itself", lambda: _of_itself(new_id()), Reason.FIELD_INVALID, "original_request_id"),
    ("a reversal of last quarter", lambda: reverse(new_id(90 * DAY)), Reason.REQUEST_ID_TOO_OLD, "original_request_id"),
    ("a reversal of tomorrow", lambda: reverse(new_id(-DAY)), Reason.REQUEST_ID_TOO_OLD, "original_request_id"),
]


@pytest.mark.parametrize(("make", "reason", "field"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS])
def test_a_malformed_operation_is_named_by_call_and_batch_and_nothing_is_stored(
    house: House, tills: Tills, make: Callable[[], Any], reason: Reason, field: str
):
    before, request = house.entry_count(), make()
    name = type(request).__name__.removesuffix("Request")

    by_call = refused(lambda: getattr(tills(CAFE_TILL), name)(request))
    results = tills(CAFE_TILL).SubmitBatch(SubmitBatchRequest(operations=[operation(request)])).results

    assert (reason.name, "INVALID_ARGUMENT", field) == (by_call.reason, by_call.code, by_call.fields[0])
    assert by_call == Refusal.of_status(results[0].error)
    assert before == house.entry_count()


@pytest.mark.parametrize(
    ("request_id", "reason"),
    [("monday", "REQUEST_ID_MALFORMED"), (new_id(90 * DAY), "REQUEST_ID_TOO_OLD")],
    ids=["a word", "last quarter's"],
)
def test_a_request_id_that_cannot_be_is_not_killed(house: House, tills: Tills, request_id: str, reason: str):
    before = house.entry_count()

    assert reason == refused(lambda: tills(CAFE_TILL).Resolve(ResolveRequest(request_id=request_id))).reason
    assert before == house.entry_count()


def test_an_answer_is_resolved_and_undone_however_old_its_request_is(tills: Tills, card: str, monkeypatch):
    """The look-up tells; what is stored can be neither killed nor overtaken."""
    from coalition.server import request_ids

    paid = purchase(card, request_id=new_id(20 * DAY))
    receipt = tills(CAFE_TILL).Purchase(paid).receipt
    monkeypatch.setattr(request_ids, "AGE_MAX_MILLISECONDS", int(10 * DAY * 1000))

    told = tills(CAFE_TILL).Resolve(ResolveRequest(request_id=paid.request_id)).result.receipt
    undone = tills(CAFE_TILL).Reverse(reverse(paid.request_id)).receipt

    assert (receipt.entry_id, True, 30_000) == (told.entry_id, told.replayed, undone.amount_minor)


def _by_entry(request: Any, entry_id: int) -> Any:
    request.hold_entry_id = entry_id
    return request


def _of_itself(request_id: str) -> Any:
    return reverse(request_id, request_id=request_id)
