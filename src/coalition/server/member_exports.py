"""The calls of MemberService by which members move out, sealed to a recipient. Nothing is in clear here."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from coalition.domain.kinds import Kind
from coalition.membership.export_desk import NOBODY
from coalition.server import convert_member as convert
from coalition.server.acting import act_of, receipt
from coalition.server.convert import timestamp_of
from coalition.server.identity import caller
from coalition.server.member_data import reader_of
from coalition.server.member_erasures import MemberErasureCalls
from coalition.v1 import member_pb2


class MemberExportCalls(MemberErasureCalls):
    """Acts and reads block, so each runs in a worker thread."""

    async def RequestExport(
        self, request: member_pb2.RequestExportRequest, context: Any
    ) -> member_pb2.RequestExportResponse:
        act = await act_of(caller(context), Kind.EXPORT_REQUESTED, request, self._request_ids)
        groups, purpose = convert.groups_of(request.field_groups), convert.purpose_word(request.purpose)
        answer = await asyncio.to_thread(self._reception.exports.request, act, groups, purpose, request.recipient_key)
        return member_pb2.RequestExportResponse(
            export_id=str(answer.answer["export_id"]),
            member_count=int(str(answer.answer["members"])),
            recipient_key_sha256=str(answer.answer["recipient_key_sha256"]),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ApproveExport(
        self, request: member_pb2.ApproveExportRequest, context: Any
    ) -> member_pb2.ApproveExportResponse:
        act = await act_of(caller(context), Kind.EXPORT_APPROVED, request, self._request_ids)
        answer = await asyncio.to_thread(
            self._reception.exports.approve, act, UUID(request.export_id), request.recipient_key_sha256
        )
        return member_pb2.ApproveExportResponse(
            member_count=int(str(answer.answer["members"])),
            expire_time=timestamp_of(datetime.fromisoformat(str(answer.answer["expire_time"]))),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def GetExportPage(
        self, request: member_pb2.GetExportPageRequest, context: Any
    ) -> member_pb2.GetExportPageResponse:
        after = UUID(request.after_member_id) if request.after_member_id else NOBODY
        page = await asyncio.to_thread(
            self._reception.exports.page, reader_of(caller(context)), UUID(request.export_id), after
        )
        return member_pb2.GetExportPageResponse(
            boxes=page.boxes,
            member_count=page.members,
            last_member_id=str(page.last_member_id),
            is_last=page.is_last,
        )
