"""What bad input gets: a distinct reason with its gRPC code, and nothing stored except declines."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from coalition.client import ClientCertificate
from coalition.domain.kinds import Kind
from coalition.domain.reasons import ADVICE, Reason, is_stored
from coalition.v1.operations_pb2 import TerminalRef, VirtualId
from coalition.v1.terminal_pb2 import GetBalanceRequest, ListEntriesRequest, SubmitBatchRequest
from coalition.v1.terminal_pb2_grpc import TerminalServiceStub
from tests.house import House, Refusal, new_house, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import CAFE_REF, CAFE_TILL, STORE_TILL, operation, purchase, refund, top_up

DAY = 86_400.0
UNKNOWN_CARD = "9000000000000000"


@pytest.fixture(scope="module")
def card(house: House, tills: Tills) -> str:
    card = house.new_card()
    tills(STORE_TILL).TopUp(top_up(card))
    return card


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


FIELDS: list[tuple[str, dict[str, Any], Reason, str]] = [
    ("no request id", {"request_id": ""}, Reason.REQUEST_ID_MALFORMED, "request_id"),
    ("a word for a request id", {"request_id": "tuesday"}, Reason.REQUEST_ID_MALFORMED, "request_id"),
    (
        "a random UUID",
        {"request_id": "6f1b8e8e-5f6b-4c58-9d5e-6f7f2d1f0a11"},
        Reason.REQUEST_ID_MALFORMED,
        "request_id",
    ),
    ("a request id of last quarter", {"request_id": new_id(90 * DAY)}, Reason.REQUEST_ID_TOO_OLD, "request_id"),
    ("a request id of tomorrow", {"request_id": new_id(-DAY)}, Reason.REQUEST_ID_TOO_OLD, "request_id"),
    ("zero", {"amount_minor": 0}, Reason.AMOUNT_NOT_POSITIVE, "amount_minor"),
    ("a negative amount", {"amount_minor": -1}, Reason.AMOUNT_NOT_POSITIVE, "amount_minor"),
    ("one fen above the scheme's bound", {"amount_minor": 100_000_001}, Reason.AMOUNT_TOO_LARGE, "amount_minor"),
    ("a huge amount", {"amount_minor": 2**63 - 1}, Reason.AMOUNT_TOO_LARGE, "amount_minor"),
    ("another currency", {"currency_code": "USD"}, Reason.CURRENCY_UNKNOWN, "currency_code"),
    ("no currency", {"currency_code": ""}, Reason.CURRENCY_UNKNOWN, "currency_code"),
    ("letters for a card number", {"card_number": "card"}, Reason.FIELD_INVALID, "card_number"),
    ("an over-long card number", {"card_number": "9" * 23}, Reason.FIELD_INVALID, "card_number"),
    ("no card, and nothing that stands for one", {"card_number": None}, Reason.FIELD_INVALID, "credential"),
    ("a code of 21 digits", {"card_number": None, "payment_code": "1" * 21}, Reason.FIELD_INVALID, "payment_code"),
    (
        "an id of no system",
        {"card_number": None, "virtual_id": VirtualId(subject="o-1")},
        Reason.FIELD_INVALID,
        "virtual_id.namespace",
    ),
    ("a phone without its country", {"card_number": None, "phone": "13800138000"}, Reason.FIELD_INVALID, "phone"),
    ("an over-long reference", {"sale_reference": "x" * 65}, Reason.FIELD_INVALID, "sale_reference"),
    ("a reference no database takes", {"sale_reference": "a\x00b"}, Reason.FIELD_INVALID, "sale_reference"),
    (
        "a moment before its own second",
        {"occurred_time": Timestamp(seconds=1_484_000_000, nanos=-1)},
        Reason.FIELD_INVALID,
        "occurred_time",
    ),
    (
        "a terminal code with blanks",
        {"terminal": TerminalRef(participant="a b", store="main", terminal="t")},
        Reason.FIELD_INVALID,
        "terminal.participant",
    ),
]


@pytest.mark.parametrize(("changes", "reason", "field"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS])
def test_a_malformed_field_is_named_and_nothing_is_stored(
    house: House, tills: Tills, card: str, changes: dict[str, Any], reason: Reason, field: str
):
    before = house.entry_count()

    refusal = refused(lambda: tills(CAFE_TILL).Purchase(purchase(card, **changes)))

    assert (reason.name, "INVALID_ARGUMENT", field) == (refusal.reason, refusal.code, refusal.fields[0])
    assert before == house.entry_count()


def test_a_card_number_is_never_quoted_back(house: House, tills: Tills):
    """An error may end up in a till's log, or a screenshot."""
    number = "4" * 25

    with pytest.raises(grpc.RpcError) as caught:
        tills(CAFE_TILL).Purchase(purchase(number))

    error: Any = caught.value
    assert number not in error.details()
    assert number.encode() not in b"".join(
        value if isinstance(value, bytes) else value.encode() for _, value in error.trailing_metadata()
    )


