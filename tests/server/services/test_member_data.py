"""Members' data behind the door: what a role sees, what two people see together, what a member gets of the own."""

import json

import pytest

from coalition.bootstrap.exporting import opened_disclosure
from coalition.v1 import member_pb2, operations_pb2, portal_pb2, settlement_pb2
from coalition.v1.member_pb2 import (
    ApproveDisclosureRequest,
    ApproveErasureRequest,
    ApproveExportRequest,
    Attributes,
    EnrolMemberRequest,
    FindMemberRequest,
    GetDisclosureRequest,
    GetExportPageRequest,
    GetMemberRequest,
    Identity,
    IssueCardRequest,
    LinkCardRequest,
    ListErasuresRequest,
    MergeMembersRequest,
    OpeningLot,
    OpenLotsRequest,
    Profile,
    RefundAccount,
    RequestDisclosureRequest,
    RequestErasureRequest,
    RequestExportRequest,
    ReviseMemberRequest,
    SetConsentRequest,
    SetMemberStateRequest,
)
from coalition.v1.portal_pb2 import GetOwnDataRequest, ListAccessesRequest
from coalition.v1.settlement_pb2 import DecideApprovalRequest, ListApprovalsRequest, SetOfficesRequest
from keys import generate_box_key
from tests.server.services.house import Doors, new_id, refused, told_again, top_up, trading, walk

HQ, TILLS, OPERATOR, APPROVER, GATEWAY = "/hq/tailor", "/ts/tailor/1", "/op/admin", "/ap/ben", "/mg/portal"
DISPUTE, MARKETING = member_pb2.PURPOSE_DISPUTE, member_pb2.PURPOSE_MARKETING
ACCOUNT = RefundAccount(bank="ICBC", number="6222 0000 1111", holder="Ada")


@pytest.fixture(scope="module", autouse=True)
def _tailor(doors: Doors) -> None:
    trading(doors, "tailor")


def enrolled(doors: Doors, phone: str) -> str:
    request = EnrolMemberRequest(request_id=new_id(), profile=Profile(name="Ada", phone=phone))
    return doors.visitor(HQ).member.EnrolMember(request).member_id


def revise(doors: Doors, member_id: str, **part: object) -> member_pb2.ReviseMemberResponse:
    request = ReviseMemberRequest(request_id=new_id(), member_id=member_id, **part)  # type: ignore[arg-type]
    return doors.visitor(HQ).member.ReviseMember(request)


def test_every_change_is_done_once_and_told_again_and_another_body_is_refused(doors: Doors) -> None:
    member_id = enrolled(doors, "+8613500000001")
    counter, operator = doors.visitor(TILLS).member, doors.visitor(OPERATOR).member
    revise_it = ReviseMemberRequest(request_id=new_id(), member_id=member_id, identity=Identity(name="Eve"))
    told_again(counter.ReviseMember, revise_it, phone="+8613500000009")
    consent = SetConsentRequest(
        request_id=new_id(),
        member_id=member_id,
        purpose=member_pb2.CONSENT_PURPOSE_MARKETING,
        given=True,
        notice_version="2026-1",
    )
    told_again(counter.SetConsent, consent, given=False)
    lock = SetMemberStateRequest(request_id=new_id(), member_id=member_id, state=member_pb2.MEMBER_STATE_LOCKED)
    told_again(operator.SetMemberState, lock, state=member_pb2.MEMBER_STATE_ACTIVE)
    look = GetMemberRequest(member_id=member_id, purpose=DISPUTE)
    assert refused(counter.GetMember, look).reason == "MEMBER_LOCKED"
    ask = RequestErasureRequest(request_id=new_id(), member_id=member_id)
    told_again(operator.RequestErasure, ask, member_id="00000000-0000-4000-8000-000000000000")
    approver = doors.visitor(APPROVER).member
    waiting = list(walk(approver.ListErasures, ListErasuresRequest(), "erasures", 1))
    assert [(member_id, OPERATOR)] == [(each.member_id, each.requester) for each in waiting]
    assert 30 * 86_400 == waiting[0].expire_time.seconds - waiting[0].request_time.seconds
    erase = ApproveErasureRequest(request_id=new_id(), member_id=member_id)
    assert refused(operator.ApproveErasure, erase).reason == "PERMISSION_DENIED"
    done = told_again(approver.ApproveErasure, erase, member_id="00000000-0000-4000-8000-000000000000")
    assert done.requester == OPERATOR
    gone = counter.GetMember(look).member
    assert (gone.state, gone.HasField("profile")) == (member_pb2.MEMBER_STATE_ERASED, False)
    assert refused(doors.visitor(GATEWAY).portal.GetOwnData, GetOwnDataRequest(member_id=member_id)).reason == (
        "MEMBER_ERASED"
    )


