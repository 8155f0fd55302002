"""MemberService: members and cards exactly once, in whose name, and nothing personal in clear."""

import json

import pytest
import structlog

from coalition.v1 import member_pb2, operations_pb2
from coalition.v1.member_pb2 import (
    CardOfMember,
    EnrolMemberRequest,
    FindMemberRequest,
    FreezeCardRequest,
    GetCardRequest,
    GetMemberRequest,
    IssueCardRequest,
    LinkCardRequest,
    Profile,
    ReplaceCardRequest,
    UnfreezeCardRequest,
)
from tests.offices import dump, log_text
from tests.server.services.house import Doors, founded, new_id, refused, told_again

COUNTER = member_pb2.PURPOSE_COUNTER_SERVICE


@pytest.fixture(scope="module", autouse=True)
def _counters(doors: Doors) -> None:
    founded(doors, "bakery", "florist")
    founded(doors, "ring-1", "ring-2", chain_code="ring")


def enrolled(doors: Doors, phone: str, path: str = "/hq/bakery", recruiter: str = "") -> member_pb2.EnrolMemberResponse:
    profile = Profile(name="Ada", phone=phone)
    request = EnrolMemberRequest(request_id=new_id(), profile=profile, recruiter=recruiter)
    return doors.visitor(path).member.EnrolMember(request)


def test_every_write_is_done_once_and_told_again_and_another_body_is_refused(doors: Doors) -> None:
    counter = doors.visitor("/ts/bakery/1").member
    profile = Profile(name="Grace Hopper", phone="+8613800000001", birth_month=12)
    enrol = EnrolMemberRequest(request_id=new_id(), profile=profile)
    member = told_again(counter.EnrolMember, enrol, recruiter="bakery")
    assert member.wallet_id > 0

    issued = told_again(counter.IssueCard, IssueCardRequest(request_id=new_id()), issuer="bakery")
    assert issued.card.state == operations_pb2.CARD_STATE_ISSUED
    assert issued.card.issuer == "bakery"
    assert (issued.card_number[-4:], len(issued.card_number)) == (issued.card.last_four, 16)

    link = LinkCardRequest(request_id=new_id(), card_number=issued.card_number, member_id=member.member_id)
    linked = told_again(counter.LinkCard, link, member_id="00000000-0000-4000-8000-000000000000").card
    assert (linked.state, linked.wallet_id) == (operations_pb2.CARD_STATE_ACTIVE, member.wallet_id)
    assert linked.member_id == member.member_id

    other = "4000000000000002"
    freeze = FreezeCardRequest(request_id=new_id(), card_number=issued.card_number)
    assert told_again(counter.FreezeCard, freeze, card_number=other).card.state == operations_pb2.CARD_STATE_FROZEN
    thaw = UnfreezeCardRequest(request_id=new_id(), card_number=issued.card_number)
    assert told_again(counter.UnfreezeCard, thaw, card_number=other).card.state == operations_pb2.CARD_STATE_ACTIVE
    replace = ReplaceCardRequest(request_id=new_id(), card_number=issued.card_number)
    replaced = told_again(counter.ReplaceCard, replace, new_card_number=other)
    assert replaced.card_number != issued.card_number
    assert (replaced.card.state, replaced.card.wallet_id) == (operations_pb2.CARD_STATE_ACTIVE, member.wallet_id)

    old = counter.GetCard(GetCardRequest(card_number=issued.card_number)).card
    assert (old.state, old.replaced_by_card_id) == (operations_pb2.CARD_STATE_REPLACED, replaced.card.card_id)
    # What was told about the old card then is still told, now that it is replaced.
    assert counter.FreezeCard(freeze).card.state == operations_pb2.CARD_STATE_FROZEN


def test_a_member_is_found_and_shown_masked(doors: Doors) -> None:
    member = enrolled(doors, "+8613800000002")
    counter = doors.visitor("/hq/florist").member
    found = counter.FindMember(FindMemberRequest(phone="+8613800000002", purpose=COUNTER)).member
    assert found == counter.GetMember(GetMemberRequest(member_id=member.member_id, purpose=COUNTER)).member
    assert (found.member_id, found.wallet_id) == (member.member_id, member.wallet_id)
    assert (found.recruiter, found.state) == ("bakery", member_pb2.MEMBER_STATE_ACTIVE)
    assert found.profile.name_masked == "A*"
    assert found.profile.phone_masked.endswith("0002")
    assert "13800" not in found.profile.phone_masked


def test_every_purpose_of_the_door_is_one_of_reception(doors: Doors) -> None:
    member = enrolled(doors, "+8613800000003")
    for value in member_pb2.Purpose.values():
        if value not in {member_pb2.PURPOSE_UNSPECIFIED, member_pb2.PURPOSE_MARKETING}:
            request = GetMemberRequest(member_id=member.member_id, purpose=member_pb2.Purpose.ValueType(value))
            assert doors.visitor("/hq/bakery").member.GetMember(request).member.member_id == member.member_id