def test_another_body_under_a_used_request_id_is_refused(house: House, tills: Tills, card: str):
    request = purchase(card, 1)
    tills(CAFE_TILL).Purchase(request)
    before = house.entry_count()
    request.amount_minor = 2

    refusal = refused(lambda: tills(CAFE_TILL).Purchase(request))

    assert ("REQUEST_ID_REUSED", "ALREADY_EXISTS") == (refusal.reason, refusal.code)
    assert before == house.entry_count()


def declines(house: House, tills: Tills) -> dict[Reason, Callable[[], Any]]:
    """A call for each decline a till can meet."""
    rich, poor = house.new_card(), house.new_card()
    tills(STORE_TILL).TopUp(top_up(rich))
    frozen, old = house.new_card(), house.new_card()
    house.reception.freeze_card(house.act(Kind.CARD_FROZEN, at=new_id()), frozen)
    house.reception.replace_card(house.act(Kind.CARD_REPLACED, at=new_id()), old)
    loose = house.new_card(linked=False)
    spent = tills(CAFE_TILL).Purchase(purchase(rich, 1_000)).receipt.request_id
    sold = tills(STORE_TILL).TopUp(top_up(rich, 1_000)).receipt
    cafe, store = tills(CAFE_TILL), tills(STORE_TILL)
    by_entry = refund("", 1)
    by_entry.original_entry_id = sold.entry_id
    return {
        Reason.CARD_UNKNOWN: lambda: cafe.Purchase(purchase(UNKNOWN_CARD)),
        Reason.CARD_NOT_LINKED: lambda: cafe.Purchase(purchase(loose)),
        Reason.CARD_FROZEN: lambda: cafe.Purchase(purchase(frozen)),
        Reason.CARD_REPLACED: lambda: cafe.Purchase(purchase(old)),
        Reason.INSUFFICIENT_FUNDS: lambda: cafe.Purchase(purchase(poor)),
        Reason.NOT_ACCEPTED_HERE: lambda: tills("t/garage/main/till-1").Purchase(purchase(rich)),
        Reason.REFUND_EXCEEDS_ORIGINAL: lambda: cafe.Refund(refund(spent, 1_001)),
        Reason.ORIGINAL_UNKNOWN: lambda: cafe.Refund(refund(new_id())),
        Reason.ORIGINAL_NOT_REFUNDABLE: lambda: store.Refund(by_entry),
        Reason.TERMS_UNKNOWN: lambda: store.TopUp(top_up(rich, terms="gold")),
        Reason.TERMS_NOT_SOLD_HERE: lambda: cafe.TopUp(top_up(rich, issuer="store-a")),
        Reason.TOP_UP_BELOW_MINIMUM: lambda: store.TopUp(top_up(rich, 999)),
        Reason.BALANCE_ABOVE_LIMIT: lambda: store.TopUp(top_up(rich, 499_999)),
    }


def test_each_decline_has_its_reason_and_is_stored_once(house: House, tills: Tills):
    for reason, call in declines(house, tills).items():
        before = house.entry_count()

        refusal = refused(call)

        assert (reason.name, ADVICE[reason].status) == (refusal.reason, refusal.code)
        assert is_stored(reason)
        assert before + 1 == house.entry_count()
        assert "false" == refusal.metadata["replayed"]