def test_settlements_inbox_shows_an_erasure_and_does_not_decide_it(doors: Doors) -> None:
    """What is approved there is not done there; and nobody is given the office that reception's approvers hold."""
    member_id = enrolled(doors, "+8613500000011")
    doors.visitor(GATEWAY).member.RequestErasure(RequestErasureRequest(request_id=new_id(), member_id=member_id))
    shown = walk(doors.visitor(OPERATOR).settlement.ListApprovals, ListApprovalsRequest(), "approvals")
    (waiting,) = [each for each in shown if each.subject_name == member_id]
    assert (waiting.subject, waiting.maker) == (settlement_pb2.APPROVAL_SUBJECT_ERASURE, GATEWAY)
    decide = DecideApprovalRequest(
        request_id=new_id(),
        approval_id=waiting.approval_id,
        content_hash=waiting.content_hash,
        decision=settlement_pb2.APPROVAL_DECISION_APPROVED,
    )
    assert refused(doors.visitor(APPROVER).settlement.DecideApproval, decide).reason == "OFFICE_NOT_HELD"
    office = SetOfficesRequest(request_id=new_id(), approver=APPROVER, offices=[settlement_pb2.OFFICE_PRIVACY])
    assert refused(doors.visitor(OPERATOR).settlement.SetOffices, office).reason == "FIELD_INVALID"


def test_a_state_is_locked_or_active_and_an_erasure_has_its_own_call(doors: Doors) -> None:
    request = SetMemberStateRequest(request_id=new_id(), member_id=enrolled(doors, "+8613500000002"))
    for state in (member_pb2.MEMBER_STATE_UNSPECIFIED, member_pb2.MEMBER_STATE_ERASED):
        request.state = state
        answer = refused(doors.visitor(OPERATOR).member.SetMemberState, request)
        assert (answer.reason, answer.fields) == ("FIELD_INVALID", ("state",))


def test_a_refund_account_is_masked_and_for_headquarters_only(doors: Doors) -> None:
    member_id = enrolled(doors, "+8613500000003")
    revise(doors, member_id, refund_account=ACCOUNT)
    revise(doors, member_id, attributes=Attributes(values={"size": "M"}))
    groups = (member_pb2.FIELD_GROUP_REFUND_ACCOUNT, member_pb2.FIELD_GROUP_ATTRIBUTES)
    look = FindMemberRequest(phone="+8613500000003", purpose=DISPUTE, field_groups=groups)
    shown = doors.visitor(HQ).member.FindMember(look).member.profile
    assert (shown.name_masked, shown.refund_account_masked, dict(shown.attributes)) == ("", "**** 1111", {"size": "M"})
    answer = refused(doors.visitor(TILLS).member.FindMember, look)
    assert (answer.reason, answer.fields) == ("PERMISSION_DENIED", ("field_groups",))


def test_who_wants_to_tell_of_offers_needs_the_members_consent(doors: Doors) -> None:
    member_id = enrolled(doors, "+8613500000004")
    look = GetMemberRequest(member_id=member_id, purpose=MARKETING)
    assert refused(doors.visitor(HQ).member.GetMember, look).reason == "CONSENT_MISSING"
    consent = SetConsentRequest(
        request_id=new_id(),
        member_id=member_id,
        purpose=member_pb2.CONSENT_PURPOSE_MARKETING,
        given=True,
        notice_version="1",
    )
    doors.visitor(GATEWAY).member.SetConsent(consent)
    look.field_groups.append(member_pb2.FIELD_GROUP_CONSENTS)
    (said,) = doors.visitor(HQ).member.GetMember(look).member.profile.consents
    assert (said.purpose, said.given, said.notice_version) == (member_pb2.CONSENT_PURPOSE_MARKETING, True, "1")