def test_a_counter_acts_in_its_own_name_only(doors: Doors) -> None:
    assert enrolled(doors, "+8613800000010", "/t/bakery/main/till-1").wallet_id > 0
    assert enrolled(doors, "+8613800000011", recruiter="florist", path="/op/admin").wallet_id > 0
    assert enrolled(doors, "+8613800000012", recruiter="ring-2", path="/ts/ring/1").wallet_id > 0
    for path in ("/hq/bakery", "/ts/bakery/1", "/t/bakery/main/till-1", "/ts/ring/1"):
        for code in ("florist", "nobody"):
            answer = refused(enrolled, doors, "+8613800000013", path, code)
            assert (answer.reason, answer.fields) == ("PERMISSION_DENIED", ("recruiter",))
            card = IssueCardRequest(request_id=new_id(), issuer=code)
            answer = refused(doors.visitor(path).member.IssueCard, card)
            assert (answer.reason, answer.fields) == ("PERMISSION_DENIED", ("issuer",))
    answer = refused(lambda: enrolled(doors, "+8613800000014", "/op/admin", recruiter="nobody"))
    assert answer.reason == "PARTICIPANT_UNKNOWN"


def test_a_lost_card_is_frozen_and_replaced_by_its_member_and_id(doors: Doors) -> None:
    """Who has lost a card has no number; the member is found by phone, and shows the cards."""
    counter = doors.visitor("/hq/bakery").member
    member, stranger = enrolled(doors, "+8613800000016"), enrolled(doors, "+8613800000017")
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id))
    look = FindMemberRequest(phone="+8613800000016", purpose=COUNTER)
    found = counter.FindMember(look).member
    assert [(card.last_four, card.member_id) for card in found.cards] == [(number[-4:], member.member_id)]
    lost = CardOfMember(member_id=member.member_id, card_id=found.cards[0].card_id)
    foreign = CardOfMember(member_id=stranger.member_id, card_id=lost.card_id)

    wrong = FreezeCardRequest(request_id=new_id(), card_of_member=foreign)
    answer = refused(lambda: counter.FreezeCard(wrong))
    assert (answer.reason, answer.fields) == ("CARD_UNKNOWN", ("card_of_member.card_id",))
    freeze = FreezeCardRequest(request_id=new_id(), card_of_member=lost)
    frozen = told_again(counter.FreezeCard, freeze, card_number=number).card
    assert frozen == counter.GetCard(GetCardRequest(card_number=number)).card
    assert frozen.state == operations_pb2.CARD_STATE_FROZEN
    thaw = UnfreezeCardRequest(request_id=new_id(), card_of_member=lost)
    assert counter.UnfreezeCard(thaw).card.state == operations_pb2.CARD_STATE_ACTIVE
    replaced = counter.ReplaceCard(ReplaceCardRequest(request_id=new_id(), card_of_member=lost)).card
    shown = counter.GetMember(GetMemberRequest(member_id=member.member_id, purpose=COUNTER)).member.cards
    assert [(card.card_id, card.state) for card in shown] == [
        (replaced.card_id, operations_pb2.CARD_STATE_ACTIVE),
        (lost.card_id, operations_pb2.CARD_STATE_REPLACED),
    ]
    assert shown[1].replaced_by_card_id == replaced.card_id
    late = FreezeCardRequest(request_id=new_id(), card_of_member=lost)
    answer = refused(lambda: counter.FreezeCard(late))
    assert (answer.reason, answer.fields) == ("CARD_REPLACED", ("card_of_member",))
    neither = FreezeCardRequest(request_id=new_id())
    assert refused(lambda: counter.FreezeCard(neither)).fields == ("card",)


def test_a_chain_s_till_server_says_for_whom(doors: Doors) -> None:
    answer = refused(lambda: enrolled(doors, "+8613800000020", "/ts/ring/1"))
    assert (answer.reason, answer.fields) == ("FIELD_INVALID", ("recruiter",))


def test_a_till_itself_neither_looks_members_up_nor_freezes_or_replaces_cards(doors: Doors) -> None:
    till = doors.visitor("/t/bakery/main/till-1").member
    number = till.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    calls = [
        lambda: till.FindMember(FindMemberRequest(phone="+8613800000002", purpose=COUNTER)),
        lambda: till.FreezeCard(FreezeCardRequest(request_id=new_id(), card_number=number)),
        lambda: till.UnfreezeCard(UnfreezeCardRequest(request_id=new_id(), card_number=number)),
        lambda: till.ReplaceCard(ReplaceCardRequest(request_id=new_id(), card_number=number)),
    ]
    assert {refused(call).reason for call in calls} == {"PERMISSION_DENIED"}
    assert till.GetCard(GetCardRequest(card_number=number)).card.last_four == number[-4:]


