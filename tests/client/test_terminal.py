"""A terminal's operations: stored before they are sent, sent again by one id, undone when no answer can be had."""

import asyncio
import signal
import stat
import threading
import time
from pathlib import Path

import grpc
import pytest

from coalition.client import (
    Declined,
    FieldRefused,
    Kind,
    NotDone,
    Offline,
    OutboxInUse,
    OutcomeUnknown,
    PaymentCode,
    Phone,
    ServiceBusy,
    State,
    TerminalClosed,
    UndoneFirst,
)
from coalition.client.tries import TryRules
from coalition.v1.operations_pb2 import Funding, VirtualId
from tests.client.conftest import cut
from tests.client.ledger_stub import faults, refusal

CARD = "9123456789012345"
LOST = grpc.StatusCode.UNAVAILABLE


def test_a_sale_is_answered_by_its_receipt(counter):
    """The plain case is one line."""
    with counter.terminal() as till:
        receipt = till.purchase(CARD, 1230, sale_reference="S-1")
        (row,) = till.recent()

    assert (1230, 98_770) == (receipt.amount_minor, receipt.balance_minor)
    assert (receipt.request_id, Kind.PURCHASE, 1230, "S-1", State.ACCEPTED) == (
        row.request_id,
        row.kind,
        row.amount_minor,
        row.sale_reference,
        row.state,
    )


def test_every_operation_of_a_till_is_there(counter):
    """One object, all verbs."""
    with counter.terminal(at="cafe/main/till-1") as till:
        sold = till.purchase(CARD, 500)
        hold = till.authorize(CARD, 300, hold_seconds=60)
        bought = till.top_up(CARD, 1_000, funding=Funding.FUNDING_DEBIT_CARD)
        till.refund(sold, 100)
        till.refund(sold.request_id, 100)
        till.refund(sold.entry_id, 100)
        till.capture(hold, 200)
        till.void(hold.request_id)
        till.return_top_up(bought)
        till.reverse_top_up(bought)
        till.cash_out(CARD, close_wallet=True)
        bath = till.sell_pass(CARD, 10_000, issuer="spa", name="bath")
        till.return_visit(till.visit_pass(CARD, 2, name="bath"))
        till.return_pass(bath)
        till.return_points(till.spend_points(CARD, 200, programme="stars"), 50)
        till.convert_points(CARD, 100, programme="stars")
        till.repay_points(CARD, "moons", 50, programme="stars")
        assert sold == till.resolve(sold.request_id)
        assert "2345" == till.balance(CARD).card_last_four

    assert [
        "Purchase",
        "Authorize",
        "TopUp",
        *["Refund"] * 3,
        "Capture",
        "Void",
        "ReturnTopUp",
        "ReverseTopUp",
        *("CashOut", "SellPass", "VisitPass", "ReturnVisit", "ReturnPass", "SpendPoints", "ReturnPoints"),
        *("ConvertPoints", "RepayPoints"),
        "Resolve",
    ] == counter.stub.methods()


def test_what_stands_for_a_card_is_presented_and_kept_nowhere(counter):
    """A payment code, a phone, another system's id: they go where a card goes, and the outbox holds none of them."""
    code, phone, named = "91" + "0" * 20, "+8613800138000", VirtualId(namespace="chat", subject="o-12345")
    said: list[str | None] = []
    counter.stub.fault = lambda when, _, request: said.append(request.WhichOneof("credential"))
    with counter.terminal() as till:
        till.purchase(PaymentCode(f"{code[:4]} {code[4:]}"), 1)
        till.top_up(Phone(phone), 1)
        till.authorize(named, 1)
        for credential, reference in ((PaymentCode(code), code), (Phone(phone), phone[1:])):
            with pytest.raises(FieldRefused, match="references are stored"):
                till.purchase(credential, 1, sale_reference=f"S {reference}")
        with pytest.raises(FieldRefused, match="22 digits"):
            till.purchase(PaymentCode(code[:-1]), 1)
        kept = b"".join(file.read_bytes() for file in counter.outbox.parent.glob(f"{counter.outbox.name}*"))

    assert ["payment_code", "phone", "virtual_id"] == said[::2]
    assert b"PURCHASE" in kept
    assert not [each for each in (code, phone[1:], named.subject) if each.encode() in kept]
    assert code not in repr(PaymentCode(code))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_asked_for_again_by_the_same_id(counter, when):
    """Whether the first try was posted or not: one sale."""
    with counter.terminal() as till, faults(counter.stub, (when, "Purchase", LOST), (when, "Purchase", LOST)):
        till.purchase(CARD, 1_000)

    assert 99_000 == counter.stub.balance_minor
    assert 1 == len({request_id for _, request_id, _ in counter.stub.calls})
    assert 3 == len(counter.stub.calls)