def test_members_unmasked_need_an_operator_and_an_approver(doors: Doors) -> None:
    member_id = enrolled(doors, "+8613500000005")
    revise(doors, member_id, refund_account=ACCOUNT)
    groups = (member_pb2.FIELD_GROUP_CONTACT, member_pb2.FIELD_GROUP_REFUND_ACCOUNT)
    asker = doors.visitor(HQ).member
    private_key, key = generate_box_key()
    request = RequestDisclosureRequest(
        request_id=new_id(), member_ids=[member_id], field_groups=groups, purpose=DISPUTE, recipient_key=key
    )
    disclosure_id = told_again(asker.RequestDisclosure, request, purpose=MARKETING).disclosure_id
    open_it = GetDisclosureRequest(disclosure_id=disclosure_id)
    assert refused(asker.GetDisclosure, open_it).reason == "APPROVAL_MISSING"
    approve = ApproveDisclosureRequest(request_id=new_id(), disclosure_id=disclosure_id)
    assert refused(doors.visitor(OPERATOR).member.ApproveDisclosure, approve).reason == "PERMISSION_DENIED"
    told_again(doors.visitor(APPROVER).member.ApproveDisclosure, approve, disclosure_id=member_id)
    answer = asker.GetDisclosure(open_it)
    assert b"13500000005" not in answer.SerializeToString()
    (seen,) = opened_disclosure(private_key, disclosure_id, answer.boxes)
    assert {"contact", "member_id", "refund_account"} == seen.keys()
    assert (seen["member_id"], seen["contact"]["phone"]) == (member_id, "+8613500000005")
    assert (seen["refund_account"]["number"], seen["refund_account"]["holder"]) == ("622200001111", "Ada")
    assert refused(doors.visitor(OPERATOR).member.GetDisclosure, open_it).reason == "DISCLOSURE_UNKNOWN"


def test_a_member_gets_everything_and_sees_who_looked(doors: Doors) -> None:
    member_id = enrolled(doors, "+8613500000006")
    counter = doors.visitor(HQ).member
    number = counter.IssueCard(IssueCardRequest(request_id=new_id())).card_number
    counter.LinkCard(LinkCardRequest(request_id=new_id(), card_number=number, member_id=member_id))
    top_up(doors, "tailor", number, 10_000)
    counter.GetMember(GetMemberRequest(member_id=member_id, purpose=DISPUTE))
    portal = doors.visitor(GATEWAY).portal
    told = json.loads(portal.GetOwnData(GetOwnDataRequest(member_id=member_id)).export_json)
    assert (told["identity"]["name"], told["contact"]["phone"]) == ("Ada", "+8613500000006")
    assert (told["wallet"]["balance_minor"], told["cards"][0]["last_four"]) == ("12000", number[-4:])
    seen: list[portal_pb2.Access] = walk(portal.ListAccesses, ListAccessesRequest(member_id=member_id), "accesses", 1)
    disclosed = operations_pb2.ENTRY_KIND_DISCLOSED
    assert [(access.kind, access.actor, access.purpose) for access in seen] == [
        (disclosed, GATEWAY, "OWN_ACCESS"),
        (disclosed, HQ, "DISPUTE"),
    ]
    assert list(seen[1].field_groups) == ["identity", "contact"]
    erase = RequestErasureRequest(request_id=new_id(), member_id=member_id)
    assert refused(doors.visitor(GATEWAY).member.RequestErasure, erase).reason == "MEMBER_HAS_VALUE"


