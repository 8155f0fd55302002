"""Sales approved without a line: within what the terminal was told, on disk first, told in their order, told once."""

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from coalition.client import (
    FieldRefused,
    Kind,
    Offline,
    OfflineLimits,
    OfflineRefused,
    OutboxFailed,
    OutcomeUnknown,
    State,
)
from coalition.client.offline_queue import OfflineQueue
from tests.client.conftest import cut
from tests.client.ledger_stub import faults, refusal

CARD, OTHER = "9123456789012345", "9123456789012352"
LOST = grpc.StatusCode.UNAVAILABLE
LIMITS = OfflineLimits(limit_minor=5_000, card_limit_minor=8_000, total_limit_minor=10_000)


def queue_file(counter: Any) -> Path:
    return Path(f"{counter.outbox}.offline")


def test_sales_of_a_cut_are_told_in_their_order_once_the_line_is_back(counter):
    with counter.terminal(offline=LIMITS) as till:
        cut(counter, till)
        with pytest.raises(Offline):
            till.purchase(CARD, 1_000, sale_reference="S-1")
        ids = [till.approve_offline(CARD, 1_000 + n, sale_reference=f"S-{n}") for n in range(1, 4)]
        before = till.state.to_upload, [row.state for row in till.recent(3)], counter.stub.methods()
        counter.proxy.heal()
        assert till.settled(20)
        rows = till.recent(3)

    assert (3, [State.APPROVED] * 3, []) == before
    assert ids == [request_id for method, request_id, _ in counter.stub.calls if method == "Upload"]
    assert 100_000 - 3_006 == counter.stub.balance_minor
    assert [(Kind.UPLOAD, State.ACCEPTED, "S-3", 1_003)] == [
        (row.kind, row.state, row.sale_reference, row.amount_minor) for row in rows[:1]
    ]
    assert [(1, "S-1"), (2, "S-2"), (3, "S-3")] == [
        (each.sequence_number, each.sale_reference) for each in counter.stub.uploads
    ]
    assert all(each.HasField("occurred_time") for each in counter.stub.uploads)


def test_what_was_approved_before_the_end_of_a_run_is_told_by_the_next(counter):
    with counter.terminal(offline=LIMITS) as till:
        counter.proxy.cut()
        first = till.approve_offline(CARD, 1_000)
    counter.proxy.heal()
    with counter.terminal() as till:
        assert till.settled(20)
        assert State.ACCEPTED is till.recent(1)[0].state

    assert [first] == [each.request_id for each in counter.stub.uploads]
    assert 99_000 == counter.stub.balance_minor


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_an_upload_is_asked_for_again_by_the_same_id(counter, when):
    with counter.terminal(offline=LIMITS) as till, faults(counter.stub, (when, "Upload", LOST)):
        till.approve_offline(CARD, 1_000)
        assert till.settled(20)

    assert 2 == len(counter.stub.uploads)
    assert 1 == len({each.SerializeToString() for each in counter.stub.uploads})
    assert 99_000 == counter.stub.balance_minor


def test_the_sale_that_was_tried_online_is_undone_before_it_is_told(counter):
    """Both have the merchant's one reference, which stands for one sale."""
    with counter.terminal(offline=LIMITS) as till:
        counter.stub.fault = lambda when, name, _: LOST if (when, name) == ("after", "Purchase") else None
        with pytest.raises(OutcomeUnknown):
            till.purchase(CARD, 1_000, sale_reference="S-1")
        till.approve_offline(CARD, 1_000, sale_reference="S-1")
        assert till.settled(20)

    assert ["Reverse", "Upload"] == [each for each in counter.stub.methods() if each != "Purchase"]
    assert 99_000 == counter.stub.balance_minor


def test_nothing_is_approved_beyond_what_the_terminal_was_told(counter):
    with counter.terminal(offline=LIMITS) as till:
        counter.proxy.cut()
        till.approve_offline(CARD, 5_000)
        for card, amount, what in ((OTHER, 5_001, "one sale"), (CARD, 3_001, "one card")):
            with pytest.raises(OfflineRefused, match=what):
                till.approve_offline(card, amount)
        till.approve_offline(CARD, 3_000)
        with pytest.raises(OfflineRefused, match="of all"):
            till.approve_offline(OTHER, 2_001)
        for card, amount, field in (("12", 100, "card_number"), (CARD, 0, "amount_minor")):
            with pytest.raises(FieldRefused) as refused:
                till.approve_offline(card, amount)
            assert field == refused.value.field
        counter.proxy.heal()
        assert till.settled(20)
        till.approve_offline(CARD, 5_000)
        assert till.settled(20)
    with counter.terminal() as till, pytest.raises(OfflineRefused, match="nothing offline"):
        till.approve_offline(CARD, 1)

    assert [5_000, 3_000, 5_000] == [each.amount_minor for each in counter.stub.uploads]


