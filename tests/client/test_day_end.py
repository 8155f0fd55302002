"""The end of a till's day: everything it did is counted as the journal has it, closed once, whatever is lost."""

import asyncio
import hashlib
import threading
from contextlib import suppress
from datetime import date
from pathlib import Path
from uuid import UUID

import grpc
import pytest

from coalition.client import (
    CloseFirst,
    CloseWaits,
    DayNotSettled,
    Declined,
    FieldRefused,
    OfflineLimits,
    OutcomeUnknown,
    Terminal,
    signed_bytes,
)
from coalition.client.day_statement import statement, totals_of
from coalition.domain.day_close import DayClose, Total
from coalition.domain.day_close import DayOperation as CountedOperation
from coalition.domain.kinds import Kind
from coalition.v1.operations_pb2 import EntryKind
from coalition.v1.terminal_pb2 import CloseDayRequest, DayOperation
from keys.labelled import labelled
from tests.client.ledger_stub import faults, refusal

CARD = "9123456789012345"
LOST = grpc.StatusCode.UNAVAILABLE
PLACE = "cafe/main/till-1"
LIMITS = OfflineLimits(limit_minor=5_000, card_limit_minor=8_000, total_limit_minor=10_000)
IDS = ("018bcfe5-6800-7000-8000-00000000000A", "018bcfe5-6800-7000-8000-00000000000b")


def sign(stated: bytes) -> bytes:
    """A signature that is none; the real service checks real ones (tests/server/test_till_days.py)."""
    return hashlib.sha256(stated).digest()


def lose(till: Terminal, counter, method: str, when: str, *arguments) -> None:
    """An operation whose answer is lost for good, posted (`after`) or not (`before`), until it is undone."""
    remote = method.title().replace("_", "")
    counter.stub.fault = lambda at, name, _: LOST if (at, name) == (when, remote) else None
    with pytest.raises(OutcomeUnknown):
        getattr(till, method)(*arguments)
    counter.stub.fault = lambda *_: None
    assert till.settled(20)


@pytest.mark.parametrize("listed", [True, False])
def test_the_statement_is_the_domains_to_the_byte(listed: bool):
    """The client may not import the domain; a till in another language cannot either."""
    operations = [
        DayOperation(request_id=IDS[0], kind=EntryKind.ENTRY_KIND_UPLOAD, accepted=True, amount_minor=12_30),
        DayOperation(request_id=IDS[1], kind=EntryKind.ENTRY_KIND_PURCHASE),
    ]
    request = CloseDayRequest(
        business_date="2026-11-26",
        number=2,
        previous_hash=b"\x01" * 32,
        totals=totals_of(operations),
        operations=operations if listed else (),
    )
    counted = [
        CountedOperation(UUID(IDS[0]), Kind.UPLOAD, True, 12_30),
        CountedOperation(UUID(IDS[1]), Kind.PURCHASE, False, 0),
    ]
    totals = {Kind.PURCHASE: Total(0, 0, 1), Kind.UPLOAD: Total(1, 12_30, 0)}
    close = DayClose(PLACE, date(2026, 11, 26), 2, b"\x01" * 32, totals, counted if listed else None)

    assert close.statement() == statement(PLACE, request)
    assert labelled(b"coalition statement 1", "day-close", close.statement()) == signed_bytes(close.statement())


def test_the_example_of_the_manual_is_a_statement():
    """docs/terminal-state-machine.md is what tills in other languages are written from."""
    manual = (Path(__file__).parents[2] / "docs" / "terminal-state-machine.md").read_text(encoding="utf-8")
    operations = [
        DayOperation(request_id=IDS[0], kind=EntryKind.ENTRY_KIND_PURCHASE, accepted=True, amount_minor=12_30),
        DayOperation(request_id=IDS[1], kind=EntryKind.ENTRY_KIND_PURCHASE),
    ]
    request = CloseDayRequest(business_date="2026-11-26", number=1, totals=totals_of(operations), operations=operations)

    assert f"\n```\n{statement(PLACE, request).decode()}```\n" in manual


