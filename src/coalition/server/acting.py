"""From a write's message to an act of the journal, and from the journal's answer to the receipt.

What an act means is its whole message but for the request_id, so a repetition is recognised and another body refused.
"""

from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from coalition.domain.acts import Act, ActAnswer, body_hash
from coalition.domain.kinds import Kind
from coalition.server.convert import timestamp_of
from coalition.server.identity import Caller
from coalition.server.request_ids import RequestIds, parse_request_id
from coalition.v1 import operations_pb2


async def act_of(caller: Caller, kind: Kind, request: Message, request_ids: RequestIds) -> Act:
    """The act a message asks for. Raises Refused(REQUEST_ID_MALFORMED or REQUEST_ID_TOO_OLD)."""
    body: dict[str, Any] = MessageToDict(request, preserving_proto_field_name=True)
    request_id = parse_request_id(body.pop("request_id", ""))
    await request_ids.check(caller.participant_id, request_id)
    return Act(kind, caller.participant_id, request_id, body_hash(kind, body), caller.actor)


def receipt(act: Act, entry_id: int, time: datetime, *, replayed: bool) -> operations_pb2.ActReceipt:
    """How the journal recorded the act."""
    return operations_pb2.ActReceipt(
        request_id=str(act.request_id), entry_id=entry_id, post_time=timestamp_of(time), replayed=replayed
    )


def whole(answer: ActAnswer, name: str) -> int:
    """A number that an act's answer holds."""
    value = answer.answer[name]
    if not isinstance(value, int):
        raise TypeError(f"the answer's {name} is no number")
    return value