def test_limits_hold_for_many_at_once(counter):
    refused: list[OfflineRefused] = []

    def sell() -> None:
        try:
            till.approve_offline(CARD, 1_000)
        except OfflineRefused as error:
            refused.append(error)

    with counter.terminal(offline=LIMITS) as till:
        counter.proxy.cut()
        threads = [threading.Thread(target=sell) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counter.proxy.heal()
        assert till.settled(20)

    assert (12, 8) == (len(refused), len(counter.stub.uploads))
    assert list(range(1, 9)) == [each.sequence_number for each in counter.stub.uploads]


def test_a_card_number_is_on_disk_only_while_its_sale_waits(counter):
    with counter.terminal(offline=LIMITS) as till:
        counter.proxy.cut()
        till.approve_offline(CARD, 1_000)
        path = queue_file(counter)
        assert CARD.encode() in path.read_bytes()
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        assert not any(CARD.encode() in each.read_bytes() for each in path.parent.glob("*") if each != path)
        counter.proxy.heal()
        assert till.settled(20)
        for each in path.parent.glob("*"):
            assert CARD.encode() not in each.read_bytes(), each


def test_a_stored_decline_is_the_merchants_loss_and_what_is_wrong_needs_a_person(counter):
    """Neither holds up the sales behind it."""
    wrong = refusal(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_TOO_OLD")
    gone = refusal(grpc.StatusCode.NOT_FOUND, "CARD_UNKNOWN", entry_id="7")
    shut = refusal(grpc.StatusCode.PERMISSION_DENIED, "TERMINAL_SUSPENDED")
    planned = [("before", "Upload", each) for each in (gone, wrong, shut)]
    with counter.terminal(offline=LIMITS) as till, faults(counter.stub, *planned):
        for amount in (100, 200, 300):
            till.approve_offline(CARD, amount)
        assert till.settled(20)
        rows, needs_help = till.recent(3), till.state.needs_help

    assert [(State.ACCEPTED, ""), (State.NEEDS_HELP, "REQUEST_ID_TOO_OLD"), (State.DECLINED, "CARD_UNKNOWN")] == [
        (row.state, row.reason) for row in rows
    ]
    assert [rows[1].request_id] == [row.request_id for row in needs_help]
    assert 99_700 == counter.stub.balance_minor


def test_a_sale_whose_approval_was_not_stored_is_killed_and_never_told(counter, monkeypatch):
    """The cashier saw no approval: the member must not pay."""
    real = OfflineQueue.add

    def fails(self: OfflineQueue, sale: Any) -> None:
        real(self, sale)
        raise OutboxFailed(Path("queue"), "disk full")

    monkeypatch.setattr(OfflineQueue, "add", fails)
    with counter.terminal(offline=LIMITS) as till:
        with pytest.raises(OutboxFailed):
            till.approve_offline(CARD, 1_000)
        assert till.settled(20)
        assert State.UNDONE is till.recent(1)[0].state

    assert ["Reverse"] == counter.stub.methods()
    assert 100_000 == counter.stub.balance_minor
    with closing(sqlite3.connect(queue_file(counter))) as database:
        assert [(0,)] == database.execute("SELECT count(*) FROM sales").fetchall()


def test_a_crash_between_the_two_files_leaves_no_sale(counter):
    """On disk it is BEGUN still: nobody was told, so the next start kills it instead of telling it."""
    with counter.terminal(offline=LIMITS) as till:
        counter.proxy.cut()
        request_id = till.approve_offline(CARD, 1_000)
    with closing(sqlite3.connect(counter.outbox)) as database, database:
        database.execute("UPDATE operations SET state = 'BEGUN'")
    counter.proxy.heal()
    with counter.terminal(offline=LIMITS) as till:
        assert till.settled(20)

    assert [("Reverse", request_id)] == [(method, original) for method, _, original in counter.stub.calls]
    assert [] == counter.stub.uploads