@pytest.mark.parametrize("path", ["/aud/firm", "/mg/portal"])
def test_auditors_and_gateways_have_no_business_at_the_counter(doors: Doors, path: str) -> None:
    stub = doors.visitor(path).member
    request = FindMemberRequest(phone="+8613800000002", purpose=COUNTER)
    assert refused(lambda: stub.FindMember(request)).reason == "PERMISSION_DENIED"


def test_refusals_name_their_reason(doors: Doors) -> None:
    counter = doors.visitor("/hq/bakery").member
    member = enrolled(doors, "+8613800000030")
    assert refused(lambda: enrolled(doors, "+8613800000030")).reason == "MEMBER_EXISTS"
    request = FindMemberRequest(phone="+8613899999999", purpose=COUNTER)
    assert refused(lambda: counter.FindMember(request)).reason == "MEMBER_UNKNOWN"
    unknown = "00000000-0000-4000-8000-000000000000"
    assert refused(lambda: counter.GetMember(GetMemberRequest(member_id=unknown, purpose=COUNTER))).reason == (
        "MEMBER_UNKNOWN"
    )
    assert refused(lambda: counter.FindMember(FindMemberRequest(phone="+8613800000030"))).fields == ("purpose",)
    no_card = "4000000000000002"
    assert refused(lambda: counter.GetCard(GetCardRequest(card_number=no_card))).reason == "CARD_UNKNOWN"
    freeze = FreezeCardRequest(request_id=new_id(), card_number=no_card)
    assert refused(lambda: counter.FreezeCard(freeze)).reason == "CARD_UNKNOWN"
    wrong = IssueCardRequest(request_id=new_id(), card_number="4000000000000003")
    answer = refused(lambda: counter.IssueCard(wrong))
    assert (answer.reason, answer.fields) == ("FIELD_INVALID", ("card_number",))
    printed = "5019717010103742"
    counter.IssueCard(IssueCardRequest(request_id=new_id(), card_number=printed))
    again = IssueCardRequest(request_id=new_id(), card_number=printed)
    assert refused(lambda: counter.IssueCard(again)).reason == "CARD_NUMBER_TAKEN"
    freeze = FreezeCardRequest(request_id=new_id(), card_number=printed)
    assert refused(lambda: counter.FreezeCard(freeze)).reason == "CARD_NOT_LINKED"
    link = LinkCardRequest(request_id=new_id(), card_number=printed, member_id=member.member_id)
    counter.LinkCard(link)
    link = LinkCardRequest(request_id=new_id(), card_number=printed, member_id=member.member_id)
    assert refused(lambda: counter.LinkCard(link)).reason == "CARD_ALREADY_LINKED"
    thaw = UnfreezeCardRequest(request_id=new_id(), card_number=printed)
    assert refused(lambda: counter.UnfreezeCard(thaw)).reason == "CARD_STATE_CONFLICT"


def test_nothing_personal_reaches_logs_refusals_or_the_ledger_in_clear(doors: Doors) -> None:
    name, phone, number = "Canaria Zwitscher", "+8613855501234", "6011000990139424"
    counter = doors.visitor("/ts/bakery/1").member
    with structlog.testing.capture_logs() as lines:
        profile = Profile(name=name, phone=phone, birth_month=3)
        member = counter.EnrolMember(EnrolMemberRequest(request_id=new_id(), profile=profile))
        twice = EnrolMemberRequest(request_id=new_id(), profile=profile)
        refusals = [refused(lambda: counter.EnrolMember(twice))]
        counter.FindMember(FindMemberRequest(phone=phone, purpose=COUNTER))
        counter.IssueCard(IssueCardRequest(request_id=new_id(), card_number=number))
        again = IssueCardRequest(request_id=new_id(), card_number=number)
        refusals.append(refused(lambda: counter.IssueCard(again)))
        link = LinkCardRequest(request_id=new_id(), card_number=number, member_id=member.member_id)
        counter.LinkCard(link)
        short = GetCardRequest(card_number=number[:-1] + "5")
        refusals.append(refused(lambda: counter.GetCard(short)))
    told = json.dumps([lines, [str(each) for each in refusals]], default=str)
    assert "member_disclosed" in told
    assert "COUNTER_SERVICE" in told
    house = doors.house
    stored = dump(house.postgres, house.ledger) + dump(house.postgres, house.keydb)
    for canary in (name, "Zwitscher", phone, phone[1:], number, number[:-4]):
        assert canary not in told
        assert canary.encode() not in stored
        assert canary not in log_text(house.postgres)