def test_a_decline_is_final_and_says_reason_cure_and_facts(counter):
    """The cashier needs the reason now; sending it again would only say it again."""
    with counter.terminal() as till:
        with pytest.raises(Declined) as declined:
            till.purchase(CARD, 100_001)
        (row,) = till.recent()

    assert ("INSUFFICIENT_FUNDS", "The cure of INSUFFICIENT_FUNDS.") == (declined.value.reason, declined.value.cure)
    assert declined.value.is_stored
    assert "entry_id" in declined.value.metadata
    assert 1 == len(counter.stub.calls)
    assert (State.DECLINED, "INSUFFICIENT_FUNDS") == (row.state, row.reason)


def test_an_answer_that_never_comes_is_undone_whether_it_was_posted_or_not(counter):
    """Treat the sale as not paid: the member's money comes back by itself."""
    with counter.terminal() as till:
        counter.stub.fault = lambda when, name, _: LOST if (when, name) == ("after", "Purchase") else None
        with pytest.raises(OutcomeUnknown) as lost:
            till.purchase(CARD, 1_000)
        assert till.settled(30)
        (row,) = till.recent()

    assert "not paid" in str(lost.value)
    assert ("PURCHASE", "REVERSED") == (lost.value.kind, lost.value.will_be)
    assert 100_000 == counter.stub.balance_minor
    assert ("Reverse", lost.value.request_id) == (counter.stub.calls[-1][0], counter.stub.calls[-1][2])
    assert State.UNDONE == row.state


def test_a_refund_whose_answer_is_lost_is_resolved_because_it_cannot_be_reversed(counter):
    """What was given back stays given back; what was not, never will be by this id."""
    with counter.terminal() as till:
        sold = till.purchase(CARD, 1_000)
        for when in ("after", "before"):
            counter.stub.fault = lambda at, name, _, when=when: LOST if (at, name) == (when, "Refund") else None
            with pytest.raises(OutcomeUnknown) as lost:
                till.refund(sold, 400)
            assert "RESOLVED" == lost.value.will_be
            assert till.settled(30)
        never, given, _ = till.recent()

    assert 99_400 == counter.stub.balance_minor
    assert (State.STANDS, State.UNDONE, "KILLED") == (given.state, never.state, never.reason)


def test_a_refusal_after_a_lost_answer_is_no_proof_that_nothing_happened(counter):
    """The try before the suspension may have been posted: only a stored answer or a reversal settles it."""
    suspended = refusal(grpc.StatusCode.PERMISSION_DENIED, "TERMINAL_SUSPENDED")
    with counter.terminal() as till:
        with (
            faults(counter.stub, ("after", "Purchase", LOST), ("before", "Purchase", suspended)),
            pytest.raises(OutcomeUnknown),
        ):
            till.purchase(CARD, 1_000)
        assert till.settled(30)

    assert 100_000 == counter.stub.balance_minor


def test_a_refusal_at_the_first_try_is_a_decline(counter):
    """Nothing was stored, nothing has to be undone."""
    suspended = refusal(grpc.StatusCode.PERMISSION_DENIED, "TERMINAL_SUSPENDED")
    with (
        counter.terminal() as till,
        faults(counter.stub, ("before", "Purchase", suspended)),
        pytest.raises(Declined) as declined,
    ):
        till.purchase(CARD, 1_000)

    assert not declined.value.is_stored
    assert ["Purchase"] == counter.stub.methods()


def test_a_full_queue_is_asked_again_and_in_the_end_nothing_was_done(counter):
    """QUEUE_FULL is said before an operation is taken: no reversal is owed."""
    full = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_ms=200)
    with counter.terminal(rules=TryRules(total_s=3.0, pauses_s=(0.05,))) as till:
        with faults(counter.stub, ("before", "Purchase", full)):
            till.purchase(CARD, 1_000)
        counter.stub.fault = lambda _, name, __: full if name == "Purchase" else None
        with pytest.raises(ServiceBusy) as busy:
            till.purchase(CARD, 1_000)
        newest, _ = till.recent()

    assert "QUEUE_FULL" == busy.value.reason
    assert isinstance(busy.value, NotDone)
    assert State.NOT_DONE == newest.state
    assert "Reverse" not in counter.stub.methods()
    assert 99_000 == counter.stub.balance_minor


def test_without_a_connection_nothing_is_sent_and_nothing_is_owed(counter):
    """An offline till declines at the counter; it does not collect reversals of sales that never left."""
    with counter.terminal() as till:
        till.balance(CARD)
        cut(counter, till)
        with pytest.raises(Offline):
            till.purchase(CARD, 1_000)
        (row,) = till.recent()
        state = till.state
        counter.proxy.heal()
        till.purchase(CARD, 2_000)

    assert State.NOT_DONE == row.state
    assert (False, 0) == (state.is_online, state.waiting)
    assert 98_000 == counter.stub.balance_minor


