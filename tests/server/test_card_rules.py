"""Card rules over the wire: limits, named members, funding and returns, at the till and at the counter."""

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest

from coalition.domain.kinds import Kind
from coalition.domain.reasons import ADVICE, Reason, is_stored
from coalition.v1.member_pb2 import (
    CardLimits,
    CardOfMember,
    EnrolMemberRequest,
    GetCardRequest,
    GetMemberRequest,
    IssueCardRequest,
    LinkCardRequest,
    Profile,
    Purpose,
    ReplaceCardRequest,
    SetCardLimitsRequest,
    VerifyMemberRequest,
)
from coalition.v1.member_pb2_grpc import MemberServiceStub
from coalition.v1.operations_pb2 import EntryKind, Funding
from coalition.v1.terminal_pb2 import SubmitBatchRequest
from tests.house import FIRST_DAY, House, Refusal, new_id, refusal_of
from tests.server.conftest import Tills
from tests.server.messages import (
    CAFE_TILL,
    STORE_TILL,
    authorize,
    operation,
    purchase,
    return_top_up,
    reverse,
    top_up,
)

RULES: dict[str, Any] = {
    "bearer_balance_limit_minor": 240_000,
    "named_balance_limit_minor": 360_000,
    "real_name_top_up_from_minor": 150_000,
    "transfer_top_up_from_minor": 200_000,
    "credit_funding_allowed": False,
    "number_day_limit_minor": 50_000,
    "return_days": 7,
}


@pytest.fixture(scope="module", autouse=True)
def _rules(house: House) -> None:
    house.office.create_agreement(house.act(Kind.AGREEMENT_CREATED, code="law"), "law", "CARD_RULES", RULES, FIRST_DAY)


@pytest.fixture(scope="module")
def counter(channel: Callable[[str], grpc.Channel], _rules: None) -> MemberServiceStub:
    return MemberServiceStub(channel("ts/store-a/counter"))


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return refusal_of(caught.value)


def enrolled(counter: MemberServiceStub, phone: str, **fields: Any) -> tuple[str, str]:
    """A member with a card, as counter staff make them: the member's id, the card's number."""
    request = EnrolMemberRequest(request_id=new_id(), profile=Profile(name="Wang", phone=phone), **fields)
    member_id = counter.EnrolMember(request).member_id
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member_id))
    return member_id, number


def test_each_decline_of_the_rules_has_its_reason_and_is_stored_once(house: House, tills: Tills):
    card, used = house.new_card(), house.new_card()
    store, cafe = tills(STORE_TILL), tills(CAFE_TILL)
    first, second = store.TopUp(top_up(used)).receipt, store.TopUp(top_up(used, 50_000)).receipt
    cafe.Purchase(purchase(used, 50_000))
    calls: dict[Reason, Callable[[], Any]] = {
        Reason.FUNDING_NOT_ALLOWED: lambda: store.TopUp(top_up(card, 1_000, funding=Funding.FUNDING_CREDIT_CARD)),
        Reason.REAL_NAME_REQUIRED: lambda: store.TopUp(top_up(card, 150_000)),
        Reason.BALANCE_ABOVE_LIMIT: lambda: store.TopUp(top_up(used, 149_999)),
        Reason.CREDENTIAL_LIMIT_EXCEEDED: lambda: cafe.Authorize(authorize(used, 1)),
        Reason.LOT_TOUCHED: lambda: store.ReturnTopUp(return_top_up(first.request_id)),
        Reason.ORIGINAL_UNKNOWN: lambda: cafe.ReturnTopUp(return_top_up(second.request_id)),
    }
    for reason, call in calls.items():
        before = house.entry_count()

        refusal = refused(call)

        assert (reason.name, ADVICE[reason].status) == (refusal.reason, refusal.code)
        assert is_stored(reason)
        assert before + 1 == house.entry_count()