def test_a_decline_is_the_same_for_ever(house: House, tills: Tills):
    """Funds that came later do not turn an answer the till may have shown already."""
    card = house.new_card()
    request = purchase(card)
    first = refused(lambda: tills(CAFE_TILL).Purchase(request))
    tills(STORE_TILL).TopUp(top_up(card))
    before = house.entry_count()

    again = refused(lambda: tills(CAFE_TILL).Purchase(request))

    assert "true" == again.metadata.pop("replayed")
    assert "false" == first.metadata.pop("replayed")
    assert first == again
    assert before == house.entry_count()


def test_an_answer_is_told_again_however_old_its_request_id_is(house: House, tills: Tills, monkeypatch):
    """The time in an id keeps strangers out; it does not make us forget."""
    from coalition.server import request_ids

    card = house.new_card()
    request = top_up(card, request_id=new_id(20 * DAY))
    tills(STORE_TILL).TopUp(request)
    monkeypatch.setattr(request_ids, "AGE_MAX_MILLISECONDS", int(10 * DAY * 1000))

    assert tills(STORE_TILL).TopUp(request).receipt.replayed
    assert (
        "REQUEST_ID_TOO_OLD"
        == refused(lambda: tills(STORE_TILL).TopUp(top_up(card, request_id=new_id(11 * DAY)))).reason
    )


IDENTITIES: list[tuple[str, TerminalRef | None, Reason]] = [
    ("t/cafe/main/till-9", None, Reason.TERMINAL_UNKNOWN),
    ("t/nobody/main/till-1", None, Reason.TERMINAL_UNKNOWN),
    ("ts/nobody/pos", CAFE_REF, Reason.TERMINAL_UNKNOWN),
    (CAFE_TILL, CAFE_REF, Reason.TERMINAL_OF_OTHER_STORE),
    (
        CAFE_TILL,
        TerminalRef(participant="store-a", store="main", terminal="till-1"),
        Reason.TERMINAL_OF_OTHER_STORE,
    ),
    (
        "ts/cafe/pos",
        TerminalRef(participant="store-a", store="main", terminal="till-1"),
        Reason.TERMINAL_OF_OTHER_STORE,
    ),
    (
        "ts/cafe/pos",
        TerminalRef(participant="nobody", store="main", terminal="till-1"),
        Reason.TERMINAL_OF_OTHER_STORE,
    ),
    ("ts/cafe/pos", TerminalRef(participant="cafe", store="main", terminal="till-9"), Reason.TERMINAL_UNKNOWN),
    ("ts/alpha/pos", CAFE_REF, Reason.TERMINAL_OF_OTHER_STORE),
]


@pytest.mark.parametrize(("path", "terminal", "reason"), IDENTITIES)
def test_a_till_speaks_for_itself_only(
    house: House, tills: Tills, card: str, path: str, terminal: TerminalRef | None, reason: Reason
):
    """Terminal and balance alike; whether a stranger's terminal exists is not told."""
    before = house.entry_count()

    writing = refused(lambda: tills(path).Purchase(purchase(card, terminal=terminal)))
    reading = refused(lambda: tills(path).GetBalance(GetBalanceRequest(card_number=card, terminal=terminal)))

    assert (reason.name, "PERMISSION_DENIED") == (writing.reason, writing.code)
    assert reason.name == reading.reason
    assert before == house.entry_count()


def test_a_till_server_names_its_terminal(house: House, tills: Tills, card: str):
    refusal = refused(lambda: tills("ts/cafe/pos").Purchase(purchase(card)))

    assert ("FIELD_INVALID", ("terminal",)) == (refusal.reason, refusal.fields)


def test_without_a_certificate_of_the_coalition_there_is_no_call(house: House, address: str, tmp_path, card: str):
    """The handshake fails: the server sees no call, so the client sees UNAVAILABLE and no reason."""
    from coalition.bootstrap.identities import certificate
    from coalition.config import load_settings

    ours = house.certificate(CAFE_TILL)
    strangers = load_settings(var=tmp_path)
    foreign = ClientCertificate.load_folder(certificate(strangers, CAFE_TILL).cert.parent)
    pretender = grpc.ssl_channel_credentials(ours.authority, foreign.key, foreign.certificate)
    for credentials in (grpc.ssl_channel_credentials(ours.authority), pretender):
        with grpc.secure_channel(address, credentials) as channel, pytest.raises(grpc.RpcError) as caught:
            TerminalServiceStub(channel).Purchase(purchase(card), timeout=5)
        error: Any = caught.value
        assert grpc.StatusCode.UNAVAILABLE == error.code()