def test_a_cut_during_a_sale_is_survived(counter):
    """The connection breaks after the posting; the next try, on a new one, gets the stored answer."""

    def break_once(when: str, name: str, _: object) -> None:
        if (when, name) == ("after", "Purchase") and len(counter.stub.calls) == 1:
            counter.proxy.break_connections()
            time.sleep(0.1)

    counter.stub.fault = break_once
    with counter.terminal() as till:
        till.purchase(CARD, 1_000)

    assert 99_000 == counter.stub.balance_minor
    assert 2 <= len(counter.stub.calls)


def test_a_line_that_swallows_answers_is_replaced_by_a_new_connection(counter):
    """No packet says that a cable was pulled: the second try must not wait on the dead connection."""
    with counter.terminal(rules=TryRules(deadline_s=0.5, total_s=20.0, pauses_s=(0.05,))) as till:
        counter.proxy.strand()
        till.purchase(CARD, 1_000)

    assert 99_000 == counter.stub.balance_minor
    assert 2 == counter.proxy.connections


def test_a_swallowed_answer_is_reversed_when_the_line_is_back(counter):
    """The sale was posted and its answer lost for good: never paid twice, never left paid."""
    with counter.terminal() as till:
        till.balance(CARD)
        counter.proxy.swallows_answers = True
        with pytest.raises(OutcomeUnknown):
            till.purchase(CARD, 1_000)
        assert 99_000 == counter.stub.balance_minor
        assert 1 == till.state.waiting
        counter.proxy.heal()
        assert till.settled(20)

    assert 100_000 == counter.stub.balance_minor


def test_reversals_are_delivered_in_the_order_they_were_queued_also_by_the_next_run(counter):
    """A capture has to be undone before its authorization was, or the other way round: as it came."""
    counter.stub.fault = lambda when, name, _: LOST if name != "Reverse" or when == "before" else None
    lost = []
    with counter.terminal() as till:
        for amount in (100, 200, 300):
            with pytest.raises(OutcomeUnknown) as each:
                till.purchase(CARD, amount)
            lost.append(each.value.request_id)
    counter.stub.fault = lambda *_: None
    counter.stub.calls.clear()
    with counter.terminal() as till:
        till.purchase(CARD, 400)

    assert [*lost, ""] == [original for _, _, original in counter.stub.calls]
    assert ["Reverse"] * 3 + ["Purchase"] == counter.stub.methods()
    assert 99_600 == counter.stub.balance_minor


def test_new_sales_wait_for_what_an_earlier_run_left_and_say_so(counter):
    """A balance shown before the reversal would be a wrong one."""
    counter.stub.fault = lambda *_: LOST
    with counter.terminal() as till, pytest.raises(OutcomeUnknown):
        till.purchase(CARD, 100)
    with counter.terminal() as till, pytest.raises(UndoneFirst) as waits:
        till.purchase(CARD, 200)

    assert 1 == waits.value.waiting
    assert "Purchase" not in counter.stub.methods()[-2:]


def test_a_reversal_the_service_refuses_for_good_waits_for_a_person_and_blocks_nobody(counter):
    """It cannot be delivered; it must not vanish either."""
    never = refusal(grpc.StatusCode.FAILED_PRECONDITION, "ORIGINAL_NOT_REVERSIBLE", entry_id="9")
    counter.stub.fault = lambda when, name, _: LOST if name == "Purchase" else never if when == "before" else None
    with counter.terminal() as till:
        with pytest.raises(OutcomeUnknown) as lost:
            till.purchase(CARD, 100)
        assert till.settled(30)
    counter.stub.fault = lambda *_: None
    with counter.terminal() as till:
        (row,) = till.state.needs_help
        till.purchase(CARD, 200)
        assert till.dismiss(row.request_id)
        assert not till.dismiss(row.request_id)
    with counter.terminal() as till:
        assert () == till.state.needs_help

    assert (lost.value.request_id, "ORIGINAL_NOT_REVERSIBLE") == (row.request_id, row.reason)


def test_a_reversal_declined_for_now_goes_on_with_a_new_id(counter):
    """A stored decline answers its request_id for ever; the suspension behind it ends one day."""
    suspended = refusal(grpc.StatusCode.FAILED_PRECONDITION, "SUSPENDED", entry_id="9")
    left = [suspended]

    def fault(when: str, name: str, _: object) -> object:
        if name == "Purchase":
            return LOST
        return left.pop() if left and when == "before" else None

    counter.stub.fault = fault
    with counter.terminal() as till:
        with pytest.raises(OutcomeUnknown):
            till.purchase(CARD, 100)
        assert till.settled(30)

    first, second = [request_id for name, request_id, _ in counter.stub.calls if name == "Reverse"]
    assert first != second
    assert 100_000 == counter.stub.balance_minor