def test_a_top_up_is_returned_once_by_itself_and_in_a_batch(house: House, tills: Tills):
    store, card = tills(STORE_TILL), house.new_card()
    first, second = store.TopUp(top_up(card, 10_000)).receipt, store.TopUp(top_up(card, 20_000)).receipt
    asked = return_top_up(first.request_id)

    back = store.ReturnTopUp(asked).receipt
    assert (EntryKind.ENTRY_KIND_TOP_UP_RETURN, 10_000, 2_000, 24_000) == (
        back.kind,
        back.amount_minor,
        back.bonus_minor,
        back.balance_minor,
    )
    assert store.ReturnTopUp(asked).receipt.replayed
    assert "LOT_NOT_OPEN" == refused(lambda: store.ReturnTopUp(return_top_up(first.request_id))).reason
    by_entry = return_top_up("")
    by_entry.original_entry_id = second.entry_id
    result = store.SubmitBatch(SubmitBatchRequest(operations=[operation(by_entry)])).results[0]
    assert 0 == result.receipt.balance_minor


def test_a_verified_member_s_wallet_is_named_from_then_on(counter: MemberServiceStub, tills: Tills):
    """The bearer's cap and real name amount end; the cap of named wallets begins."""
    member_id, card = enrolled(counter, "+8613911110001")
    store = tills(STORE_TILL)
    assert "REAL_NAME_REQUIRED" == refused(lambda: store.TopUp(top_up(card, 150_000))).reason
    ask = VerifyMemberRequest(request_id=new_id(), member_id=member_id)

    verified = counter.VerifyMember(ask)

    assert counter.VerifyMember(ask).receipt.replayed
    assert verified.receipt.entry_id > 0
    look = GetMemberRequest(member_id=member_id, purpose=Purpose.PURPOSE_COUNTER_SERVICE)
    assert counter.GetMember(look).member.real_name_verified
    store.TopUp(top_up(card, 199_999))
    assert "FUNDING_NOT_ALLOWED" == refused(lambda: store.TopUp(top_up(card, 200_000))).reason
    transfer = top_up(card, 100_003, funding=Funding.FUNDING_BANK_TRANSFER)
    assert {"balance_limit_minor": "360000"}.items() <= refused(lambda: store.TopUp(transfer)).metadata.items()
    last = store.TopUp(top_up(card, 100_002, funding=Funding.FUNDING_BANK_TRANSFER)).receipt
    assert 360_000 == last.balance_minor


def test_a_single_till_does_not_say_whose_name_was_seen(
    counter: MemberServiceStub, channel: Callable[[str], grpc.Channel], house: House
):
    """A cashier alone may not lift the bounds of bearer cards."""
    till = MemberServiceStub(channel(STORE_TILL))
    member_id, _ = enrolled(counter, "+8613911110002")
    asked = EnrolMemberRequest(
        request_id=new_id(), profile=Profile(name="Li", phone="+8613911110003"), real_name_verified=True
    )

    refusal = refused(lambda: till.EnrolMember(asked))
    assert ("PERMISSION_DENIED", ("real_name_verified",)) == (refusal.reason, refusal.fields)
    verify = VerifyMemberRequest(request_id=new_id(), member_id=member_id)
    assert "PERMISSION_DENIED" == refused(lambda: till.VerifyMember(verify)).reason
    named, _ = enrolled(counter, "+8613911110003", real_name_verified=True)
    look = GetMemberRequest(member_id=named, purpose=Purpose.PURPOSE_COUNTER_SERVICE)
    assert counter.GetMember(look).member.real_name_verified
    nobody = VerifyMemberRequest(request_id=new_id(), member_id="00000000-0000-4000-8000-000000000000")
    assert "MEMBER_UNKNOWN" == refused(lambda: counter.VerifyMember(nobody)).reason


