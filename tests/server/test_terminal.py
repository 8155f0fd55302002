"""TerminalService as tills know it: every RPC, over mutual TLS, on a real ledger."""

from coalition.domain.kinds import Kind
from coalition.v1 import operations_pb2
from coalition.v1.terminal_pb2 import GetBalanceRequest, ListEntriesRequest, StreamRequest, SubmitBatchRequest
from tests.house import House, Refusal, new_id
from tests.server.conftest import Tills
from tests.server.messages import CAFE_REF, CAFE_TILL, STORE_TILL, operation, purchase, refund, top_up


def test_what_one_store_sold_is_spent_at_another_and_partly_given_back(house: House, tills: Tills):
    """The worked month of the design, as three receipts."""
    card = house.new_card()

    sold = tills(STORE_TILL).TopUp(top_up(card)).receipt
    spent = tills(CAFE_TILL).Purchase(purchase(card)).receipt
    returned = tills(CAFE_TILL).Refund(refund(spent.request_id)).receipt

    assert (100_000, 20_000, 120_000) == (sold.principal_minor, sold.bonus_minor, sold.balance_minor)
    assert (25_000, 5_000, 90_000) == (spent.principal_minor, spent.bonus_minor, spent.balance_minor)
    assert (8_333, 1_667, 100_000) == (returned.principal_minor, returned.bonus_minor, returned.balance_minor)
    assert card[-4:] == spent.card_last_four
    assert [False, False, False] == [sold.replayed, spent.replayed, returned.replayed]
    (window,) = spent.window_labels
    assert window.startswith("monthly/")
    assert ([], [window]) == (list(sold.window_labels), list(returned.window_labels))


def test_the_same_request_gets_the_same_receipt_for_ever(house: House, tills: Tills):
    """A till that lost the answer sends again, and nothing is posted twice."""
    card = house.new_card()
    request = top_up(card)
    first = tills(STORE_TILL).TopUp(request).receipt
    before = house.entry_count()

    again = tills(STORE_TILL).TopUp(request).receipt

    assert again.replayed
    again.replayed = False
    assert first == again
    assert before == house.entry_count()


def test_a_refund_names_its_purchase_by_entry_too(house: House, tills: Tills):
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    spent = tills(CAFE_TILL).Purchase(purchase(card)).receipt
    request = refund("")
    request.original_entry_id = spent.entry_id

    returned = tills(CAFE_TILL).Refund(request).receipt

    assert 100_000 == returned.balance_minor


def test_a_balance_tells_what_this_merchant_accepts(house: House, tills: Tills):
    """The garage takes nobody's value: the wallet is full, and empty here."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))

    at_cafe = tills(CAFE_TILL).GetBalance(GetBalanceRequest(card_number=card)).balance
    at_garage = tills("t/garage/main/till-1").GetBalance(GetBalanceRequest(card_number=card)).balance

    assert (120_000, 120_000) == (at_cafe.balance_minor, at_cafe.balance_here_minor)
    assert (120_000, 0) == (at_garage.balance_minor, at_garage.balance_here_minor)
    assert (100_000, 20_000) == (at_cafe.principal_minor, at_cafe.bonus_minor)
    assert operations_pb2.CARD_STATE_ACTIVE == at_cafe.card_state


def test_a_terminal_lists_its_own_participants_lines_page_by_page(house: House, tills: Tills):
    """What a member buys elsewhere is not a merchant's business."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    spent = [tills(CAFE_TILL).Purchase(purchase(card, 100 + place)).receipt.entry_id for place in range(3)]
    till = tills("t/cafe/main/till-2")

    first = till.ListEntries(ListEntriesRequest(card_number=card, page_size=2))
    rest = till.ListEntries(ListEntriesRequest(card_number=card, page_size=2, page_token=first.next_page_token))

    assert list(reversed(spent)) == [line.entry_id for line in [*first.entries, *rest.entries]]
    assert [-102, -101] == [line.balance_change_minor for line in first.entries]
    assert ["cafe/main/till-1"] == [f"{line.participant}/{line.store}/{line.terminal}" for line in rest.entries]
    assert "" == rest.next_page_token