def test_everything_a_till_did_is_counted_as_the_journal_has_it(counter):
    """Receipts, declines, what was undone whether it had arrived or not, what was told late; a void by its receipt."""
    with counter.terminal(at=PLACE, offline=LIMITS) as till:
        sale = till.purchase(CARD, 500)
        till.refund(sale, 100)
        till.void(till.authorize(CARD, 300))
        with pytest.raises(Declined):
            till.purchase(CARD, 200_000)
        for when in ("before", "after"):
            lose(till, counter, "purchase", when, CARD, 700)
            lose(till, counter, "refund", when, sale, 50)
        counter.stub.fault = lambda *_: refusal(grpc.StatusCode.PERMISSION_DENIED, "TERMINAL_SUSPENDED")
        with pytest.raises(Declined):
            till.purchase(CARD, 600)
        counter.stub.fault = lambda *_: None
        till.approve_offline(CARD, 900)
        assert till.settled(20)
        before = till.day_totals()
        closed = till.close_day(sign)
        after = till.day_totals()

    assert before.ours == before.theirs
    assert {EntryKind.ENTRY_KIND_REVERSAL: (2, 700), EntryKind.ENTRY_KIND_TOMBSTONE: (0, 0)}.items() <= {
        each.kind: (each.accepted_count, each.accepted_minor) for each in before.ours
    }.items()
    assert (True, 1, "2026-11-26") == (closed.agrees, closed.number, closed.business_date)
    assert ((), (), 2) == (after.ours, after.theirs, after.number)
    (request,) = counter.stub.closes
    assert {each.request_id for each in counter.stub._entries} == {each.request_id for each in request.operations}
    assert sign(statement(PLACE, request)) == request.signature


def test_a_reversal_that_was_declined_before_another_was_taken_is_counted_too(counter):
    """A suspension that passes leaves a stored decline behind under a request_id of its own."""
    refused: list[str] = []

    def fault(when: str, name: str, request) -> object:
        if (when, name) == ("after", "Purchase"):
            return LOST
        if (when, name) == ("before", "Reverse") and not refused:
            refused.append(request.request_id)
            return counter.stub._declined(request.request_id, "SUSPENDED", EntryKind.ENTRY_KIND_REVERSAL).error
        return None

    with counter.terminal(at=PLACE) as till:
        counter.stub.fault = fault
        with pytest.raises(OutcomeUnknown):
            till.purchase(CARD, 700)
        assert till.settled(20)
        counter.stub.fault = lambda *_: None
        first, second = till.close_day(sign), till.close_day(sign)

    assert refused
    assert (True, True) == (first.agrees, second.agrees)
    assert refused[0] in {each.request_id for each in counter.stub.closes[0].operations}


def test_what_waits_is_not_closed_over_unless_it_is_left_to_the_next_close(counter):
    """The till does not know what the journal holds of it; afterwards both know, and neither counts it twice."""
    with counter.terminal(at=PLACE) as till:
        till.purchase(CARD, 100)
        counter.stub.fault = lambda when, name, _: (
            LOST if name in {"Purchase", "Reverse"} and when == "before" else None
        )
        with pytest.raises(OutcomeUnknown):
            till.purchase(CARD, 700)
        with pytest.raises(DayNotSettled, match="1 operations"):
            till.close_day(sign)
        assert [] == counter.stub.closes
        assert 1 == till.day_totals().waiting
        left = till.close_day(sign, leave_waiting=True)
        counter.stub.fault = lambda *_: None
        assert till.settled(20)
        next_one = till.close_day(sign)

    assert (True, True) == (left.agrees, next_one.agrees)
    assert [1, 2] == [len(each.operations) for each in counter.stub.closes]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_close_whose_answer_is_lost_is_sent_again_with_the_same_bytes(counter, when: str):
    with counter.terminal(at=PLACE) as till:
        till.purchase(CARD, 100)
        with faults(counter.stub, (when, "CloseDay", LOST)):
            closed = till.close_day(sign)

    assert closed.agrees
    assert 2 == len(counter.stub.closes)
    assert 1 == len({each.SerializeToString(deterministic=True) for each in counter.stub.closes})


def test_operations_wait_for_a_close_without_an_answer_and_its_answer_is_told_when_asked_again(counter):
    """What is sold behind the count must not be posted before the journal compares."""
    with counter.terminal(at=PLACE) as till:
        till.purchase(CARD, 100)
        counter.stub.fault = lambda when, name, _: LOST if (when, name) == ("before", "CloseDay") else None
        with pytest.raises(CloseWaits) as waits:
            till.close_day(sign)
        with pytest.raises(CloseFirst):
            till.purchase(CARD, 200)
        assert 1 == till.state.closing
        assert not till.settled(0)
        counter.stub.fault = lambda *_: None
        assert till.settled(20)
        closed = till.close_day(sign)
        till.purchase(CARD, 300)
        assert 0 == till.state.closing

    assert (True, 1) == (closed.agrees, closed.number)
    assert {waits.value.request_id} == {each.request_id for each in counter.stub.closes}
    assert ["Purchase", "Purchase"] == counter.stub.methods()