def test_a_large_message_is_refused_by_us_and_a_huge_one_by_grpc(house: House, tills: Tills, card: str):
    before = house.entry_count()

    large = refused(lambda: tills(CAFE_TILL).Purchase(purchase(card, sale_reference="x" * 70_000)))
    with pytest.raises(grpc.RpcError) as caught:
        tills(CAFE_TILL).Purchase(purchase(card, sale_reference="x" * 2_000_000))

    error: Any = caught.value
    assert ("MESSAGE_TOO_LARGE", "RESOURCE_EXHAUSTED") == (large.reason, large.code)
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == error.code()
    assert before == house.entry_count()


def test_a_batch_has_bounds(house: House, tills: Tills, card: str):
    before = house.entry_count()

    many = [operation(purchase(card, 1)) for _ in range(1_001)]

    assert "FIELD_INVALID" == refused(lambda: tills(CAFE_TILL).SubmitBatch(SubmitBatchRequest(operations=many))).reason
    assert "FIELD_INVALID" == refused(lambda: tills(CAFE_TILL).SubmitBatch(SubmitBatchRequest())).reason
    assert before == house.entry_count()


def test_a_page_token_of_another_list_is_refused(house: House, tills: Tills, card: str):
    refusal = refused(lambda: tills(CAFE_TILL).ListEntries(ListEntriesRequest(card_number=card, page_token="next")))

    assert ("PAGE_TOKEN_INVALID", "INVALID_ARGUMENT") == (refusal.reason, refusal.code)


def test_reads_of_cards_that_have_no_wallet_are_refused(house: House, tills: Tills):
    loose = house.new_card(linked=False)

    assert (
        "CARD_UNKNOWN"
        == refused(lambda: tills(CAFE_TILL).GetBalance(GetBalanceRequest(card_number=UNKNOWN_CARD))).reason
    )
    assert (
        "CARD_NOT_LINKED" == refused(lambda: tills(CAFE_TILL).GetBalance(GetBalanceRequest(card_number=loose))).reason
    )


def test_a_full_queue_is_told_before_anything_is_stored(house: House, card: str):
    """One place in the queue and two operations: neither is taken."""
    with house.server(desk_queue_max=1) as (_, address):
        credentials = house.certificate(CAFE_TILL).credentials()
        with grpc.secure_channel(address, credentials) as channel:
            before = house.entry_count()
            two = [operation(purchase(card, 1)) for _ in range(2)]

            refusal = refused(lambda: TerminalServiceStub(channel).SubmitBatch(SubmitBatchRequest(operations=two)))

    assert ("QUEUE_FULL", "RESOURCE_EXHAUSTED") == (refusal.reason, refusal.code)
    assert refusal.retry_seconds is not None
    assert before == house.entry_count()


def test_no_open_window_is_told_and_nothing_is_stored(postgres, tmp_path):
    """Between two windows nothing may be posted, and nothing declined either: the till sends the same again."""
    with new_house(postgres, tmp_path) as house:
        card = house.new_card()
        with (
            house.server() as (_, address),
            grpc.secure_channel(address, house.certificate(STORE_TILL).credentials()) as channel,
        ):
            stub = TerminalServiceStub(channel)
            stub.TopUp(top_up(card))
            with_owner(house, "UPDATE windows SET state = 'CLOSED', close_time = now()")
            before = house.entry_count()

            refusal = refused(lambda: stub.Purchase(purchase(card)))

            assert ("NO_OPEN_WINDOW", "UNAVAILABLE") == (refusal.reason, refusal.code)
            assert refusal.retry_seconds is not None
            assert before == house.entry_count()


def with_owner(house: House, statement: str) -> None:
    from coalition.storage.connect import connect

    with connect(house.dsn("owner")) as connection:
        connection.execute(statement)