def test_a_batch_answers_each_operation_in_order(house: House, tills: Tills):
    """One that is refused leaves the others alone; a malformed one is told so in its place."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card, 1_000))
    good, dear, bad = purchase(card, 600), purchase(card, 500), purchase(card, 0)
    last = purchase(card, 400)

    results = (
        tills(CAFE_TILL)
        .SubmitBatch(SubmitBatchRequest(operations=[operation(each) for each in (good, dear, bad, good, last)]))
        .results
    )

    assert [good.request_id, dear.request_id, bad.request_id, good.request_id, last.request_id] == [
        result.request_id for result in results
    ]
    assert 400 == results[0].receipt.balance_minor
    assert "INSUFFICIENT_FUNDS" == Refusal.of_status(results[1].error).reason
    assert "AMOUNT_NOT_POSITIVE" == Refusal.of_status(results[2].error).reason
    assert results[3].receipt.replayed
    assert 0 == results[4].receipt.balance_minor


def test_a_batch_of_a_thousand_is_answered_whole(house: House, tills: Tills):
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card, 2_000))
    requests = [purchase(card, 1) for _ in range(1_000)]

    results = tills(CAFE_TILL).SubmitBatch(SubmitBatchRequest(operations=map(operation, requests))).results

    assert [1_999 - place for place in range(1_000)] == [result.receipt.balance_minor for result in results]


def test_a_stream_answers_in_the_order_sent(house: House, tills: Tills):
    """Also when a refused operation stands in the middle: the stream goes on."""
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card, 10_000))
    requests = [purchase(card, amount) for amount in (100, 999_999, 200, 0, 300)]

    answers = tills(CAFE_TILL).Stream(iter([StreamRequest(operation=operation(each)) for each in requests]))
    results = [answer.result for answer in answers]

    assert [each.request_id for each in requests] == [result.request_id for result in results]
    assert ["receipt", "error", "receipt", "error", "receipt"] == [result.WhichOneof("result") for result in results]
    assert 11_400 == results[-1].receipt.balance_minor


def test_a_till_server_speaks_for_every_terminal_of_its_participant(house: House, tills: Tills):
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))

    receipt = tills("ts/cafe/pos").Purchase(purchase(card, terminal=CAFE_REF)).receipt

    stored = house.query("SELECT actor, terminal_id FROM entries WHERE entry_id = %s", receipt.entry_id)
    wanted = house.query(
        "SELECT terminal_id FROM terminals JOIN stores USING (store_id) JOIN participants USING (participant_id)"
        " WHERE participants.code = 'cafe' AND terminals.code = 'till-2'"
    )
    assert [("/ts/cafe/pos", wanted[0][0])] == stored


def test_a_till_server_of_a_chain_speaks_for_every_participant_of_the_chain(house: House, tills: Tills):
    card = house.new_card()
    till = tills("ts/alpha/pos")
    at_a = operations_pb2.TerminalRef(participant="store-a", store="main", terminal="till-1")
    at_b = operations_pb2.TerminalRef(participant="store-b", store="main", terminal="till-1")

    till.TopUp(top_up(card, terminal=at_a))
    receipt = till.TopUp(top_up(card, terminal=at_b, issuer="store-a")).receipt

    assert 240_000 == receipt.balance_minor


def test_a_change_of_the_programme_is_known_at_once_or_within_a_second(house: House, tills: Tills):
    """A suspended terminal is refused before anything is stored."""
    import time

    import grpc

    from tests.house import refusal_of

    card = house.new_card()
    till = tills("t/store-b/main/till-2")
    state = house.act(Kind.TERMINAL_STATE_CHANGED, code="till-2", at=new_id())
    house.office.set_terminal_state(state, "store-b", "main", "till-2", "SUSPENDED")
    before = house.entry_count()

    deadline = time.monotonic() + 5
    reason = ""
    while reason != "TERMINAL_SUSPENDED" and time.monotonic() < deadline:
        try:
            till.GetBalance(GetBalanceRequest(card_number=card))
        except grpc.RpcError as error:
            reason = refusal_of(error).reason
        time.sleep(0.05)

    assert "TERMINAL_SUSPENDED" == reason
    assert before == house.entry_count()