def test_a_merged_member_is_told_as_what_it_is_and_only_the_operator_merges(doors: Doors) -> None:
    old, new = enrolled(doors, "+8613500000031"), enrolled(doors, "+8613500000032")
    merge = MergeMembersRequest(request_id=new_id(), member_id=old, into_member_id=new, purpose=DISPUTE)
    assert refused(doors.visitor(HQ).member.MergeMembers, merge).reason == "PERMISSION_DENIED"
    told_again(doors.visitor(OPERATOR).member.MergeMembers, merge, purpose=MARKETING)
    look = GetMemberRequest(member_id=old, purpose=DISPUTE)
    seen = doors.visitor(HQ).member.GetMember(look).member
    assert (seen.state, seen.merged_into, seen.profile.name_masked) == (member_pb2.MEMBER_STATE_MERGED, new, "A*")
    again = MergeMembersRequest(request_id=new_id(), member_id=old, into_member_id=new, purpose=DISPUTE)
    assert refused(doors.visitor(OPERATOR).member.MergeMembers, again).reason == "MERGE_CONFLICT"


def test_opening_lots_are_the_operators_and_told_again(doors: Doors) -> None:
    """Custody's, so that a claim is posted as well; another body under the same id is refused lot by lot."""
    member_id = enrolled(doors, "+8613500000041")
    lot = OpeningLot(member_id=member_id, issuer="tailor", paid_minor=62500, bonus_minor=12500)
    wrong = OpeningLot(member_id=member_id, issuer="nobody", paid_minor=1)
    late = OpeningLot(member_id=member_id, issuer="tailor", paid_minor=1, bonus_minor=1, bonus_expiry_date="soon")
    empty = OpeningLot(card_number="4111111111111112", issuer="tailor", paid_minor=1)
    request = OpenLotsRequest(request_id=new_id(), lots=[lot, wrong, late, empty])
    assert refused(doors.visitor(HQ).member.OpenLots, request).reason == "PERMISSION_DENIED"
    operator = doors.visitor(OPERATOR).member
    first = operator.OpenLots(request)
    assert [
        ("ACCEPTED", ""),
        ("PARTICIPANT_UNKNOWN", "issuer"),
        ("FIELD_INVALID", "bonus_expiry_date"),
        ("FIELD_INVALID", "card_number"),
    ] == [(each.reason, each.field) for each in first.lots]
    assert first == operator.OpenLots(request)
    request.lots[0].paid_minor = 1
    assert operator.OpenLots(request).lots[0].reason == "REQUEST_ID_REUSED"
    wallet = doors.visitor(GATEWAY).portal.GetWallet(portal_pb2.GetWalletRequest(member_id=member_id)).wallet
    assert (wallet.balance_minor, len(wallet.lots)) == (75000, 1)


def test_an_export_is_asked_for_approved_and_fetched_by_whom_it_belongs_to(doors: Doors) -> None:
    enrolled(doors, "+8613500000051")
    key, other = generate_box_key()[1], generate_box_key()[1]
    ask = RequestExportRequest(
        request_id=new_id(), field_groups=[member_pb2.FIELD_GROUP_CONTACT], purpose=DISPUTE, recipient_key=key
    )
    assert refused(doors.visitor(HQ).member.RequestExport, ask).reason == "PERMISSION_DENIED"
    asked = told_again(doors.visitor(OPERATOR).member.RequestExport, ask, recipient_key=other)
    fetch = GetExportPageRequest(export_id=asked.export_id)
    assert refused(doors.visitor(OPERATOR).member.GetExportPage, fetch).reason == "APPROVAL_MISSING"
    approve = ApproveExportRequest(
        request_id=new_id(), export_id=asked.export_id, recipient_key_sha256=asked.recipient_key_sha256
    )
    assert refused(doors.visitor(OPERATOR).member.ApproveExport, approve).reason == "PERMISSION_DENIED"
    approved = told_again(doors.visitor(APPROVER).member.ApproveExport, approve, recipient_key_sha256="0" * 64)
    assert asked.member_count == approved.member_count > 0
    page = doors.visitor(OPERATOR).member.GetExportPage(fetch)
    assert page.member_count > 0
    assert b"13500000051" not in b"".join(page.boxes)
    assert refused(doors.visitor("/op/other").member.GetExportPage, fetch).reason == "EXPORT_UNKNOWN"