def test_a_lent_card_keeps_to_its_limits_and_so_does_the_card_that_replaces_it(
    counter: MemberServiceStub, tills: Tills, house: House
):
    member_id, card = enrolled(counter, "+8613911110004")
    tills(STORE_TILL).TopUp(top_up(card, 100_000))
    limits = CardLimits(operation_minor=3_000, day_minor=5_000, month_minor=9_000)
    lent = counter.IssueCard(IssueCardRequest(request_id=new_id(), limits=limits))
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=lent.card_number, member_id=member_id))
    cafe = tills(CAFE_TILL)
    assert limits == lent.card.limits == counter.GetCard(GetCardRequest(card_number=lent.card_number)).card.limits

    one = refused(lambda: cafe.Purchase(purchase(lent.card_number, 3_001)))
    assert ("CARD_LIMIT_EXCEEDED", "OPERATION", "3000") == (one.reason, one.metadata["per"], one.metadata["left_minor"])
    cafe.Purchase(purchase(lent.card_number, 3_000))
    day = refused(lambda: cafe.Purchase(purchase(lent.card_number, 2_001)))
    assert ("DAY", "5000", "2000") == tuple(day.metadata[name] for name in ("per", "limit_minor", "left_minor"))
    undone = purchase(lent.card_number, 2_000)
    cafe.Purchase(undone)
    cafe.Reverse(reverse(undone.request_id))
    cafe.Purchase(purchase(card, 30_000))

    replaced = counter.ReplaceCard(ReplaceCardRequest(request_id=new_id(), card_number=lent.card_number))
    assert limits == replaced.card.limits
    wider = SetCardLimitsRequest(
        request_id=new_id(), card_number=replaced.card_number, limits=CardLimits(day_minor=10_000)
    )
    assert CardLimits(day_minor=10_000) == counter.SetCardLimits(wider).card.limits
    assert counter.SetCardLimits(wider).receipt.replayed
    cafe.Purchase(purchase(replaced.card_number, 10_000))
    assert "0" == refused(lambda: cafe.Purchase(purchase(replaced.card_number, 1))).metadata["left_minor"]
    free = SetCardLimitsRequest(
        request_id=new_id(), card_of_member=CardOfMember(member_id=member_id, card_id=replaced.card.card_id)
    )
    assert not counter.SetCardLimits(free).card.HasField("limits")
    told = house.query(
        "SELECT convert_from(answer, 'UTF8')::json #> '{answer,limit_day_minor}' FROM entries WHERE kind = 116"
        " ORDER BY entry_id"
    )
    assert [(10_000,), (None,)] == told


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (CardLimits(day_minor=0), "limits.day_minor"),
        (CardLimits(operation_minor=-1), "limits.operation_minor"),
        (CardLimits(month_minor=10**12 + 1), "limits.month_minor"),
    ],
)
def test_a_limit_that_is_none_is_refused_by_its_field(counter: MemberServiceStub, limits: CardLimits, field: str):
    asked = SetCardLimitsRequest(request_id=new_id(), card_number="9000000000000001", limits=limits)

    refusal = refused(lambda: counter.SetCardLimits(asked))
    assert ("FIELD_INVALID", (field,)) == (refusal.reason, refusal.fields)


def test_limits_of_a_card_that_cannot_pay_are_refused(counter: MemberServiceStub, house: House):
    loose = house.new_card(linked=False)
    old = house.new_card()
    counter.ReplaceCard(ReplaceCardRequest(request_id=new_id(), card_number=old))
    asked = [
        SetCardLimitsRequest(request_id=new_id(), card_number=number) for number in (loose, old, "4111111111111111")
    ]
    reasons = [refused(partial(counter.SetCardLimits, each)).reason for each in asked]
    assert ["CARD_NOT_LINKED", "CARD_REPLACED", "CARD_UNKNOWN"] == reasons


def test_how_a_top_up_was_paid_is_one_of_those_there_are(tills: Tills, house: House):
    refusal = refused(lambda: tills(STORE_TILL).TopUp(top_up(house.new_card(), funding=9)))

    assert ("FIELD_INVALID", ("funding",)) == (refusal.reason, refusal.fields)
