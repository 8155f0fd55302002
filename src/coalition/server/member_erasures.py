"""The calls of MemberService by which members are erased: one person asks, another approves. Nothing personal here."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from coalition.domain.kinds import Kind
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.membership.erasure_desk import OPEN_FOR
from coalition.server.acting import act_of, receipt
from coalition.server.convert import timestamp_of
from coalition.server.identity import caller
from coalition.server.member_data import MemberDataCalls
from coalition.v1 import member_pb2


class MemberErasureCalls(MemberDataCalls):
    """Acts and reads block, so each runs in a worker thread."""

    async def RequestErasure(
        self, request: member_pb2.RequestErasureRequest, context: Any
    ) -> member_pb2.RequestErasureResponse:
        act = await act_of(caller(context), Kind.ERASURE_REQUESTED, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.erasures.request, act, UUID(request.member_id))
        return member_pb2.RequestErasureResponse(
            expire_time=timestamp_of(datetime.fromisoformat(str(answer.answer["expire_time"]))),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ApproveErasure(
        self, request: member_pb2.ApproveErasureRequest, context: Any
    ) -> member_pb2.ApproveErasureResponse:
        act = await act_of(caller(context), Kind.MEMBER_ERASED, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.erasures.approve, act, UUID(request.member_id))
        return member_pb2.ApproveErasureResponse(
            requester=str(answer.answer["requester"]),
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def ListErasures(
        self, request: member_pb2.ListErasuresRequest, context: Any
    ) -> member_pb2.ListErasuresResponse:
        scope, limit = "erasures", page_limit(request.page_size)
        after = number_key(scope, request.page_token) or 0
        rows = await asyncio.to_thread(self._reception.erasures.requests, after, limit + 1)
        return member_pb2.ListErasuresResponse(
            erasures=[
                member_pb2.ErasureRequest(
                    member_id=row.name,
                    requester=row.maker,
                    request_time=timestamp_of(row.ask_time),
                    expire_time=timestamp_of(row.ask_time + OPEN_FOR),
                )
                for row in rows[:limit]
            ],
            next_page_token=page_token(scope, rows[limit - 1].approval_id) if len(rows) > limit else "",
        )
