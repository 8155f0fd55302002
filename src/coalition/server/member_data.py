"""The calls of MemberService about members' data: reading, changing, consents, locking, erasing, disclosures.

Which roles may call them permissions.py says; here besides, which field groups a role may see. Nothing personal is
logged here.
"""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.membership.reception import Reception
from coalition.server import convert_member as convert
from coalition.server.acting import act_of, receipt
from coalition.server.convert import timestamp_of
from coalition.server.identity import Caller, caller
from coalition.server.permissions import check_field_groups
from coalition.server.request_ids import RequestIds
from coalition.v1 import member_pb2, member_pb2_grpc


def reader_of(present: Caller) -> Reader:
    """Who reads, for the journal."""
    return Reader(present.participant_id, present.actor)


class MemberDataCalls(member_pb2_grpc.MemberServiceServicer):
    """Acts and reads block, so each runs in a worker thread."""

    def __init__(self, reception: Reception[Any], request_ids: RequestIds) -> None:
        self._reception = reception
        self._request_ids = request_ids

    async def FindMember(self, request: member_pb2.FindMemberRequest, context: Any) -> member_pb2.FindMemberResponse:
        purpose, groups = convert.purpose_word(request.purpose), convert.groups_of(request.field_groups)
        check_field_groups(groups, caller(context).role)
        found = await asyncio.to_thread(
            self._reception.reading.by_phone, reader_of(caller(context)), request.phone, purpose, groups
        )
        return member_pb2.FindMemberResponse(member=convert.member_message(found))

    async def GetMember(self, request: member_pb2.GetMemberRequest, context: Any) -> member_pb2.GetMemberResponse:
        purpose, groups = convert.purpose_word(request.purpose), convert.groups_of(request.field_groups)
        check_field_groups(groups, caller(context).role)
        found = await asyncio.to_thread(
            self._reception.reading.member, reader_of(caller(context)), UUID(request.member_id), purpose, groups
        )
        return member_pb2.GetMemberResponse(member=convert.member_message(found))

    async def ReviseMember(
        self, request: member_pb2.ReviseMemberRequest, context: Any
    ) -> member_pb2.ReviseMemberResponse:
        act = await act_of(caller(context), Kind.MEMBER_REVISED, request, self._request_ids)
        part = convert.part_of(request)
        answer = await asyncio.to_thread(self._reception.files.revise, act, UUID(request.member_id), part)
        return member_pb2.ReviseMemberResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def SetConsent(self, request: member_pb2.SetConsentRequest, context: Any) -> member_pb2.SetConsentResponse:
        act = await act_of(caller(context), Kind.CONSENT_SET, request, self._request_ids)
        purpose = convert.consent_word(request.purpose)
        answer = await asyncio.to_thread(
            lambda: self._reception.files.consent(
                act, UUID(request.member_id), purpose, request.notice_version, is_given=request.given
            )
        )
        return member_pb2.SetConsentResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def SetMemberState(
        self, request: member_pb2.SetMemberStateRequest, context: Any
    ) -> member_pb2.SetMemberStateResponse:
        act = await act_of(caller(context), Kind.MEMBER_STATE_CHANGED, request, self._request_ids)
        is_locked = request.state == member_pb2.MEMBER_STATE_LOCKED
        answer = await asyncio.to_thread(
            lambda: self._reception.erasures.set_state(act, UUID(request.member_id), is_locked=is_locked)
        )
        return member_pb2.SetMemberStateResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def MergeMembers(
        self, request: member_pb2.MergeMembersRequest, context: Any
    ) -> member_pb2.MergeMembersResponse:
        act = await act_of(caller(context), Kind.MEMBERS_MERGED, request, self._request_ids)
        old, new = UUID(request.member_id), UUID(request.into_member_id)
        purpose = convert.purpose_word(request.purpose)
        answer = await asyncio.to_thread(self._reception.merges.merge, act, old, new, purpose)
        return member_pb2.MergeMembersResponse(
            cards_moved=int(str(answer.answer["cards_moved"])),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def RequestDisclosure(
        self, request: member_pb2.RequestDisclosureRequest, context: Any
    ) -> member_pb2.RequestDisclosureResponse:
        act = await act_of(caller(context), Kind.DISCLOSURE_REQUESTED, request, self._request_ids)
        member_ids = [UUID(member_id) for member_id in request.member_ids]
        groups, purpose = convert.groups_of(request.field_groups), convert.purpose_word(request.purpose)
        answer = await asyncio.to_thread(
            self._reception.disclosures.request, act, member_ids, groups, purpose, request.recipient_key
        )
        return member_pb2.RequestDisclosureResponse(
            disclosure_id=str(answer.answer["disclosure_id"]),
            recipient_key_sha256=str(answer.answer["recipient_key_sha256"]),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ApproveDisclosure(
        self, request: member_pb2.ApproveDisclosureRequest, context: Any
    ) -> member_pb2.ApproveDisclosureResponse:
        act = await act_of(caller(context), Kind.DISCLOSURE_APPROVED, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.disclosures.approve, act, UUID(request.disclosure_id))
        return member_pb2.ApproveDisclosureResponse(
            expire_time=timestamp_of(datetime.fromisoformat(str(answer.answer["expire_time"]))),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def GetDisclosure(
        self, request: member_pb2.GetDisclosureRequest, context: Any
    ) -> member_pb2.GetDisclosureResponse:
        reader, disclosure_id = reader_of(caller(context)), UUID(request.disclosure_id)
        boxes = await asyncio.to_thread(self._reception.disclosures.open, reader, disclosure_id)
        return member_pb2.GetDisclosureResponse(boxes=boxes)