def test_a_cancelled_call_is_undone(counter):
    """Nobody heard the receipt, so nobody may have paid."""
    arrived = threading.Event()

    def slow(when: str, name: str, _: object) -> None:
        if (when, name) == ("after", "Purchase"):
            arrived.set()
            time.sleep(0.3)

    counter.stub.fault = slow

    async def shop() -> State:
        async with counter.aio() as till:
            sale = asyncio.ensure_future(till.purchase(CARD, 1_000))
            await asyncio.to_thread(arrived.wait)
            sale.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sale
            assert await till.settled(30)
            (row,) = await till.recent()
            return State(row.state)

    assert State.UNDONE == asyncio.run(shop())
    assert 100_000 == counter.stub.balance_minor


def test_ctrl_c_during_a_sale_undoes_it(counter):
    """The cashier gave up waiting and never saw a receipt."""
    arrived = threading.Event()

    def slow(when: str, name: str, _: object) -> None:
        if (when, name) == ("after", "Purchase"):
            arrived.set()
            time.sleep(0.3)

    def interrupt() -> None:
        arrived.wait(30)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    counter.stub.fault = slow
    with counter.terminal() as till:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            till.purchase(CARD, 1_000)
        assert till.settled(30)

    assert 100_000 == counter.stub.balance_minor


def test_many_sales_at_once_share_the_syncs_of_the_outbox(counter):
    """64 tills behind one till server: a sync each would cost more than the service."""
    groups: list[int] = []

    async def shop() -> int:
        async with counter.aio() as till:
            store = till._file._store

            def counted(database, group) -> None:
                groups.append(len(group))
                store(database, group)

            till._file._store = counted
            return len(await asyncio.gather(*(till.purchase(CARD, 1) for _ in range(256))))

    assert 256 == asyncio.run(shop())
    assert 512 == sum(groups)
    assert len(groups) < 256
    assert 100_000 - 256 == counter.stub.balance_minor


def test_two_processes_never_share_an_outbox(counter):
    """The second would take the sales under way in the first for lost ones, and undo them."""
    with counter.terminal(), pytest.raises(OutboxInUse, match="another process"):
        counter.terminal().open()


def test_a_terminal_is_used_while_it_is_open_only(counter):
    """Before and after there is no outbox to store in."""
    till = counter.terminal()
    with pytest.raises(TerminalClosed):
        till.purchase(CARD, 1)
    with till:
        pass
    with pytest.raises(TerminalClosed):
        till.purchase(CARD, 1)

    assert [] == counter.stub.calls


@pytest.mark.parametrize("reference", [f"card {CARD}", f"{CARD[:4]} {CARD[4:8]}-{CARD[8:]}", "x" * 65])
def test_a_reference_that_holds_the_card_number_is_refused_before_anything_is_stored(counter, reference):
    """References are stored, printed and sent around; the error does not repeat it."""
    with counter.terminal() as till:
        with pytest.raises(FieldRefused) as refused:
            till.purchase(CARD, 1, sale_reference=reference)
        assert [] == till.recent()

    assert "sale_reference" == refused.value.field
    assert CARD not in str(refused.value)


def test_no_card_number_is_ever_on_disk_and_only_its_owner_reads_the_outbox(counter):
    """A stolen till tells nothing about members."""
    with counter.terminal() as till:
        till.purchase(CARD, 1_000, sale_reference="S-1")
        counter.stub.fault = lambda *_: LOST
        with pytest.raises(OutcomeUnknown):
            till.authorize(CARD, 1_000)
        files = sorted(counter.outbox.parent.glob("till-1.outbox*"))
        assert 2 == len(files), "the outbox and its write-ahead log"
        for file in files:
            assert 0o600 == stat.S_IMODE(file.stat().st_mode)
            assert CARD.encode() not in file.read_bytes()
            assert CARD[4:12].encode() not in file.read_bytes()
    assert b"S-1" in counter.outbox.read_bytes() + b"".join(Path(file).read_bytes() for file in files if file.exists())


def test_patience_is_eight_seconds_a_try_and_half_a_minute_in_all():
    """What a cashier and a member can bear; the numbers of the contract."""
    rules = TryRules()

    assert (8.0, 30.0, (1.0, 2.0, 4.0)) == (rules.deadline_s, rules.total_s, rules.pauses_s)