def test_a_close_left_by_an_earlier_run_goes_before_everything_else(counter):
    with counter.terminal(at=PLACE) as till:
        till.purchase(CARD, 100)
        counter.stub.fault = lambda when, name, _: LOST if name == "CloseDay" else None
        with pytest.raises(CloseWaits):
            till.close_day(sign)
    counter.stub.fault = lambda *_: None
    with counter.terminal(at=PLACE) as till:
        till.purchase(CARD, 300)
        second = till.close_day(sign)
    with counter.terminal(at=PLACE) as till:
        third = till.close_day(sign)

    first, *again = counter.stub.closes[:-2]
    assert again
    assert {first.SerializeToString(deterministic=True)} == {
        each.SerializeToString(deterministic=True) for each in again
    }
    assert [(2, True), (3, True)] == [(each.number, each.agrees) for each in (second, third)]


def test_sales_at_once_with_a_close_are_counted_on_one_side_of_it(counter):
    """Those under way are waited for, those that come wait: the two counts are of the same operations."""
    with counter.terminal(at=PLACE) as till:
        stop = threading.Event()

        def sell() -> None:
            while not stop.is_set():
                till.purchase(CARD, 1)

        sellers = [threading.Thread(target=sell) for _ in range(4)]
        for each in sellers:
            each.start()
        try:
            closes = [till.close_day(sign) for _ in range(5)]
        finally:
            stop.set()
            for each in sellers:
                each.join()
        closes.append(till.close_day(sign))

    assert [True] * 6 == [each.agrees for each in closes]
    assert counter.stub.methods().count("Purchase") == sum(
        total.accepted_count for each in counter.stub.closes for total in each.totals
    )


def test_a_close_that_is_refused_for_good_lets_the_till_go_on(counter):
    """Another program closed this till's day meanwhile: the next close counts all of it again."""
    refused = refusal(grpc.StatusCode.FAILED_PRECONDITION, "DAY_CLOSE_OUT_OF_ORDER", next_number="2")
    with counter.terminal(at=PLACE) as till:
        till.purchase(CARD, 100)
        with faults(counter.stub, ("before", "CloseDay", refused)), pytest.raises(Declined) as declined:
            till.close_day(sign)
        till.purchase(CARD, 200)
        assert till.close_day(sign).agrees

    assert "DAY_CLOSE_OUT_OF_ORDER" == declined.value.reason
    assert 2 == len(counter.stub.closes[-1].operations)


def test_a_close_that_cannot_be_made_closes_nothing(counter):
    """A till without its place, a signer that fails: the till goes on selling."""

    def broken(_: bytes) -> bytes:
        raise OSError("no key")

    with counter.terminal(at=PLACE) as till:
        with pytest.raises(OSError, match="no key"):
            till.close_day(broken)
        till.purchase(CARD, 100)
    with counter.terminal() as till, pytest.raises(FieldRefused, match="at"):
        till.close_day(sign)

    assert [] == counter.stub.closes


def test_a_cancelled_close_is_either_not_begun_or_told(counter):
    """Whoever is cancelled while it is stored finds it again."""

    async def run() -> None:
        async with counter.aio(at=PLACE) as till:
            for pause_s in (0, 0.002, 0.005, 0.01, 0.02, 0.05):
                await till.purchase(CARD, 1)
                closing = asyncio.ensure_future(till.close_day(sign))
                await asyncio.sleep(pause_s)
                closing.cancel()
                with suppress(asyncio.CancelledError):
                    await closing
            await till.purchase(CARD, 1)
            assert (await till.close_day(sign)).agrees

    asyncio.run(run())


def test_what_an_earlier_release_kept_is_counted_as_the_journal_has_it(counter):
    """Its rows know no entries: what is not certain is asked for."""
    with counter.terminal(at=PLACE) as till:
        till.void(till.authorize(CARD, 300))
        with pytest.raises(Declined):
            till.purchase(CARD, 200_000)
        till._aio._file._database.execute("UPDATE operations SET entry_id = NULL")
        till._aio._file._database.execute("UPDATE operations SET amount_minor = 0 WHERE kind = 'VOID'")
        totals = till.day_totals()

    assert totals.agrees
    assert 3 == sum(each.accepted_count + each.declined_count for each in totals.ours)
